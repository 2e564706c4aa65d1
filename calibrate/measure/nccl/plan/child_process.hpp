#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace sextant::nccl {

/// A program to run with an environment of its own; it writes lines to a pipe of ours.
struct ChildProgram {
  std::string path;
  std::vector<std::string> arguments;                          ///< without the program's name
  std::vector<std::pair<std::string, std::string>> variables;  ///< added to this process's, or replacing them
  std::string pipe_option;  ///< gets the pipe's descriptor as its value, as the last arguments
};

/// How a child ended: its exit code, or 128 plus the signal that killed it.
struct ChildEnd {
  int code = 0;
};

/// Starts the program, calls `line` for each line it writes to the pipe, and waits for its end. The child
/// dies with this process; `poll` is called at least every 0.2 s and the child gets SIGINT when it returns
/// true (once). Throws Error if it cannot be started.
ChildEnd run_child_program(const ChildProgram&, const std::function<void(const std::string& line)>& line,
                           const std::function<bool()>& poll);

}  // namespace sextant::nccl
