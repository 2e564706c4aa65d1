#include "models/base/text_file.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// zlib's file reader passes plain text through unchanged, so one path serves both. A UTF-8 byte order mark
/// at the beginning is left out.
class GzipReader {
 public:
  explicit GzipReader(const std::string& path) : path_(path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0)
      throw InputError(fmt::format("{}: {}", path, errno == ENOENT ? "no such file" : std::strerror(errno)));
    if (S_ISDIR(status.st_mode))
      throw InputError(fmt::format("{}: found a directory, expected a file", path));
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) throw InputError(fmt::format("{}: {}", path, std::strerror(errno)));
    gzbuffer(file_.get(), 1 << 17);
  }

  /// Bytes read, 0 at the end.
  std::size_t read(char* buffer, std::size_t size) {
    const std::size_t got = read_raw(buffer, size);
    if (std::exchange(begun_, true) || !std::string_view(buffer, got).starts_with(byte_order_mark))
      return got;
    std::memmove(buffer, buffer + byte_order_mark.size(), got - byte_order_mark.size());
    const std::size_t rest = got - byte_order_mark.size();
    return rest > 0 ? rest : read_raw(buffer, size);
  }

 private:
  std::size_t read_raw(char* buffer, std::size_t size) {
    const int got = gzread(file_.get(), buffer, static_cast<unsigned>(size));
    int error = Z_OK;
    gzerror(file_.get(), &error);
    // A truncated stream yields what it has, then a read of nothing with Z_BUF_ERROR.
    if (got < 0 || (got == 0 && error != Z_OK && error != Z_STREAM_END))
      throw InputError(fmt::format("{}: truncated or corrupt gzip data", path_));
    return static_cast<std::size_t>(got);
  }

  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };
  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  bool begun_ = false;
};

}  // namespace

std::string read_text_file(const std::string& path) {
  GzipReader reader(path);
  std::string content;
  char buffer[1 << 16];
  while (const std::size_t got = reader.read(buffer, sizeof buffer)) content.append(buffer, got);
  return content;
}

void for_each_line(const std::string& path, const std::function<void(std::string_view, std::size_t)>& line) {
  GzipReader reader(path);
  std::string rest;
  std::size_t number = 0;
  char buffer[1 << 16];
  auto emit = [&](std::string_view text) {
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    line(text, ++number);
  };
  const auto read = [&] {
    try {
      return reader.read(buffer, sizeof buffer);
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}, after line {}", error.what(), number));
    }
  };
  while (const std::size_t got = read()) {
    std::string_view chunk(buffer, got);
    for (std::size_t end; (end = chunk.find('\n')) != std::string_view::npos; chunk.remove_prefix(end + 1)) {
      if (rest.empty()) {
        emit(chunk.substr(0, end));
      } else {
        rest.append(chunk.substr(0, end));
        emit(rest);
        rest.clear();
      }
    }
    rest.append(chunk);
  }
  if (!rest.empty()) emit(rest);
}

void write_text_file(const std::string& path, std::string_view content) {
  if (path == "-") {
    const bool written = std::fwrite(content.data(), 1, content.size(), stdout) == content.size();
    if (!written || std::fflush(stdout) != 0) throw Error(ExitCode::failure, "cannot write to stdout");
    return;
  }
  TextFileWriter writer(path);
  writer.write(content);
  writer.commit();
}

TextFileWriter::TextFileWriter(const std::string& path) : path_(path) {
  if (path == "-") {
    file_ = std::tmpfile();
    if (file_ == nullptr) fail();
    return;
  }
  struct stat existing {};
  if (stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode))
    throw InputError(fmt::format("{}: found a directory or device, expected a file to write", path));
  aside_ = fmt::format("{}.{}.part", path, getpid());
  file_ = std::fopen(aside_.c_str(), "wb");
  if (file_ == nullptr) {
    aside_.clear();
    fail();
  }
}

TextFileWriter::~TextFileWriter() {
  if (file_ != nullptr) std::fclose(file_);
  if (!aside_.empty()) std::remove(aside_.c_str());
}

void TextFileWriter::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail();
}

void TextFileWriter::commit() {
  if (aside_.empty()) {
    std::rewind(file_);
    char buffer[1 << 16];
    while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, file_))
      if (std::fwrite(buffer, 1, got, stdout) != got) fail();
    if (std::ferror(file_) != 0 || std::fflush(stdout) != 0) fail();
    return;
  }
  const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
  if (!closed || std::rename(aside_.c_str(), path_.c_str()) != 0) fail();
  aside_.clear();
}

void TextFileWriter::fail() const {
  if (path_ == "-") throw Error(ExitCode::failure, "cannot write to stdout");
  throw Error(ExitCode::failure, fmt::format("{}: cannot write: {}", path_, std::strerror(errno)));
}

}  // namespace sextant
