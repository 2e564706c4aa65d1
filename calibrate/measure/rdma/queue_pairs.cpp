#include "calibrate/measure/rdma/queue_pairs.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

constexpr int completions_a_poll = 16;
constexpr int usual_latency_inline = 236;  // perftest's for send and write latency
constexpr int retries = 6;  // Soft-RoCE takes 7 for "for ever"
constexpr int wait_for_receiver = 7;  // for ever: silence is noticed elsewhere
constexpr int receiver_pause = 12;    // 0.64 ms
constexpr int hop_limit = 64;

[[noreturn]] void fail(const std::string& what, int code) {
  throw Error(ExitCode::failure, fmt::format("{}: {}", what, std::strerror(code)));
}

ibv_wr_opcode opcode(Operation operation) {
  switch (operation) {
    case Operation::send:
      return IBV_WR_SEND;
    case Operation::write:
      return IBV_WR_RDMA_WRITE;
    case Operation::read:
      return IBV_WR_RDMA_READ;
  }
  return IBV_WR_SEND;
}

int wanted_inline(const BlockRequest& request) {
  if (request.inline_given) return request.inline_bytes;
  const bool carries = request.block.operation != Operation::read;
  return request.block.test == Test::latency && carries ? usual_latency_inline : 0;
}

std::string meaning(ibv_wc_status status, int mtu) {
  switch (status) {
    case IBV_WC_RETRY_EXC_ERR:
      return fmt::format(
          "the other port does not acknowledge (retries exceeded): is a firewall dropping UDP port 4791, "
          "is the GID's network the wrong one, or does the path drop packets of {} B?",
          mtu);
    case IBV_WC_RNR_RETRY_EXC_ERR:
      return "the other end had no receive posted (receiver-not-ready retries exceeded)";
    case IBV_WC_REM_ACCESS_ERR:
      return "the other end's memory may not be reached (remote access error)";
    case IBV_WC_REM_OP_ERR:
      return "the other end could not complete the operation (remote operation error)";
    case IBV_WC_REM_INV_REQ_ERR:
      return "the other end found the request invalid";
    case IBV_WC_LOC_LEN_ERR:
      return "a message is longer than its buffer (local length error)";
    case IBV_WC_LOC_PROT_ERR:
      return "own memory may not be reached (local protection error)";
    case IBV_WC_WR_FLUSH_ERR:
      return "the connection broke (work request flushed)";
    default:
      return ibv_wc_status_str(status);
  }
}

}  // namespace

CompletionError::CompletionError(ibv_wc_status status, const std::string& device, int mtu)
    : Error(ExitCode::failure, fmt::format("{}: {}", device, meaning(status, mtu))), status_(status) {}

QueuePairs::QueuePairs(const Device& device, Buffer& buffer, const BlockRequest& request, const Gid& own)
    : device_(device), buffer_(buffer), request_(request), own_(own), completions_(completions_a_poll) {
  const int all_sends = count() * (request.tx_depth + 1), all_receives = count() * request.rx_depth;
  sent_.reset(ibv_create_cq(device.context(), all_sends, nullptr, nullptr, 0));
  if (!sent_) fail(fmt::format("{}: no queue for {} completions (-q, -t)", device.name(), all_sends), errno);
  received_.reset(ibv_create_cq(device.context(), all_receives, nullptr, nullptr, 0));
  if (!received_)
    fail(fmt::format("{}: no queue for {} completions (-q, -r)", device.name(), all_receives), errno);
  inline_bytes_ = wanted_inline(request);
  std::random_device random;
  constexpr std::uint32_t packet_mask = 0xffffff;
  for (int i = 0; i < count(); ++i) {
    ibv_qp* pair = make_pair(device, inline_bytes_);
    if (pair == nullptr && !request.inline_given && inline_bytes_ > 0) {
      inline_bytes_ = 0;  // this device has no room for perftest's choice
      pair = make_pair(device, 0);
    }
    if (pair == nullptr)
      fail(fmt::format("{}: no queue pair of depth {} with {} inline bytes (-t, -r, -I)", device.name(),
                       request.tx_depth, inline_bytes_),
           errno);
    pairs_.emplace_back(pair);
    first_packets_.push_back(random() & packet_mask);
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_INIT;
    attributes.port_num = static_cast<std::uint8_t>(device.port());
    attributes.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_LOCAL_WRITE;
    if (const int code = ibv_modify_qp(pair, &attributes,
                                       IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS))
      fail(device.name() + ": cannot initialize a queue pair", code);
  }
}

ibv_qp* QueuePairs::make_pair(const Device& device, int inline_bytes) const {
  ibv_qp_init_attr attributes{};
  attributes.send_cq = sent_.get();
  attributes.recv_cq = received_.get();
  attributes.qp_type = IBV_QPT_RC;
  attributes.cap.max_send_wr = static_cast<std::uint32_t>(request_.tx_depth + 1);
  attributes.cap.max_recv_wr = static_cast<std::uint32_t>(request_.rx_depth);
  attributes.cap.max_send_sge = 1;
  attributes.cap.max_recv_sge = 1;
  attributes.cap.max_inline_data = static_cast<std::uint32_t>(inline_bytes);
  return ibv_create_qp(device.domain(), &attributes);
}

Endpoint QueuePairs::endpoint() const {
  Endpoint endpoint;
  for (const auto& pair : pairs_) endpoint.numbers.push_back(pair->qp_num);
  endpoint.first_packets = first_packets_;
  endpoint.lid = device_.lid();
  endpoint.key = buffer_.remote_key();
  endpoint.supply_address = buffer_.supply(0);
  endpoint.intake_address = buffer_.intake(0);
  endpoint.slot_bytes = buffer_.slot_bytes();
  return endpoint;
}

