#include "calibrate/measure/device/guarded.hpp"

#include <cuda_runtime_api.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

/// What became of one try.
struct Ended {
  std::optional<int> code;  ///< none: killed by a signal or for its silence
  std::string family;       ///< the last one it worked on
  std::string how;
};

Ended watch(pid_t child, int descriptor, double most_silent_seconds) {
  Ended ended;
  constexpr int milliseconds_per_second = 1000;
  std::string text;
  while (true) {
    pollfd waiting{descriptor, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(most_silent_seconds * milliseconds_per_second));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      kill(child, SIGKILL);
      ended.how = fmt::format("was silent for {:.0f} s", most_silent_seconds);
      break;
    }
    std::array<char, 4096> buffer{};
    const ssize_t got = read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
      ended.family = text.substr(0, end);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && ended.how.empty()) ended.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status) && ended.how.empty())
    ended.how = fmt::format("ended by signal {}", WTERMSIG(status));
  if (ended.code == context_lost) ended.how = "broke the device's context";
  return ended;
}

}  // namespace

void Heartbeat::working_on(const std::string& family) const {
  const std::string line = family + "\n";
  if (write(descriptor_, line.data(), line.size()) < 0) return;  // the watcher has gone: nobody to tell
}

int run_guarded(double most_silent_seconds,
                const std::function<int(const std::set<std::string>&, int, const Heartbeat&)>& work) {
  constexpr int most_attempts = 8;
  std::set<std::string> left_out;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    std::array<int, 2> channel{};
    if (pipe(channel.data()) != 0) throw Error(ExitCode::failure, "cannot make a pipe");
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child < 0) throw Error(ExitCode::failure, "cannot start a process");
    if (child == 0) {
      close(channel[0]);
      const int code = work(left_out, attempt, Heartbeat(channel[1]));
      std::fflush(nullptr);
      _exit(code);
    }
    close(channel[1]);
    // Ctrl-C reaches both; the child finishes its point.
    std::signal(SIGINT, SIG_IGN);
    const Ended ended = watch(child, channel[0], most_silent_seconds);
    std::signal(SIGINT, SIG_DFL);
    close(channel[0]);
    if (ended.code && *ended.code != context_lost)
      return *ended.code == 0 && !left_out.empty() ? static_cast<int>(ExitCode::failure) : *ended.code;
    fmt::print(stderr, "{}: FAILED: {}; going on without it\n", ended.family.empty() ? "start" : ended.family,
               ended.how);
    if (ended.family.empty() || !left_out.insert(ended.family).second) break;
  }
  return static_cast<int>(ExitCode::failure);
}

bool context_is_lost() {
  cudaGetLastError();
  return cudaDeviceSynchronize() != cudaSuccess;
}

}  // namespace sextant::measure
