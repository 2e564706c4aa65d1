#include "calibrate/measure/rdma/ping_pong.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "calibrate/measure/rdma/watch.hpp"

namespace sextant::rdma {
namespace {

constexpr int warm_up = 10;  // messages that do not count
constexpr int probes = 2;
constexpr std::int64_t probe_bytes = 2;

/// One end of a ping-pong on the first queue pair.
class Player {
 public:
  Player(QueuePairs& pairs, tcp::Control& control, std::int64_t bytes)
      : pairs_(pairs),
        bytes_(bytes),
        operation_(pairs.request().block.operation),
        signal_every_(operation_ == Operation::send ? std::min(most_unsignaled, pairs.request().tx_depth)
                                                    : 1),
        watch_(control, pairs.request().patience_seconds) {
    if (operation_ != Operation::write) return;
    outgoing_ = pairs.buffer().last_byte(pairs.buffer().supply(0), bytes);
    incoming_ = pairs.buffer().last_byte(pairs.buffer().intake(0), bytes);
  }

  void send() {
    ++sent_;
    if (outgoing_ != nullptr) *outgoing_ = static_cast<std::uint8_t>(sent_);
    const bool signaled = sent_ % static_cast<std::uint64_t>(signal_every_) == 0;
    pairs_.post(0, bytes_, sent_, signaled);
    if (!signaled) return;
    while (pairs_.poll_sent().empty()) watch_.turn(false);
    watch_.turn(true);
  }

  /// Waits for the other's message. False when it has said instead that there are no more.
  bool receive() {
    if (operation_ == Operation::read) return true;  // the data came with send()
    ++received_;
    const auto here = [&] {
      if (operation_ == Operation::write) return *incoming_ == static_cast<std::uint8_t>(received_);
      return !pairs_.poll_received().empty();
    };
    while (!here()) {
      watch_.turn(false);
      if (watch_.peer_sent()) return false;
    }
    watch_.turn(true);
    if (operation_ == Operation::send) pairs_.post_receive(0);
    return true;
  }

  Watch& watch() { return watch_; }
  bool passive() const { return operation_ == Operation::read; }

 private:
  static constexpr int most_unsignaled = 64;
  QueuePairs& pairs_;
  std::int64_t bytes_;
  Operation operation_;
  int signal_every_;
  Watch watch_;
  volatile std::uint8_t *outgoing_ = nullptr, *incoming_ = nullptr;
  std::uint64_t sent_ = 0, received_ = 0;
};

}  // namespace

std::vector<double> ping(QueuePairs& pairs, tcp::Control& control, const PointRequest& point) {
  Player player(pairs, control, point.bytes);
  std::vector<double> samples;
  samples.reserve(static_cast<std::size_t>(std::min<std::int64_t>(point.iterations, 1 << 20)));
  const double trips_to_us = player.passive() ? 1e6 : 1e6 / 2;
  const auto begin = Clock::now();
  auto last = begin;
  for (std::int64_t turn = 0; turn < point.iterations + warm_up; ++turn) {
    player.send();
    player.receive();
    const auto now = Clock::now();
    if (turn >= warm_up) samples.push_back(std::chrono::duration<double>(now - last).count() * trips_to_us);
    last = now;
    if (point.seconds > 0 && !samples.empty() &&
        std::chrono::duration<double>(now - begin).count() > point.seconds)
      break;
  }
  player.watch().say_sent(static_cast<double>(samples.size()));
  return samples;
}

void pong(QueuePairs& pairs, tcp::Control& control, const PointRequest& point) {
  Player player(pairs, control, point.bytes);
  if (player.passive()) {
    while (!player.watch().peer_sent()) player.watch().rest();
    return;
  }
  while (player.receive()) player.send();
}

void probe(QueuePairs& pairs, tcp::Control& control) {
  const std::int64_t mtu = pairs.request().mtu;
  for (const std::int64_t bytes : {probe_bytes, mtu}) {
    try {
      Watch watch(control, pairs.request().patience_seconds);
      pairs.post(0, bytes, 0, true);
      while (pairs.poll_sent().empty()) watch.turn(false);
    } catch (const CompletionError& error) {
      if (error.status() != IBV_WC_RETRY_EXC_ERR || bytes == probe_bytes) throw;
      throw Error(
          ExitCode::failure,
          fmt::format(
              "messages of {} B arrive and those of one RDMA MTU ({} B) do not: the MTU of an interface or "
              "switch on the path is too small; raise it (9000), or use a smaller -m",
              probe_bytes, mtu));
    }
  }
  control.send(tcp::plain_message("probed"));
}

void take_probes(QueuePairs& pairs, tcp::Control& control) {
  control.expect("probed", 2 * pairs.request().patience_seconds);
  if (pairs.request().block.operation != Operation::send) return;
  Watch watch(control, pairs.request().patience_seconds);
  for (int taken = 0; taken < probes;) {
    const auto completions = pairs.poll_received();
    for (const ibv_wc& each : completions) pairs.post_receive(QueuePairs::qp_of_receive(each));
    taken += static_cast<int>(completions.size());
    watch.turn(!completions.empty());
  }
}

}  // namespace sextant::rdma
