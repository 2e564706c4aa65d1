#include "calibrate/measure/tcp/flood.hpp"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "models/base/error.hpp"

namespace sextant::tcp {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t chunk_bytes = 256 << 10;
constexpr int parts = 10;

void end_waits_soon(const Socket& socket) {
  constexpr int microseconds = 200'000;
  const timeval soon{0, microseconds};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
}

/// One thread for each stream; stopped and joined at the end.
class Workers {
 public:
  template <class Work>
  Workers(const std::vector<Socket>& streams, Work work) {
    for (const Socket& stream : streams) {
      end_waits_soon(stream);
      threads_.emplace_back([this, &stream, work] {
        std::vector<char> data(chunk_bytes);
        while (!stop_ && work(stream, data)) {
        }
      });
    }
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

bool only_waited() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

double gbps(std::uint64_t bytes, double seconds) {
  constexpr double bits_per_byte = 8, giga = 1e9;
  return static_cast<double>(bytes) * bits_per_byte / giga / seconds;
}

}  // namespace

FloodResult send_flood(const std::vector<Socket>& streams, Control& control, double seconds,
                       double patience_seconds) {
  const Workers workers(streams, [](const Socket& stream, std::vector<char>& data) {
    return send(stream.get(), data.data(), data.size(), MSG_NOSIGNAL) > 0 || only_waited();
  });
  const JsonObject measured = control.expect("measured", seconds * (1 + 1.0 / parts) + patience_seconds);
  return {measured.number("gbps", {0}), measured.number("slowest", {0}), measured.number("fastest", {0})};
}

FloodResult receive_flood(const std::vector<Socket>& streams, Control& control, double seconds) {
  std::atomic<std::uint64_t> bytes{0};
  FloodResult result;
  {
    const Workers workers(streams, [&bytes](const Socket& stream, std::vector<char>& data) {
      const ssize_t count = recv(stream.get(), data.data(), data.size(), 0);
      if (count > 0) bytes += static_cast<std::uint64_t>(count);
      return count > 0 || (count < 0 && only_waited());
    });
    const auto wait_part = [&] {
      // The other end says nothing before it is told, unless something is wrong.
      if (control.pending_within(seconds / parts)) control.expect("nothing", 0);
    };
    wait_part();
    const auto begin = Clock::now();
    auto last = begin;
    const std::uint64_t first = bytes;
    std::uint64_t before = first;
    for (int part = 0; part < parts; ++part) {
      wait_part();
      const auto now = Clock::now();
      const std::uint64_t so_far = bytes;
      const double rate = gbps(so_far - before, std::chrono::duration<double>(now - last).count());
      result.slowest_gbps = part == 0 ? rate : std::min(result.slowest_gbps, rate);
      result.fastest_gbps = std::max(result.fastest_gbps, rate);
      last = now;
      before = so_far;
    }
    result.gbps = gbps(before - first, std::chrono::duration<double>(last - begin).count());
  }
  if (result.gbps <= 0)
    throw Error(ExitCode::failure,
                fmt::format("{}: no data came for {} s: are large packets dropped on the path (MTU)?",
                            control.peer(), seconds));
  control.send(plain_message(
      "measured",
      {{"gbps", result.gbps}, {"slowest", result.slowest_gbps}, {"fastest", result.fastest_gbps}}));
  return result;
}

}  // namespace sextant::tcp
