#pragma once
#include <atomic>

namespace sextant {

/// From now on the first Ctrl-C sets the returned flag; the second one ends the process at once.
const std::atomic<bool>* watch_for_interrupt();

}  // namespace sextant
