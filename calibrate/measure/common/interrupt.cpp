#include "calibrate/measure/common/interrupt.hpp"

#include <atomic>
#include <csignal>

namespace sextant::measure {
namespace {

// A signal handler can reach nothing but a global; lock-free, so it may be written there.
std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free);

}  // namespace

void watch_for_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { flag.store(true); };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return flag.load();
}

}  // namespace sextant::measure
