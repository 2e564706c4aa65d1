#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace sextant::fuzz {

/// One reader of files that others write.
struct Target {
  const char* name;
  /// Reads the bytes as its file. InputError is the right answer to most; anything else that is thrown is a
  /// finding.
  void (*read)(std::string_view bytes);
  /// Where examples lie, from the root of the repository: folder and the beginning of the names.
  std::vector<std::pair<std::string, std::string>> seeds;
};

const std::vector<Target>& targets();
const Target& find_target(std::string_view name);

}  // namespace sextant::fuzz
