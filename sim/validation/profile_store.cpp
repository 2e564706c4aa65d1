#include "sim/validation/profile_store.hpp"

#include <fmt/core.h>

#include "models/base/error.hpp"
#include "models/profile/operator_rules.hpp"

namespace sextant {

void ProfileStore::add_file(const std::string& path) {
  GpuProfile profile = read_gpu_profile(JsonValue::read(path));
  const auto [known, is_new] = given_.emplace(profile.gpu, path);
  if (!is_new)
    throw InputError(fmt::format("{}: found a second profile of {}, expected one; the first is {}", path,
                                 profile.gpu, known->second));
  add_operators_by_rule(profile, shipped_operator_rules());
  const std::string gpu = profile.gpu;
  profiles_[gpu] = std::make_shared<const GpuProfile>(std::move(profile));
}

const std::shared_ptr<const GpuProfile>& ProfileStore::gpu(const std::string& name) {
  const auto found = profiles_.find(name);
  if (found != profiles_.end()) {
    used_.insert(name);
    return found->second;
  }
  return profiles_.emplace(name, std::make_shared<const GpuProfile>(find_gpu_profile(name))).first->second;
}

GpuProfileFinder ProfileStore::finder() {
  return [this](const std::string& name) { return *gpu(name); };
}

void ProfileStore::expect_all_used() const {
  for (const auto& [gpu, path] : given_)
    if (used_.count(gpu) == 0)
      throw InputError(
          fmt::format("--profile {}: it is of {}, expected rows of that GPU and found none", path, gpu));
}

}  // namespace sextant
