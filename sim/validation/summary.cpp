#include "sim/validation/summary.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

namespace sextant {
namespace {

/// The p-quantile of sorted values, linear between order statistics.
double quantile(const std::vector<double>& sorted, double p) {
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double low = sorted[below];
  const double high = below + 1 < sorted.size() ? sorted[below + 1] : low;
  return low + (position - static_cast<double>(below)) * (high - low);
}

class Group {
 public:
  Group(const Comparison& first, const std::string& part) {
    summary_.kind = first.kind;
    summary_.gpu = first.gpu;
    summary_.part = part;
  }

  void add(const Comparison& comparison) {
    // The values of one row come one after another.
    const std::pair<std::string_view, std::size_t> row{comparison.file, comparison.line};
    if (summary_.rows == 0 || row != last_row_) ++summary_.rows;
    last_row_ = row;
    const Prediction* predicted = comparison.prediction();
    if (predicted == nullptr) {
      ++summary_.without;
      return;
    }
    summary_.grade = weakest(summary_.grade, predicted->grade);
    if (predicted->extrapolated) ++summary_.outside;
    if (predicted->interval) {
      ++summary_.with_interval;
      if (predicted->interval->low90 <= comparison.measured &&
          comparison.measured <= predicted->interval->high90)
        ++summary_.covered;
    }
    if (const auto error = comparison.error()) errors_.push_back(*error);
  }

  GroupSummary summary() {
    summary_.values = static_cast<std::int64_t>(errors_.size());
    if (errors_.empty()) return summary_;
    std::vector<double> sizes;
    for (const double error : errors_) sizes.push_back(std::abs(error));
    std::sort(sizes.begin(), sizes.end());
    std::sort(errors_.begin(), errors_.end());
    summary_.median = quantile(sizes, 0.5);
    summary_.p90 = quantile(sizes, 0.9);
    summary_.worst = sizes.back();
    summary_.bias = quantile(errors_, 0.5);
    return summary_;
  }

 private:
  GroupSummary summary_;
  std::vector<double> errors_;
  std::pair<std::string_view, std::size_t> last_row_;
};

}  // namespace

std::vector<GroupSummary> summarise(const std::vector<Comparison>& comparisons) {
  std::map<std::pair<std::string, std::string>, std::size_t> order;  // (kind, GPU)
  std::map<std::tuple<std::size_t, std::string>, Group> groups;      // (order, part)
  const auto add = [&](std::size_t at, const Comparison& comparison, const std::string& part) {
    groups.try_emplace({at, part}, comparison, part).first->second.add(comparison);
  };
  for (const Comparison& comparison : comparisons) {
    const std::size_t at = order.try_emplace({comparison.kind, comparison.gpu}, order.size()).first->second;
    if (comparison.headline) add(at, comparison, "");
    if (!comparison.part.empty()) add(at, comparison, comparison.part);
  }
  std::vector<GroupSummary> result;
  for (auto& [key, group] : groups) result.push_back(group.summary());
  return result;
}

}  // namespace sextant
