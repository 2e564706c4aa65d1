#pragma once
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace sextant {

/// The whole of a text file; one that is gzip-compressed (by content, not by name) comes back decompressed,
/// without a UTF-8 byte order mark. Throws InputError if it is missing, a directory, truncated or corrupt.
std::string read_text_file(const std::string& path);

/// Writes aside and renames, so that a reader (or a Ctrl-C) never sees half a file. "-" writes to stdout.
/// Throws Error (failure) if the directory is missing or the disk full.
void write_text_file(const std::string& path, std::string_view content);

/// Writes a file piece by piece as write_text_file does at once: aside, under its name only after commit().
class TextFileWriter {
 public:
  /// "-" writes to stdout, all at commit(). Throws InputError for a directory or device, Error (failure) if
  /// it cannot be opened.
  explicit TextFileWriter(const std::string& path);
  ~TextFileWriter();  ///< removes what was not committed
  TextFileWriter(const TextFileWriter&) = delete;
  TextFileWriter& operator=(const TextFileWriter&) = delete;
  /// Throws Error (failure) if the disk is full.
  void write(std::string_view text);
  void commit();

 private:
  [[noreturn]] void fail() const;
  std::string path_, aside_;
  std::FILE* file_ = nullptr;
};

/// Calls `line(text, number)` for each line (number from 1, no line end), decompressing gzip on the way
/// and leaving out a UTF-8 byte order mark; holds one line at a time, so a file may be larger than memory.
/// Throws InputError as read_text_file does.
void for_each_line(const std::string& path,
                   const std::function<void(std::string_view text, std::size_t number)>& line);

}  // namespace sextant
