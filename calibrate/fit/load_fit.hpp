#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "models/profile/load_model.hpp"
#include "models/profile/measurement.hpp"

namespace sextant {

/// Collects the power rows of one GPU whose work is an operator ("gemm/bf16" of 512 tokens) and fits how its
/// clock falls under load. Rows of work "idle" tell what it draws awake; "tensor" and "stream" pass by.
class LoadFit {
 public:
  void add(const PowerRow&, const std::string& source);
  /// nullopt without rows, or where no row was held back by the limit. Throws InputError if the rows' limits
  /// differ, none says what the card draws idle, or its highest clock is not known (0). `window_seconds`: see
  /// LoadModel; no row tells it.
  std::optional<LoadModel> fit(double full_clock_mhz, double window_seconds) const;

 private:
  std::map<std::pair<std::string, std::int64_t>, PowerRow> rows_;  ///< by work and tokens
  std::optional<double> idle_watts_;
  std::string source_;
};

}  // namespace sextant
