#pragma once
#include <chrono>
#include <string>

#include "calibrate/measure/tcp/control.hpp"

namespace sextant::rdma {

using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Keeps an eye on the other end while this one polls: cheap to call in every turn of a loop, it looks at the
/// conversation now and then, tells the other end that this one is alive, and ends the loop with a reason
/// when nothing moves any more.
class Watch {
 public:
  Watch(tcp::Control& control, double patience_seconds);
  /// One turn; `moved`: something has completed in it. Throws Error with the reason when the other end has
  /// gone or reports an error, or nothing has moved for as long as patience lasts; Interrupted on Ctrl-C.
  void turn(bool moved) {
    if (moved) moved_ = true;
    constexpr unsigned turns_between_looks = 64;
    if (++turns_ % turns_between_looks == 0) look();
  }
  /// A turn of an end that has nothing to poll: sleeps until the other end says something, for a moment at
  /// most.
  void rest();
  /// The other end has said that it has sent all it will.
  bool peer_sent() const { return peer_sent_; }
  double peer_messages() const { return peer_messages_; }
  /// Says the same to the other end.
  void say_sent(double messages);

 private:
  void look();
  tcp::Control& control_;
  double patience_seconds_;
  unsigned turns_ = 0;
  bool moved_ = false, peer_sent_ = false;
  double peer_messages_ = 0;
  Clock::time_point last_move_, last_look_, last_sign_;
};

}  // namespace sextant::rdma
