#include "calibrate/measure/rdma/watch.hpp"

#include <fmt/core.h>

#include "calibrate/measure/common/interrupt.hpp"
#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

constexpr double look_seconds = 0.01;
constexpr double sign_seconds = 1;

}  // namespace

Watch::Watch(tcp::Control& control, double patience_seconds)
    : control_(control),
      patience_seconds_(patience_seconds),
      last_move_(Clock::now()),
      last_look_(last_move_),
      last_sign_(last_move_) {}

void Watch::look() {
  const auto now = Clock::now();
  if (std::chrono::duration<double>(now - last_look_).count() < look_seconds) return;
  last_look_ = now;
  if (measure::interrupted()) throw Interrupted();
  while (!peer_sent_ && control_.pending()) {  // what follows belongs to the point's end
    const tcp::Message message = control_.receive(0, "its messages");
    moved_ = true;
    if (message.type == "sent") {
      peer_sent_ = true;
      peer_messages_ = message.body.number("messages", {0});
    } else if (message.type != "going") {
      throw Error(ExitCode::failure,
                  fmt::format("{}: found the message \"{}\" during a stream, expected \"sent\"",
                              control_.peer(), message.type));
    }
  }
  if (moved_) {
    moved_ = false;
    last_move_ = now;
  }
  if (seconds_since(last_move_) > patience_seconds_)
    throw Error(ExitCode::failure,
                fmt::format("nothing has moved between here and {} for {:.0f} s: no completion, no "
                            "message",
                            control_.peer(), patience_seconds_));
  if (seconds_since(last_sign_) > sign_seconds) {
    last_sign_ = now;
    control_.send(tcp::plain_message("going"));
  }
}

void Watch::rest() {
  control_.pending_within(2 * look_seconds);
  look();
}

void Watch::say_sent(double messages) {
  control_.send(tcp::plain_message("sent", {{"messages", messages}}));
}

}  // namespace sextant::rdma
