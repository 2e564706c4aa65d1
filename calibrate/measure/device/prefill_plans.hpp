#pragma once
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "calibrate/measure/device/prefill_attention.hpp"

namespace sextant::measure {

/// Makes the plans of fused attention in threads of its own, some way ahead of the measurements: each
/// compiles its kernel, which takes longer than measuring it.
class PrefillPlans {
 public:
  /// In the order in which they will be taken.
  PrefillPlans(int device, std::vector<PrefillShape>);
  ~PrefillPlans();
  PrefillPlans(const PrefillPlans&) = delete;
  PrefillPlans& operator=(const PrefillPlans&) = delete;
  /// Whether the shape is in the list and was not taken.
  bool has(const PrefillShape&) const;
  /// Waits for it. Throws Error with the reason if it could not be made.
  std::unique_ptr<PrefillAttention> take(const PrefillShape&);

 private:
  struct Slot {
    bool done = false;
    std::unique_ptr<PrefillAttention> plan;
    std::string error;
  };
  void work(int device, std::unique_ptr<Cudnn>& library);
  std::vector<std::unique_ptr<Cudnn>> libraries_;  ///< one a thread; outlive the plans made with them
  std::vector<PrefillShape> shapes_;
  std::map<PrefillShape, std::size_t> places_;  ///< of what was not taken
  std::vector<Slot> slots_;
  std::size_t next_ = 0, taken_ = 0;
  bool stop_ = false;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> threads_;
};

}  // namespace sextant::measure
