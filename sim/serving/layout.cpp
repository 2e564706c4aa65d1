#include "sim/serving/layout.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace sextant {

namespace {

std::string split_of(const std::vector<StagePlacement>& replica) {
  std::string text;
  for (const StagePlacement& stage : replica)
    text.append(text.empty() ? "" : "/").append(std::to_string(stage.layers.size()));
  return text;
}

std::string describe_replicas(const std::vector<StagePlacement>& one, int count) {
  return fmt::format("tp {} x pp {} x dp {}{}", tensor_parallel(one), one.size(), count,
                     one.size() > 1 ? ", layers " + split_of(one) : "");
}

}  // namespace

int tensor_parallel(const std::vector<StagePlacement>& replica) {
  return replica.empty() ? 1 : static_cast<int>(replica.front().gpus.size());
}

LayerCut Layout::cut(const std::vector<StagePlacement>& replica) const {
  const int own = tensor_parallel(replica);
  const std::size_t sharing = replica.empty() ? 0 : replica.front().expert_gpus.size();
  if (sharing > 0) return {own, static_cast<std::int64_t>(sharing)};
  return {own, ep > 1 ? own : 1};
}

int Layout::sharing_ranks() const {
  return replicas.empty() ? 1 : static_cast<int>(cut(replicas.front()).sharing_ranks());
}

std::string Layout::split() const {
  return replicas.empty() ? "" : split_of(replicas.front());
}

bool Layout::alike() const {
  return std::all_of(replicas.begin(), replicas.end(), [&](const auto& replica) {
    return tensor_parallel(replica) == tp && static_cast<int>(replica.size()) == pp;
  });
}

std::string Layout::describe() const {
  const std::string experts = ep > 1 ? fmt::format(", ep {}", ep) : "";
  if (replicas.empty() || alike())
    return fmt::format("tp {} x pp {} x dp {}{}{}", tp, pp, dp, experts, pp > 1 ? ", layers " + split() : "");
  std::string text;
  for (std::size_t first = 0, end = 0; first < replicas.size(); first = end) {
    const auto same = [&](const std::vector<StagePlacement>& other) {
      return tensor_parallel(other) == tensor_parallel(replicas[first]) &&
             split_of(other) == split_of(replicas[first]);
    };
    while (end < replicas.size() && same(replicas[end])) ++end;
    text += (first > 0 ? " + " : "") + describe_replicas(replicas[first], static_cast<int>(end - first));
  }
  return text + experts;
}

std::vector<int> even_split(int layers, int stages) {
  std::vector<int> counts(static_cast<std::size_t>(stages), layers / stages);
  const int remainder = layers % stages;
  // vLLM adds one layer each from the second-last stage backwards: the last one has the head, the first the
  // embedding.
  for (int i = 2; i < remainder + 2; ++i) ++counts[static_cast<std::size_t>((2 * stages - i) % stages)];
  return counts;
}

std::vector<LayerRange> ranges(const std::vector<int>& counts) {
  std::vector<LayerRange> result;
  int begin = 0;
  for (const int count : counts) {
    result.push_back({begin, begin + count});
    begin += count;
  }
  return result;
}

}  // namespace sextant
