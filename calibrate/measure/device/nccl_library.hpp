#pragma once
#include <nccl.h>

#include "calibrate/measure/device/shared_library.hpp"

namespace sextant::measure {

/// NCCL, loaded at run time.
struct NcclLibrary {
  NcclLibrary();
  /// Throws Error "CALL: reason" unless the call succeeded.
  void check(ncclResult_t, const char* call) const;
  int version() const;

  SharedLibrary library;
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRank) comm_init_rank = nullptr;
  decltype(&ncclCommDestroy) comm_destroy = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclAllGather) all_gather = nullptr;
  decltype(&ncclSend) send = nullptr;
  decltype(&ncclRecv) receive = nullptr;
  decltype(&ncclGroupStart) group_start = nullptr;
  decltype(&ncclGroupEnd) group_end = nullptr;
  decltype(&ncclGetErrorString) error_text = nullptr;
  decltype(&ncclGetVersion) get_version = nullptr;
};

}  // namespace sextant::measure
