#pragma once
#include <chrono>
#include <cstdio>
#include <string>

namespace sextant::measure {

/// "[#####...............]  26 %  gemm bf16 m 64 n 4096 k 4096  left 1 min 15 s", at most `columns` wide.
/// `done` and `total` in any unit; the time left is the time per unit so far times what is left.
std::string progress_line(double done, double total, double elapsed_seconds, const std::string& label,
                          std::size_t columns = 110);

/// A progress bar on a terminal; elsewhere one plain line every ten seconds. Writes to stderr only.
class Progress {
 public:
  /// `quiet` writes nothing at all.
  Progress(double total, bool quiet, std::FILE* stream = stderr);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(double done, const std::string& label);
  /// One line of its own above the bar.
  void say(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  void clear();
  double total_;
  bool quiet_;
  bool terminal_;
  std::FILE* stream_;
  Clock::time_point start_, last_;
  bool drawn_ = false;
};

}  // namespace sextant::measure
