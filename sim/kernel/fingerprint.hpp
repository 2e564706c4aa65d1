#pragma once
#include <cstdint>
#include <string>

#include "sim/kernel/event_queue.hpp"

namespace sextant {

/// A hash of the events a run went through, in order: two runs with one fingerprint took the same path.
class Fingerprint {
 public:
  void add(const Event& event);
  void add(std::uint64_t word);
  std::uint64_t value() const { return state_; }
  /// 16 hex digits.
  std::string text() const;

 private:
  std::uint64_t state_ = 0x9e3779b97f4a7c15ULL;
};

}  // namespace sextant
