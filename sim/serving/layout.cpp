#include "sim/serving/layout.hpp"

#include <fmt/core.h>

namespace sextant {

std::string Layout::split() const {
  std::string text;
  if (replicas.empty()) return text;
  for (const StagePlacement& stage : replicas.front())
    text.append(text.empty() ? "" : "/").append(std::to_string(stage.layers.size()));
  return text;
}

std::string Layout::describe() const {
  return fmt::format("tp {} x pp {} x dp {}{}{}", tp, pp, dp, ep > 1 ? fmt::format(", ep {}", ep) : "",
                     pp > 1 ? ", layers " + split() : "");
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
