#pragma once
#include <stdexcept>
#include <string>

namespace sextant {

/// Exit codes of every sextant binary (README: "Exit codes").
enum class ExitCode : int {
  ok = 0,
  failure = 1,
  bad_input = 2,
  no_feasible_plan = 3,
  threshold_missed = 4,
  interrupted = 130,
};

/// An error that main() turns into one line on stderr and an exit code. The message is one line, lower case:
/// where, what was found, what was expected.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Bad usage or bad input: a misspelt key, a number out of range, a missing file. Exit code 2.
class InputError : public Error {
 public:
  explicit InputError(const std::string& message) : Error(ExitCode::bad_input, message) {}
};

/// No layout, purchase or rate meets what was asked. Exit code 3.
class InfeasibleError : public Error {
 public:
  explicit InfeasibleError(const std::string& message) : Error(ExitCode::no_feasible_plan, message) {}
};

/// The user pressed Ctrl-C. Exit code 130.
class Interrupted : public Error {
 public:
  Interrupted() : Error(ExitCode::interrupted, "interrupted") {}
};

}  // namespace sextant
