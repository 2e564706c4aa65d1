// The NCCL calls of a point: what each rank issues for one iteration.
#include <utility>

#include "calibrate/measure/nccl/point_runner.hpp"

namespace sextant::nccl {
namespace {

ncclDataType_t nccl_type(DataType type) {
  switch (type) {
    case DataType::int8:
      return ncclInt8;
    case DataType::uint8:
      return ncclUint8;
    case DataType::int32:
      return ncclInt32;
    case DataType::uint32:
      return ncclUint32;
    case DataType::int64:
      return ncclInt64;
    case DataType::uint64:
      return ncclUint64;
    case DataType::half:
      return ncclFloat16;
    case DataType::float32:
      return ncclFloat32;
    case DataType::float64:
      return ncclFloat64;
    case DataType::bfloat16:
      return ncclBfloat16;
  }
  return ncclFloat32;
}

ncclRedOp_t nccl_reduction(Reduction reduction) {
  switch (reduction) {
    case Reduction::sum:
      return ncclSum;
    case Reduction::prod:
      return ncclProd;
    case Reduction::max:
      return ncclMax;
    case Reduction::min:
      return ncclMin;
    case Reduction::avg:
      return ncclAvg;
  }
  return ncclSum;
}

/// One NCCL group: its calls are launched together when it ends. After a failure inside it is closed all the
/// same.
class Group {
 public:
  Group(const NcclLibrary& nccl, bool wanted) : nccl_(nccl), open_(wanted) {
    if (open_) nccl_.check(nccl_.group_start(), "ncclGroupStart");
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    if (open_) nccl_.group_end();
  }
  void end() {
    if (std::exchange(open_, false)) nccl_.check(nccl_.group_end(), "ncclGroupEnd");
  }

 private:
  const NcclLibrary& nccl_;
  bool open_;
};

}  // namespace

void PointRunner::issue(const Point& point, const std::vector<int>& mine, int iterations,
                        std::size_t first_slot) {
  const std::vector<int> members = members_among(point, mine);
  if (members.empty()) return;
  std::size_t slot = first_slot;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    Group aggregated(world_.nccl(), options_.aggregate > 1);
    for (int i = 0; i < options_.aggregate; ++i, ++slot)
      for (int phase = 0; phase < (point.ping_pong ? 2 : 1); ++phase)
        issue_phase(point, members, slot % point.slots, phase);
    aggregated.end();
    if (options_.blocking)
      for (const int i : members) world_.finish(world_.local()[static_cast<std::size_t>(i)]);
  }
}

void PointRunner::issue_phase(const Point& point, const std::vector<int>& members, std::size_t slot,
                              int phase) {
  Group together(world_.nccl(), members.size() > 1);
  for (const int i : members) issue_one(point, i, slot, phase);
  together.end();
}

void PointRunner::issue_one(const Point& point, int local_index, std::size_t slot, int phase) {
  const Block& block = *point.block;
  const NcclLibrary& nccl = world_.nccl();
  const auto index = static_cast<std::size_t>(local_index);
  const LocalRank& local = world_.local()[index];
  const ncclComm_t comm = (*point.comms)[index];
  const ncclDataType_t type = nccl_type(block.type);
  const auto member = static_cast<std::size_t>(member_of(point, local_index));
  const std::size_t count = point.counts.count;

  std::byte* recv = local.recv_pool + slot * point.stride_bytes;
  const std::byte* send = local.send_pool + slot * point.stride_bytes;
  if (point.in_place) {
    send = recv + member * point.counts.in_place_send_offset * point.element_bytes;
    recv += member * point.counts.in_place_recv_offset * point.element_bytes;
  }
  switch (block.operation) {
    case Operation::all_reduce:
      return nccl.check(
          nccl.all_reduce(send, recv, count, type, nccl_reduction(block.reduction), comm, local.stream),
          "ncclAllReduce");
    case Operation::all_gather:
      return nccl.check(nccl.all_gather(send, recv, count, type, comm, local.stream), "ncclAllGather");
    case Operation::reduce_scatter:
      return nccl.check(
          nccl.reduce_scatter(send, recv, count, type, nccl_reduction(block.reduction), comm, local.stream),
          "ncclReduceScatter");
    case Operation::broadcast:
      return nccl.check(nccl.broadcast(send, recv, count, type, block.root, comm, local.stream),
                        "ncclBroadcast");
    case Operation::all_to_all: {
      Group exchange(nccl, true);
      const std::size_t share = count * point.element_bytes;
      for (std::size_t peer = 0; peer < block.members.size(); ++peer) {
        nccl.check(nccl.send(send + peer * share, count, type, static_cast<int>(peer), comm, local.stream),
                   "ncclSend");
        nccl.check(nccl.recv(recv + peer * share, count, type, static_cast<int>(peer), comm, local.stream),
                   "ncclRecv");
      }
      return exchange.end();
    }
    case Operation::send: {
      // Pairs use the communicator of all, whose ranks are those of the run.
      const int peer = block.members[1 - member];
      const bool sends = (member == 0) == (phase == 0);
      return sends ? nccl.check(nccl.send(send, count, type, peer, comm, local.stream), "ncclSend")
                   : nccl.check(nccl.recv(recv, count, type, peer, comm, local.stream), "ncclRecv");
    }
    case Operation::sendrecv: {
      Group exchange(nccl, true);
      const int peer = block.members[1 - member];
      nccl.check(nccl.send(send, count, type, peer, comm, local.stream), "ncclSend");
      nccl.check(nccl.recv(recv, count, type, peer, comm, local.stream), "ncclRecv");
      return exchange.end();
    }
  }
}

}  // namespace sextant::nccl
