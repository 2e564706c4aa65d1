#include "calibrate/measure/device/nccl_library.hpp"

#include <fmt/core.h>

#include "models/base/error.hpp"

namespace sextant::measure {

NcclLibrary::NcclLibrary() : library({"libnccl.so.2", "libnccl.so"}) {
  library.find(get_unique_id, "ncclGetUniqueId");
  library.find(comm_init_rank, "ncclCommInitRank");
  library.find(comm_destroy, "ncclCommDestroy");
  library.find(all_reduce, "ncclAllReduce");
  library.find(all_gather, "ncclAllGather");
  library.find(send, "ncclSend");
  library.find(receive, "ncclRecv");
  library.find(group_start, "ncclGroupStart");
  library.find(group_end, "ncclGroupEnd");
  library.find(error_text, "ncclGetErrorString");
  library.find(get_version, "ncclGetVersion");
}

void NcclLibrary::check(ncclResult_t status, const char* call) const {
  if (status != ncclSuccess) throw Error(ExitCode::failure, fmt::format("{}: {}", call, error_text(status)));
}

int NcclLibrary::version() const {
  int value = 0;
  check(get_version(&value), "ncclGetVersion");
  return value;
}

}  // namespace sextant::measure
