#include "calibrate/measure/device/step_comms.hpp"

namespace sextant::measure {
namespace {

ncclUniqueId new_id(const NcclLibrary& nccl) {
  ncclUniqueId id;
  nccl.check(nccl.get_unique_id(&id), "ncclGetUniqueId");
  return id;
}

ncclComm_t join(const NcclLibrary& nccl, const ncclUniqueId& id, int members, int member) {
  ncclComm_t comm = nullptr;
  nccl.check(nccl.comm_init_rank(&comm, members, id, member), "ncclCommInitRank");
  return comm;
}

}  // namespace

StepCommIds::StepCommIds(const NcclLibrary& nccl, const StepLayout& layout) {
  for (int stage = 0; stage < layout.pp; ++stage) {
    tensor.push_back(new_id(nccl));
    hop.emplace_back();
    for (int rank = 0; rank < layout.tp; ++rank) hop.back().push_back(new_id(nccl));
  }
  for (int rank = 0; rank < layout.tp; ++rank) tokens.push_back(new_id(nccl));
}

// In the same order on every GPU: a group waits for its members, so any other order could wait for ever.
StepComms join_groups(const NcclLibrary& nccl, const StepCommIds& ids, const StepLayout& layout, int stage,
                      int rank) {
  StepComms comms;
  const auto r = static_cast<std::size_t>(rank);
  if (layout.tp > 1) comms.tensor = join(nccl, ids.tensor[static_cast<std::size_t>(stage)], layout.tp, rank);
  for (int hop = 0; hop + 1 < layout.pp; ++hop) {
    const ncclUniqueId& id = ids.hop[static_cast<std::size_t>(hop)][r];
    if (stage == hop) comms.to_next = join(nccl, id, 2, 0);
    if (stage == hop + 1) comms.from_before = join(nccl, id, 2, 1);
  }
  if (layout.pp > 1 && stage == 0) comms.tokens = join(nccl, ids.tokens[r], 2, 0);
  if (layout.pp > 1 && stage == layout.pp - 1) comms.tokens = join(nccl, ids.tokens[r], 2, 1);
  return comms;
}

void leave_groups(const NcclLibrary& nccl, const StepComms& comms) {
  for (ncclComm_t comm : {comms.tensor, comms.from_before, comms.to_next, comms.tokens})
    if (comm != nullptr) nccl.comm_destroy(comm);
}

}  // namespace sextant::measure
