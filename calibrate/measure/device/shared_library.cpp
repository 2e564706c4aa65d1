#include "calibrate/measure/device/shared_library.hpp"

#include <dlfcn.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

std::vector<std::string> folders() {
  std::vector<std::string> list = {""};
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* home = std::getenv(variable)) list.push_back(std::string(home) + "/lib64/");
  list.emplace_back("/usr/local/cuda/lib64/");
  return list;
}

}  // namespace

SharedLibrary::SharedLibrary(const std::vector<std::string>& names) {
  std::string reason;
  for (const std::string& folder : folders())
    for (const std::string& candidate : names) {
      handle_ = dlopen((folder + candidate).c_str(), RTLD_NOW | RTLD_GLOBAL);
      if (handle_ != nullptr) {
        name_ = candidate;
        return;
      }
      if (const char* error = dlerror(); error != nullptr && reason.empty()) reason = error;
    }
  throw Error(ExitCode::failure, fmt::format("no {}: {}", fmt::join(names, " nor "), reason));
}

void* SharedLibrary::symbol(const char* name, bool required) const {
  void* found = dlsym(handle_, name);
  if (found == nullptr && required)
    throw Error(ExitCode::failure, fmt::format("{} has no function {}", name_, name));
  return found;
}

}  // namespace sextant::measure
