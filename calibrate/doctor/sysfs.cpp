#include "calibrate/doctor/sysfs.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

namespace sextant {
namespace {

namespace files = std::filesystem;

constexpr std::size_t most_bytes = 4096;  // sysfs shows at most a page
constexpr std::size_t most_names = 4096;

bool is_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte < 0x7f);
  });
}

}  // namespace

std::optional<std::string> FileTree::line(const std::string& path) const {
  const int descriptor = open(at(path).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) return std::nullopt;
  std::array<char, most_bytes> buffer{};
  struct stat status {};
  ssize_t bytes = -1;
  if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode))
    bytes = read(descriptor, buffer.data(), buffer.size());
  close(descriptor);
  if (bytes < 0) return std::nullopt;
  std::string_view text(buffer.data(), static_cast<std::size_t>(bytes));
  text = text.substr(0, text.find('\n'));
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
  if (!is_text(text)) return std::nullopt;
  return std::string(text);
}

std::optional<int> FileTree::number(const std::string& path) const {
  constexpr std::size_t most_digits = 10;
  const auto text = line(path);
  if (!text || text->empty() || text->size() > most_digits + 2) return std::nullopt;
  const bool hexadecimal = text->starts_with("0x");
  const char *begin = text->data() + (hexadecimal ? 2 : 0), *end = text->data() + text->size();
  int value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value, hexadecimal ? 16 : 10);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::vector<std::string> FileTree::names(const std::string& path) const {
  std::vector<std::string> list;
  std::error_code error;
  for (files::directory_iterator it(at(path), error), end; !error && it != end && list.size() < most_names;
       it.increment(error)) {
    std::string name = it->path().filename().string();
    if (is_text(name)) list.push_back(std::move(name));
  }
  std::sort(list.begin(), list.end());
  return list;
}

bool FileTree::folder(const std::string& path) const {
  std::error_code error;
  return files::is_directory(at(path), error);
}

std::string FileTree::link_target(const std::string& path) const {
  std::error_code error;
  std::string target = files::read_symlink(at(path), error).filename().string();
  return error || !is_text(target) ? "" : target;
}

std::optional<unsigned> FileTree::mode(const std::string& path) const {
  std::error_code error;
  const files::file_status status = files::status(at(path), error);
  if (error || !files::exists(status)) return std::nullopt;
  return static_cast<unsigned>(status.permissions() & files::perms::mask);
}

}  // namespace sextant
