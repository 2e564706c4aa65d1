#include "calibrate/measure/nccl/plan/child_process.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>

#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

constexpr int exit_not_started = 127;
constexpr int poll_milliseconds = 200;

[[noreturn]] void fail(const char* call) {
  throw Error(ExitCode::failure, fmt::format("{}: {}", call, std::strerror(errno)));
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& variables) {
  std::vector<std::string> result;
  for (char** each = environ; *each; ++each) {
    const std::string text = *each;
    bool replaced = false;
    for (const auto& [name, value] : variables) replaced |= text.starts_with(name + "=");
    if (!replaced) result.push_back(text);
  }
  for (const auto& [name, value] : variables) result.push_back(name + "=" + value);
  return result;
}

/// Everything is prepared before the fork: after it only calls that are safe beside other threads.
pid_t start(const ChildProgram& program, int pipe_descriptor) {
  std::vector<std::string> arguments = {program.path};
  arguments.insert(arguments.end(), program.arguments.begin(), program.arguments.end());
  arguments.push_back(program.pipe_option);
  arguments.push_back(std::to_string(pipe_descriptor));
  std::vector<std::string> environment = environment_with(program.variables);
  const std::vector<char*> argument_pointers = pointers(arguments),
                           environment_pointers = pointers(environment);
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child > 0) return child;
  setpgid(0, 0);  // Ctrl-C reaches the parent, which passes it on
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  execve(program.path.c_str(), argument_pointers.data(), environment_pointers.data());
  _exit(exit_not_started);
}

/// Splits what comes from a pipe into lines.
class LineSplitter {
 public:
  explicit LineSplitter(const std::function<void(const std::string&)>& line) : line_(line) {}
  void add(const char* data, std::size_t bytes) {
    rest_.append(data, bytes);
    for (std::size_t end; (end = rest_.find('\n')) != std::string::npos; rest_.erase(0, end + 1))
      line_(rest_.substr(0, end));
  }

 private:
  const std::function<void(const std::string&)>& line_;
  std::string rest_;
};

void read_lines(int descriptor, pid_t child, const std::function<void(const std::string&)>& line,
                const std::function<bool()>& stop) {
  LineSplitter lines(line);
  std::array<char, 4096> buffer{};
  bool told = false;
  for (;;) {
    if (!told && stop()) {
      told = true;
      kill(child, SIGINT);
    }
    pollfd waiting{descriptor, POLLIN, 0};
    const int ready = poll(&waiting, 1, poll_milliseconds);
    if (ready < 0 && errno != EINTR) fail("poll");
    if (ready <= 0) continue;
    const ssize_t bytes = read(descriptor, buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) fail("read");
    if (bytes == 0) return;
    lines.add(buffer.data(), static_cast<std::size_t>(bytes));
  }
}

}  // namespace

ChildEnd run_child_program(const ChildProgram& program,
                           const std::function<void(const std::string& line)>& line,
                           const std::function<bool()>& poll) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), 0) != 0) fail("pipe2");
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  const pid_t child = start(program, ends[1]);
  close(ends[1]);
  std::exception_ptr failure;
  try {
    read_lines(ends[0], child, line, poll);
  } catch (...) {
    failure = std::current_exception();
    kill(child, SIGTERM);
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("waitpid");
  if (failure) std::rethrow_exception(failure);
  if (WIFEXITED(status) && WEXITSTATUS(status) == exit_not_started)
    throw Error(ExitCode::failure, fmt::format("{}: cannot be started", program.path));
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
}

}  // namespace sextant::nccl
