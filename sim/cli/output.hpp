#pragma once
#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "reports/text_style.hpp"

namespace sextant {

/// Colours where stdout is a terminal and NO_COLOR is unset or empty.
TextStyle stdout_style();

/// Writes data to stdout. Throws Error (failure) if that fails (a full disk behind a redirection).
void print(const std::string& text);

/// Refuses, before a long run, a file that could not be written after it. "-" is stdout. Throws InputError.
void check_writable(const std::string& option, const std::optional<std::string>& path);

/// Writes a result to its file, or to stdout if the path is "-"; nothing if there is no path.
void write_result(const std::optional<std::string>& path, const std::string& content);

/// How far a run is in one line of less than 100 columns: "points: [######----] 6 of 10, 2.0/s, 2 s left".
/// Rate and time left come from what was done in `seconds`, and are left out while nothing is.
std::string progress_line(const std::string& what, int done, int total, double seconds);

/// That line on stderr; only on a terminal, gone when the run is.
class Progress {
 public:
  Progress(std::string what, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// May be called from several threads.
  void show(int done, int total);

 private:
  std::string what_;
  bool shown_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
};

}  // namespace sextant
