#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// The GPU profiles that predictions stand on: shipped ones by name, files given by the user in their place.
/// Each is read once.
class ProfileStore {
 public:
  /// From now on the profile in this file stands for the GPU it names. Throws InputError if it is not a GPU
  /// profile, or the second of its GPU.
  void add_file(const std::string& path);
  /// Throws InputError naming the known ones.
  const std::shared_ptr<const GpuProfile>& gpu(const std::string& name);
  GpuProfileFinder finder();
  /// Throws InputError for a given file whose GPU nothing asked for.
  void expect_all_used() const;

 private:
  std::map<std::string, std::shared_ptr<const GpuProfile>> profiles_;
  std::map<std::string, std::string> given_;  // GPU -> file
  std::set<std::string> used_;
};

}  // namespace sextant
