#pragma once
#include <vector>

#include "calibrate/measure/common/step_case.hpp"
#include "calibrate/measure/device/nccl_library.hpp"

namespace sextant::measure {

/// The NCCL groups that one GPU of a layout belongs to; null where it needs none. GPU number = stage * tp +
/// rank.
struct StepComms {
  ncclComm_t tensor = nullptr;                          ///< its stage's tensor-parallel group
  ncclComm_t from_before = nullptr, to_next = nullptr;  ///< hidden state and residual, rank by rank
  ncclComm_t tokens = nullptr;                          ///< last stage to first stage
};

/// One group's name, made once in the process and shared with its members.
struct StepCommIds {
  StepCommIds(const NcclLibrary&, const StepLayout&);
  std::vector<ncclUniqueId> tensor;            ///< by stage
  std::vector<std::vector<ncclUniqueId>> hop;  ///< by stage (to the next) and rank
  std::vector<ncclUniqueId> tokens;            ///< by rank
};

/// Joins the groups of a GPU; every GPU's thread must call it at the same time.
StepComms join_groups(const NcclLibrary&, const StepCommIds&, const StepLayout&, int stage, int rank);
void leave_groups(const NcclLibrary&, const StepComms&);

}  // namespace sextant::measure
