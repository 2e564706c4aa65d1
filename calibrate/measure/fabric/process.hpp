#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace sextant::measure_fabric {

/// A started command whose standard output this process reads; ends with this object at the latest.
class Process {
 public:
  /// `words` begins with the program, found on PATH. Standard error stays this process's. Throws Error.
  explicit Process(const std::vector<std::string>& words);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// The next line without its end; nothing at the end of the output. Throws Error naming the command when
  /// none comes within `seconds`, Interrupted on Ctrl-C.
  std::optional<std::string> line(double seconds);
  /// Waits for the end; the exit code, or 128 plus the signal. Throws as line().
  int wait(double seconds);

 private:
  std::string command_;
  pid_t child_ = -1;
  int output_ = -1;
  std::string received_;
};

}  // namespace sextant::measure_fabric
