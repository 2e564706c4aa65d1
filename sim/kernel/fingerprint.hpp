#pragma once
#include <bit>
#include <cstdint>
#include <string>

#include "sim/kernel/event_queue.hpp"

namespace sextant {

/// A hash of the events a run went through, in order: two runs with one fingerprint took the same path.
/// Each word goes through a round of MurmurHash3 x64 (Appleby, public domain), which loses nothing: it is
/// invertible in the state and in the word.
class Fingerprint {
 public:
  void add(const Event& event) {
    add(static_cast<std::uint64_t>(event.time.ns));
    add(static_cast<std::uint64_t>(event.kind) << 32 | event.target);
    add(event.data);
  }
  void add(std::uint64_t word) {
    word = std::rotl(word * 0x87c37b91114253d5ULL, 31) * 0x4cf5ad432745937fULL;
    state_ = std::rotl(state_ ^ word, 27) * 5 + 0x52dce729;
  }
  std::uint64_t value() const;
  /// 16 hex digits.
  std::string text() const;

 private:
  std::uint64_t state_ = 0x9e3779b97f4a7c15ULL;
};

}  // namespace sextant
