#pragma once
#include <functional>
#include <string>
#include <vector>

#include "calibrate/measure/device/bench.hpp"

namespace sextant::measure {

using Values = std::vector<double>;

/// Device memory as numbers on the host.
Values download(const void* device, std::size_t count, Element, cudaStream_t);
/// ||found - expected|| / ||expected||; not a number where anything found is not.
double relative_error(const Values& found, const Values& expected);

/// Prints the outcomes of checks and counts the failed ones.
class CheckList {
 public:
  /// Runs `check`, which returns the error; passes up to `tolerance`. A thrown "skipped:" is not a failure.
  void run(const std::string& what, double tolerance, const std::function<double()>& check);
  int failed() const { return failed_; }

 private:
  int failed_ = 0;
};

/// A bench's memory for one check: reads random data, writes into poisoned pieces.
class CheckMemory {
 public:
  explicit CheckMemory(Bench& bench) : bench_(bench), scratch_(bench.scratch()) {}
  /// Fresh random numbers of [-range, range].
  void* random(std::size_t count, Element, float range = 1);
  void* poisoned(std::size_t bytes);
  Values values(const void* data, std::size_t count, Element element) const {
    return download(data, count, element, bench_.stream());
  }

 private:
  Bench& bench_;
  Arena scratch_;
  std::uint64_t seed_ = 17;
};

void check_gemm(Bench&, CheckList&);
void check_decode(Bench&, CheckList&);
void check_prefill(Bench&, CheckList&);
void check_elementwise(Bench&, CheckList&);
void check_moe(Bench&, CheckList&);

}  // namespace sextant::measure
