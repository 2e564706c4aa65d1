#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "models/base/error.hpp"
#include "tests/fuzz/targets.hpp"

namespace sextant::fuzz {
namespace {

const std::filesystem::path root = SEXTANT_SOURCE_DIR;

std::vector<std::filesystem::path> files_of(const Target& target) {
  auto places = target.seeds;
  places.emplace_back(std::string("tests/fuzz/corpus/") + target.name, "");
  std::vector<std::filesystem::path> files;
  for (const auto& [folder, beginning] : places) {
    if (!std::filesystem::is_directory(root / folder)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(root / folder))
      if (entry.is_regular_file() && entry.path().filename().string().starts_with(beginning))
        files.push_back(entry.path());
  }
  return files;
}

class Replay : public testing::TestWithParam<std::string> {};

// Every example and everything that fuzzing once found: read, or refused with an InputError.
TEST_P(Replay, ReadsOrRefuses) {
  const Target& target = find_target(GetParam());
  const auto files = files_of(target);
  EXPECT_FALSE(files.empty());
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    SCOPED_TRACE(file.string());
    try {
      target.read(bytes);
    } catch (const InputError& error) {
      EXPECT_STRNE(error.what(), "");
    }
    // Half a file is bad input at worst.
    try {
      target.read(std::string_view(bytes).substr(0, bytes.size() / 2));
    } catch (const InputError& error) {
      EXPECT_STRNE(error.what(), "");
    }
  }
}

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const Target& target : targets()) list.emplace_back(target.name);
  return list;
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Replay, testing::ValuesIn(names()),
                         [](const auto& target) { return target.param; });

}  // namespace
}  // namespace sextant::fuzz
