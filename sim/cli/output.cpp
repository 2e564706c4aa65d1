#include "sim/cli/output.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {

TextStyle stdout_style() {
  const char* no_colour = std::getenv("NO_COLOR");
  const bool refused = no_colour != nullptr && *no_colour != '\0';
  TextStyle style;
  style.colour = !refused && isatty(STDOUT_FILENO) == 1;
  return style;
}

void print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written || std::fflush(stdout) != 0)
    throw Error(ExitCode::failure, fmt::format("stdout: cannot write: {}", std::strerror(errno)));
}

void check_writable(const std::string& option, const std::optional<std::string>& path) {
  namespace fs = std::filesystem;
  if (!path || *path == "-") return;
  const auto refuse = [&](const std::string& why) {
    throw InputError(fmt::format("{} {}: cannot write: {}", option, *path, why));
  };
  if (path->empty()) refuse("found an empty name, expected a file or - for stdout");
  std::error_code error;
  const fs::file_status status = fs::status(*path, error);
  // Results are written aside and renamed, which would replace a device by a file.
  if (fs::exists(status) && !fs::is_regular_file(status))
    refuse(fs::is_directory(status) ? "found a directory, expected a file"
                                    : "found a device, expected a file or - for stdout");
  fs::path directory = fs::path(*path).parent_path();
  if (directory.empty()) directory = ".";
  if (!fs::is_directory(directory, error)) refuse(fmt::format("no directory '{}'", directory.string()));
  if (access(directory.c_str(), W_OK) != 0) refuse(std::strerror(errno));
}

void write_result(const std::optional<std::string>& path, const std::string& content) {
  if (!path) return;
  if (*path == "-")
    print(content);
  else
    write_text_file(*path, content);
}

std::string progress_line(const std::string& what, int done, int total, double seconds) {
  constexpr int width = 24;
  const double share = total > 0 ? std::clamp(static_cast<double>(done) / total, 0.0, 1.0) : 0;
  const int full = static_cast<int>(width * share);
  std::string text =
      fmt::format("{}: [{}{}] {} of {}", what, std::string(static_cast<std::size_t>(full), '#'),
                  std::string(static_cast<std::size_t>(width - full), '-'), done, total);
  if (done <= 0 || !(seconds > 0)) return text;
  const double rate = done / seconds, left = (total - done) / rate;
  text += fmt::format(", {:.{}f}/s", rate, rate < 10 ? 1 : 0);
  if (left >= 120) return text + fmt::format(", {:.0f} min left", left / 60);
  return text + fmt::format(", {:.0f} s left", left);
}

Progress::Progress(std::string what, bool quiet)
    : what_(std::move(what)), shown_(!quiet && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::show(int done, int total) {
  if (!shown_) return;
  const std::lock_guard lock(mutex_);
  const std::chrono::duration<double> since = std::chrono::steady_clock::now() - start_;
  fmt::print(stderr, "\r\x1b[K{}", progress_line(what_, done, total, since.count()));
  std::fflush(stderr);
}

}  // namespace sextant
