#include "calibrate/measure/nccl/nccl_library.hpp"

#include <dlfcn.h>
#include <fmt/core.h>

#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

template <class Function>
void bind(void* library, const std::string& path, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  if (!function)
    throw InputError(fmt::format("nccl: {} has no {}, expected NCCL 2.18 or later", path, symbol));
}

}  // namespace

std::string NcclLibrary::version() const {
  int code = 0;
  check(get_version(&code), "ncclGetVersion");
  return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100);
}

void NcclLibrary::check(ncclResult_t result, const char* call) const {
  if (result == ncclSuccess) return;
  const char* detail = last_error(nullptr);
  throw Error(ExitCode::failure, fmt::format("{}: {}{}{}", call, error_string(result),
                                             detail && *detail ? ": " : "", detail ? detail : ""));
}

NcclLibrary load_nccl(const std::string& path) {
  std::string wanted = path.empty() ? "libnccl.so.2" : path;
  void* library = dlopen(wanted.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library && path.empty()) {
    const std::string in_toolkit = "/usr/local/cuda/lib64/libnccl.so.2";
    library = dlopen(in_toolkit.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) wanted = in_toolkit;
  }
  if (!library)
    throw InputError(
        fmt::format("nccl: {}, expected NCCL (LD_LIBRARY_PATH, or --nccl-library FILE)", dlerror()));
  NcclLibrary nccl;
  bind(library, wanted, "ncclGetVersion", nccl.get_version);
  bind(library, wanted, "ncclGetErrorString", nccl.error_string);
  bind(library, wanted, "ncclGetLastError", nccl.last_error);
  bind(library, wanted, "ncclGetUniqueId", nccl.get_unique_id);
  bind(library, wanted, "ncclCommInitRank", nccl.comm_init_rank);
  bind(library, wanted, "ncclCommInitRankConfig", nccl.comm_init_rank_config);
  bind(library, wanted, "ncclCommSplit", nccl.comm_split);
  bind(library, wanted, "ncclCommDestroy", nccl.comm_destroy);
  bind(library, wanted, "ncclCommAbort", nccl.comm_abort);
  bind(library, wanted, "ncclCommGetAsyncError", nccl.async_error);
  bind(library, wanted, "ncclGroupStart", nccl.group_start);
  bind(library, wanted, "ncclGroupEnd", nccl.group_end);
  bind(library, wanted, "ncclAllReduce", nccl.all_reduce);
  bind(library, wanted, "ncclAllGather", nccl.all_gather);
  bind(library, wanted, "ncclReduceScatter", nccl.reduce_scatter);
  bind(library, wanted, "ncclBroadcast", nccl.broadcast);
  bind(library, wanted, "ncclSend", nccl.send);
  bind(library, wanted, "ncclRecv", nccl.recv);
  Dl_info info{};
  nccl.path =
      dladdr(reinterpret_cast<void*>(nccl.get_version), &info) && info.dli_fname ? info.dli_fname : wanted;
  return nccl;
}

}  // namespace sextant::nccl
