#pragma once
#include <infiniband/verbs.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "calibrate/measure/rdma/buffer.hpp"
#include "calibrate/measure/rdma/device.hpp"
#include "calibrate/measure/rdma/plan/wire.hpp"
#include "models/base/error.hpp"

namespace sextant::rdma {

/// A completion that is no success, with what it means and what may cause it.
class CompletionError : public Error {
 public:
  CompletionError(ibv_wc_status status, const std::string& device, int mtu);
  ibv_wc_status status() const { return status_; }

 private:
  ibv_wc_status status_;
};

/// The queue pairs of one block at one end: reliable connections that share a completion queue for what is
/// sent and one for what is received.
class QueuePairs {
 public:
  /// Throws Error if the device refuses the depths or the inline bytes that were asked for.
  QueuePairs(const Device&, Buffer&, const BlockRequest&, const Gid& own);

  /// What the other end must know to connect.
  Endpoint endpoint() const;
  /// Connects to the other end's, which may send as soon as it has connected too.
  void connect(const Endpoint& peer, const Gid& peer_gid);

  /// Sends, writes or reads the first `bytes` of a queue pair's slot. `mark` comes back with the completion
  /// of a signaled one.
  void post(int qp, std::int64_t bytes, std::uint64_t mark, bool signaled);
  void post_receive(int qp);
  /// At most as many as fit. Throws CompletionError for a failed one.
  std::span<const ibv_wc> poll_sent();
  std::span<const ibv_wc> poll_received();
  /// Which queue pair a receive's completion belongs to.
  static int qp_of_receive(const ibv_wc& completion) { return static_cast<int>(completion.wr_id); }

  const BlockRequest& request() const { return request_; }
  int count() const { return request_.block.qps; }
  int inline_bytes() const { return inline_bytes_; }
  int receive_depth() const { return request_.rx_depth; }
  Buffer& buffer() { return buffer_; }

 private:
  ibv_qp* make_pair(const Device&, int inline_bytes) const;
  void to_ready(int qp, const Endpoint& peer, const Gid& peer_gid);
  std::span<const ibv_wc> poll(ibv_cq* queue);

  const Device& device_;
  Buffer& buffer_;
  BlockRequest request_;
  Gid own_;
  int inline_bytes_ = 0;
  Endpoint peer_;
  std::unique_ptr<ibv_cq, Released<ibv_destroy_cq>> sent_, received_;
  std::vector<std::unique_ptr<ibv_qp, Released<ibv_destroy_qp>>> pairs_;
  std::vector<std::uint32_t> first_packets_;
  std::vector<ibv_wc> completions_;
};

}  // namespace sextant::rdma