void QueuePairs::connect(const Endpoint& peer, const Gid& peer_gid) {
  if (peer.numbers.size() != pairs_.size() || peer.first_packets.size() != pairs_.size())
    throw Error(ExitCode::failure, fmt::format("the other end has {} queue pairs, expected {}",
                                               peer.numbers.size(), pairs_.size()));
  peer_ = peer;
  for (int qp = 0; qp < count(); ++qp) {
    if (request_.block.operation == Operation::send)
      for (int i = 0; i < request_.rx_depth; ++i) post_receive(qp);
    to_ready(qp, peer, peer_gid);
  }
}

void QueuePairs::to_ready(int qp, const Endpoint& peer, const Gid& peer_gid) {
  const auto at = static_cast<std::size_t>(qp);
  const auto reads = static_cast<std::uint8_t>(
      std::clamp(std::min(device_.limits().max_qp_rd_atom, device_.limits().max_qp_init_rd_atom), 1, 16));
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RTR;
  attributes.path_mtu = mtu_code(request_.mtu);
  attributes.dest_qp_num = peer.numbers[at];
  attributes.rq_psn = peer.first_packets[at];
  attributes.max_dest_rd_atomic = reads;
  attributes.min_rnr_timer = receiver_pause;
  attributes.ah_attr.dlid = static_cast<std::uint16_t>(peer.lid);
  attributes.ah_attr.sl = static_cast<std::uint8_t>(request_.service_level);
  attributes.ah_attr.port_num = static_cast<std::uint8_t>(device_.port());
  attributes.ah_attr.is_global = device_.ethernet() ? 1 : 0;
  std::copy(peer_gid.bytes.begin(), peer_gid.bytes.end(), std::begin(attributes.ah_attr.grh.dgid.raw));
  attributes.ah_attr.grh.sgid_index = static_cast<std::uint8_t>(own_.index);
  attributes.ah_attr.grh.hop_limit = hop_limit;
  attributes.ah_attr.grh.traffic_class = static_cast<std::uint8_t>(request_.traffic_class);
  if (const int code = ibv_modify_qp(pairs_[at].get(), &attributes,
                                     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
                                         IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER))
    fail(fmt::format("{}: cannot reach {} from GID {} ({}): is it the right one (-x)", device_.name(),
                     peer_gid.text(), own_.index, own_.text()),
         code);
  attributes = {};
  attributes.qp_state = IBV_QPS_RTS;
  attributes.sq_psn = first_packets_[at];
  attributes.timeout = static_cast<std::uint8_t>(request_.qp_timeout);
  attributes.retry_cnt = retries;
  attributes.rnr_retry = wait_for_receiver;
  attributes.max_rd_atomic = reads;
  if (const int code = ibv_modify_qp(pairs_[at].get(), &attributes,
                                     IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                                         IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC))
    fail(device_.name() + ": cannot start a queue pair", code);
}

void QueuePairs::post(int qp, std::int64_t bytes, std::uint64_t mark, bool signaled) {
  const auto slot = static_cast<std::uint64_t>(qp) * peer_.slot_bytes;
  const bool reads = request_.block.operation == Operation::read;
  ibv_sge part{reads ? buffer_.intake(qp) : buffer_.supply(qp), static_cast<std::uint32_t>(bytes),
               buffer_.local_key()};
  ibv_send_wr work{}, *refused = nullptr;
  work.wr_id = mark;
  work.sg_list = &part;
  work.num_sge = 1;
  work.opcode = opcode(request_.block.operation);
  work.send_flags = signaled ? static_cast<unsigned>(IBV_SEND_SIGNALED) : 0U;
  if (!reads && bytes <= inline_bytes_ && !buffer_.on_gpu()) work.send_flags |= IBV_SEND_INLINE;
  work.wr.rdma.remote_addr = (reads ? peer_.supply_address : peer_.intake_address) + slot;
  work.wr.rdma.rkey = peer_.key;
  if (const int code = ibv_post_send(pairs_[static_cast<std::size_t>(qp)].get(), &work, &refused))
    fail(fmt::format("{}: cannot post a message of {} B", device_.name(), bytes), code);
}

void QueuePairs::post_receive(int qp) {
  ibv_sge part{buffer_.intake(qp), static_cast<std::uint32_t>(buffer_.slot_bytes()), buffer_.local_key()};
  ibv_recv_wr work{}, *refused = nullptr;
  work.wr_id = static_cast<std::uint64_t>(qp);
  work.sg_list = &part;
  work.num_sge = 1;
  if (const int code = ibv_post_recv(pairs_[static_cast<std::size_t>(qp)].get(), &work, &refused))
    fail(device_.name() + ": cannot post a receive", code);
}

std::span<const ibv_wc> QueuePairs::poll(ibv_cq* queue) {
  const int found = ibv_poll_cq(queue, completions_a_poll, completions_.data());
  if (found < 0) throw Error(ExitCode::failure, device_.name() + ": cannot poll its completions");
  const std::span<const ibv_wc> result(completions_.data(), static_cast<std::size_t>(found));
  for (const ibv_wc& completion : result)
    if (completion.status != IBV_WC_SUCCESS)
      throw CompletionError(completion.status, device_.name(), request_.mtu);
  return result;
}

std::span<const ibv_wc> QueuePairs::poll_sent() {
  return poll(sent_.get());
}

std::span<const ibv_wc> QueuePairs::poll_received() {
  return poll(received_.get());
}

}  // namespace sextant::rdma
