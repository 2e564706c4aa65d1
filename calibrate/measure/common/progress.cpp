#include "calibrate/measure/common/progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "calibrate/measure/common/size_text.hpp"

namespace sextant::measure {
namespace {

constexpr std::size_t bar_columns = 20;
constexpr double redraw_seconds = 0.1;
constexpr double plain_seconds = 10;

}  // namespace

std::string progress_line(double done, double total, double elapsed_seconds, const std::string& label,
                          std::size_t columns) {
  const double share = total > 0 ? std::clamp(done / total, 0.0, 1.0) : 1;
  const auto filled = static_cast<std::size_t>(share * bar_columns);
  std::string line = fmt::format("[{}{}] {:3.0f} %  ", std::string(filled, '#'),
                                 std::string(bar_columns - filled, '.'), 100 * share);
  const std::string left =
      share > 0 ? "  left " + duration_text(elapsed_seconds * (1 - share) / share) : std::string();
  const std::size_t room = columns > line.size() + left.size() ? columns - line.size() - left.size() : 0;
  return line + label.substr(0, room) + left;
}

Progress::Progress(double total, bool quiet, std::FILE* stream)
    : total_(total),
      quiet_(quiet),
      terminal_(isatty(fileno(stream)) != 0),
      stream_(stream),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stream_);
  std::fflush(stream_);
  drawn_ = false;
}

void Progress::update(double done, const std::string& label) {
  if (quiet_) return;
  const auto now = Clock::now();
  const double since = std::chrono::duration<double>(now - last_).count();
  if (since < (terminal_ ? redraw_seconds : plain_seconds)) return;
  last_ = now;
  const std::string line =
      progress_line(done, total_, std::chrono::duration<double>(now - start_).count(), label);
  fmt::print(stream_, "{}{}{}", terminal_ ? "\r\033[K" : "", line, terminal_ ? "" : "\n");
  std::fflush(stream_);
  drawn_ = terminal_;
}

void Progress::say(const std::string& line) {
  clear();
  fmt::print(stream_, "{}\n", line);
  std::fflush(stream_);
}

}  // namespace sextant::measure
