#include "models/base/text_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

class TextFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("sextant_text_file_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  static void write_gzip(const std::string& path, const std::string& content) {
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
    gzclose(file);
  }

  std::filesystem::path folder_;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  for_each_line(path, [&](std::string_view text, std::size_t number) {
    EXPECT_EQ(number, lines.size() + 1);
    lines.emplace_back(text);
  });
  return lines;
}

std::string error_of(const std::string& path) {
  try {
    read_text_file(path);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(TextFile, ComesBackAsWritten) {
  const std::string content("one\ntwo\0three\n", 14);
  write_text_file(path("a"), content);
  EXPECT_EQ(read_text_file(path("a")), content);
  write_text_file(path("a"), "");
  EXPECT_EQ(read_text_file(path("a")), "");
  // Nothing but the file itself is left behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(TextFile, GzipIsToldByContentNotByName) {
  const std::string content(200'000, 'x');  // more than one buffer
  write_gzip(path("plain.json"), content);
  EXPECT_EQ(read_text_file(path("plain.json")), content);
}

TEST_F(TextFile, LinesHaveNoEndsAndNumbersFromOne) {
  write_text_file(path("a"), "one\r\n\nthree");
  EXPECT_EQ(lines_of(path("a")), (std::vector<std::string>{"one", "", "three"}));
  write_text_file(path("a"), "one\n");
  EXPECT_EQ(lines_of(path("a")), (std::vector<std::string>{"one"}));
  write_text_file(path("a"), "");
  EXPECT_TRUE(lines_of(path("a")).empty());
}

TEST_F(TextFile, LinesMayBeLongerThanTheBuffer) {
  const std::string long_line(150'000, 'y');
  write_gzip(path("a.gz"), long_line + "\nshort\n");
  EXPECT_EQ(lines_of(path("a.gz")), (std::vector<std::string>{long_line, "short"}));
}

// Windows writes the three bytes EF BB BF before a text; within one they are a character.
TEST_F(TextFile, AByteOrderMarkIsLeftOutOfTheBeginning) {
  const std::string mark = "\xEF\xBB\xBF";
  write_text_file(path("a"), mark + "one\n" + mark + "two\n");
  EXPECT_EQ(read_text_file(path("a")), "one\n" + mark + "two\n");
  EXPECT_EQ(lines_of(path("a")), (std::vector<std::string>{"one", mark + "two"}));
  write_gzip(path("a.gz"), mark + "one\n");
  EXPECT_EQ(lines_of(path("a.gz")), (std::vector<std::string>{"one"}));
  write_text_file(path("a"), mark);
  EXPECT_EQ(read_text_file(path("a")), "");
  EXPECT_TRUE(lines_of(path("a")).empty());
}

TEST_F(TextFile, MissingOnesAndFoldersAreNamed) {
  EXPECT_EQ(error_of(path("none")), path("none") + ": no such file");
  EXPECT_THAT(error_of(folder_.string()), HasSubstr("found a directory, expected a file"));
}

TEST_F(TextFile, TruncatedGzipIsAnError) {
  std::string noise;
  for (unsigned i = 0, x = 1; i < 50'000; ++i, x = x * 1'664'525 + 1'013'904'223)
    noise += static_cast<char>(x >> 24);
  write_gzip(path("a.gz"), noise);
  std::filesystem::resize_file(path("a.gz"), std::filesystem::file_size(path("a.gz")) / 2);
  EXPECT_THAT(error_of(path("a.gz")), HasSubstr("truncated or corrupt gzip data"));
}

TEST_F(TextFile, CorruptGzipIsAnError) {
  write_gzip(path("a.gz"), std::string(1000, 'x') + "abcdefgh");
  std::fstream file(path("a.gz"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-6, std::ios::end);  // within the checksum
  file.put('\x55');
  file.close();
  EXPECT_THAT(error_of(path("a.gz")), HasSubstr("truncated or corrupt gzip data"));
}

TEST_F(TextFile, WritingWhereThereIsNoFolderFails) {
  try {
    write_text_file(path("none/a"), "x");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::failure);
    EXPECT_THAT(error.what(), HasSubstr("cannot write: No such file or directory"));
  }
}

TEST(Embedded, HoldsFilesAsTheyAre) {
  const std::string name = "models/llm/catalogue/weight-formats.json";
  const std::vector<EmbeddedFile> files = embedded_files(name);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].path, name);
  EXPECT_EQ(files[0].content, read_text_file(std::string(SEXTANT_SOURCE_DIR) + "/" + name));
}

TEST(Embedded, ListsByPrefixInPathOrder) {
  const std::vector<EmbeddedFile> files = embedded_files("models/hardware/catalogue/");
  ASSERT_EQ(files.size(), 6u);  // congestion, gpus, nics, node-types, switches, transports
  for (std::size_t i = 1; i < files.size(); ++i) EXPECT_LT(files[i - 1].path, files[i].path);
  EXPECT_TRUE(embedded_files("nothing/").empty());
}

}  // namespace
}  // namespace sextant
