#include "calibrate/measure/fabric/process.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "calibrate/measure/common/interrupt.hpp"
#include "models/base/error.hpp"

namespace sextant::measure_fabric {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int exit_not_started = 127;
constexpr int poll_milliseconds = 100;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

Process::Process(const std::vector<std::string>& words) : command_(fmt::format("{}", fmt::join(words, " "))) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    throw Error(ExitCode::failure, fmt::format("{}: no pipe: {}", command_, std::strerror(errno)));
  std::vector<std::string> copies = words;
  std::vector<char*> pointers;
  for (std::string& word : copies) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  child_ = fork();
  if (child_ < 0)
    throw Error(ExitCode::failure, fmt::format("{}: cannot fork: {}", command_, std::strerror(errno)));
  if (child_ == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    execvp(pointers[0], pointers.data());
    _exit(exit_not_started);
  }
  close(ends[1]);
  output_ = ends[0];
}

Process::~Process() {
  close(output_);
  if (child_ <= 0) return;
  kill(-child_, SIGTERM);
  constexpr int turns = 20;
  for (int i = 0; i < turns; ++i) {
    if (waitpid(child_, nullptr, WNOHANG) != 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(poll_milliseconds));
  }
  kill(-child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

std::optional<std::string> Process::line(double seconds) {
  const auto begin = Clock::now();
  while (true) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      std::string result = received_.substr(0, end);
      received_.erase(0, end + 1);
      return result;
    }
    if (measure::interrupted()) throw Interrupted();
    if (since(begin) > seconds)
      throw Error(ExitCode::failure, fmt::format("{}: said nothing for {:.0f} s", command_, seconds));
    pollfd waiting{output_, POLLIN, 0};
    if (poll(&waiting, 1, poll_milliseconds) <= 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t count = read(output_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    received_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

int Process::wait(double seconds) {
  const auto begin = Clock::now();
  int status = 0;
  while (waitpid(child_, &status, WNOHANG) == 0) {
    if (measure::interrupted()) throw Interrupted();
    if (since(begin) > seconds)
      throw Error(ExitCode::failure, fmt::format("{}: did not end within {:.0f} s", command_, seconds));
    std::this_thread::sleep_for(std::chrono::milliseconds(poll_milliseconds / 10));
  }
  child_ = -1;
  constexpr int signal_base = 128;
  return WIFEXITED(status) ? WEXITSTATUS(status) : signal_base + WTERMSIG(status);
}

}  // namespace sextant::measure_fabric
