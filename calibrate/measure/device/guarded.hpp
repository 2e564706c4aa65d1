#pragma once
#include <functional>
#include <set>
#include <string>

namespace sextant::measure {

/// Tells the watching process what is being worked on.
class Heartbeat {
 public:
  explicit Heartbeat(int descriptor) : descriptor_(descriptor) {}
  void working_on(const std::string& family) const;

 private:
  int descriptor_;
};

/// Runs `work` in a process of its own and starts it again without a family that breaks the device's context
/// (an illegal address, a hang, a crash), so that one broken kernel does not cost the others. `work` gets the
/// families to leave out and the number of the try, and returns an exit code. Nothing of CUDA may have been
/// used before. Returns the exit code of the last try; a lost family makes it 1.
int run_guarded(
    double most_silent_seconds,
    const std::function<int(const std::set<std::string>& left_out, int attempt, const Heartbeat&)>& work);

/// The exit code by which `work` says that the device's context is lost.
inline constexpr int context_lost = 71;
/// Whether CUDA's context can do no more work.
bool context_is_lost();

}  // namespace sextant::measure
