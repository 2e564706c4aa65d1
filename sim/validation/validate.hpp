#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sim/validation/serving_rows.hpp"
#include "sim/validation/summary.hpp"

namespace sextant {

struct ValidationOptions {
  std::vector<std::string> profiles;  ///< GPU profile files, each in place of the shipped one of its GPU
  ServingRunOptions serving;
  std::function<void(int done, int total)> progress;  ///< called between rows, which are counted first
};

/// Every measured value of some files beside its prediction, and how well they agree.
struct Validation {
  std::vector<std::string> files;
  std::vector<std::string> profiles;  ///< given ones
  std::vector<Comparison> comparisons;
  std::vector<GroupSummary> groups;
};

/// Predicts every row of the measurement files; context headers are no rows. Throws InputError for a row or
/// file that cannot be read (naming file and line), a file without rows, a given profile that no row asks
/// for; Interrupted if stopped.
Validation validate(const std::vector<std::string>& files, const ValidationOptions& = {});

}  // namespace sextant
