#pragma once
#include <nccl.h>

#include <string>

namespace sextant::nccl {

/// The NCCL functions used here, loaded at run time: the other measurements need no NCCL, and the library may
/// lie anywhere.
struct NcclLibrary {
  decltype(&ncclGetVersion) get_version = nullptr;
  decltype(&ncclGetErrorString) error_string = nullptr;
  decltype(&ncclGetLastError) last_error = nullptr;
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRank) comm_init_rank = nullptr;
  decltype(&ncclCommInitRankConfig) comm_init_rank_config = nullptr;
  decltype(&ncclCommSplit) comm_split = nullptr;
  decltype(&ncclCommDestroy) comm_destroy = nullptr;
  decltype(&ncclCommAbort) comm_abort = nullptr;
  decltype(&ncclCommGetAsyncError) async_error = nullptr;
  decltype(&ncclGroupStart) group_start = nullptr;
  decltype(&ncclGroupEnd) group_end = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclAllGather) all_gather = nullptr;
  decltype(&ncclReduceScatter) reduce_scatter = nullptr;
  decltype(&ncclBroadcast) broadcast = nullptr;
  decltype(&ncclSend) send = nullptr;
  decltype(&ncclRecv) recv = nullptr;
  std::string path;  ///< the file that was loaded

  /// "2.28.9".
  std::string version() const;
  /// Throws Error (failure) naming the call, NCCL's word for the result and its last message.
  void check(ncclResult_t, const char* call) const;
};

/// Loads `path`, or libnccl.so.2 as the loader finds it. Throws InputError if there is none, or a function is
/// missing.
NcclLibrary load_nccl(const std::string& path);

}  // namespace sextant::nccl
