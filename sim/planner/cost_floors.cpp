#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/planner/cost_tables.hpp"

// What no batch of a size can beat: the floors that bounds are made of.
namespace sextant {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::size_t index(std::int64_t value) {
  return static_cast<std::size_t>(value);
}

}  // namespace

std::int64_t CostTables::largest_batch(double running, int stages) {
  const double batches = std::min<double>(stages, std::max(1.0, running));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(running / batches)));
}

void CostTables::extend_least(Group& group, std::int64_t each) {
  if (group.least_share.empty()) {
    const std::vector<PartSeconds> none(group.members.size(), PartSeconds(kinds_ + 2, infinity));
    group.least_share.push_back(none);
    group.least_pass.push_back(none);
  }
  while (group.least_share.size() <= index(each)) {
    const auto batch = static_cast<std::int64_t>(group.least_share.size());
    std::vector<PartSeconds> share = group.least_share.back(), pass = group.least_pass.back();
    for (std::size_t m = 0; m < group.members.size(); ++m) {
      const PartSeconds& parts = decode_parts(group.members[m], batch);
      for (std::size_t p = 0; p < parts.size(); ++p) {
        share[m][p] = std::min(share[m][p], parts[p] / (static_cast<double>(batch) + 0.5));
        pass[m][p] = std::min(pass[m][p], parts[p]);
      }
    }
    group.least_share.push_back(std::move(share));
    group.least_pass.push_back(std::move(pass));
  }
}

const std::vector<PartSeconds>& CostTables::least_seconds(int id, std::int64_t each) {
  Group& group = at(id);
  if (group.least.size() <= index(each)) group.least.resize(index(each) + 1);
  std::vector<PartSeconds>& known = group.least[index(each)];
  if (!known.empty()) return known;
  // A batch that rounds to b < each has at most b + 1/2 requests, the largest one at most `each`.
  extend_least(group, each);
  known = group.least_share[index(each - 1)];
  for (std::size_t m = 0; m < group.members.size(); ++m) {
    Member& member = group.members[m];
    const PartSeconds& at_most = decode_parts(member, each);
    for (std::size_t p = 0; p < at_most.size(); ++p)
      known[m][p] = std::min(known[m][p], at_most[p] / static_cast<double>(each)) +
                    chunks_per_token_ * member.prefill[p];
  }
  return known;
}

const std::vector<PartSeconds>& CostTables::least_pass(int id, std::int64_t each) {
  Group& group = at(id);
  extend_least(group, each);
  if (computes_prompts_alone_)
    for (std::size_t m = 0; m < group.members.size(); ++m)
      group.least_pass[index(each)][m] = group.members[m].prefill;
  return group.least_pass[index(each)];
}

double CostTables::least_hop_seconds(int id, bool back, std::int64_t each) {
  if (id < 0 || computes_prompts_alone_) return 0;
  std::vector<double>& least = back ? hops_[index(id)].least_back : hops_[index(id)].least_forward;
  if (least.empty()) least.push_back(infinity);
  while (least.size() <= index(each)) {
    const auto batch = static_cast<std::int64_t>(least.size());
    const double seconds = hop_seconds(id, back, batch) / (static_cast<double>(batch) + 0.5);
    least.push_back(std::min(least.back(), seconds));
  }
  return least[index(each)];
}

}  // namespace sextant
