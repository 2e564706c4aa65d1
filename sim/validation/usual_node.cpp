#include "sim/validation/usual_node.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"

namespace sextant {

Cluster usual_node(const std::string& gpu, int gpus) {
  const Gpu& card = find_gpu(gpu);
  const NodeType* usual = nullptr;
  for (const NodeType& type : hardware_catalogue().node_types) {
    const bool takes_it = std::find(type.form_factors.begin(), type.form_factors.end(), card.form_factor) !=
                          type.form_factors.end();
    if (takes_it && (usual == nullptr || type.max_gpus > usual->max_gpus)) usual = &type;
  }
  if (usual == nullptr)
    throw InputError(fmt::format("found no node type that takes {} ({})", gpu, card.form_factor));
  if (gpus > usual->max_gpus)
    throw InputError(fmt::format("found {} GPUs, expected at most the {} of one {} node of {}", gpus,
                                 usual->max_gpus, usual->name, gpu));
  return read_cluster(JsonValue::parse(
      fmt::format(R"({{"nodes": [{{"node": "{}", "gpus": {{"{}": {}}}}}]}})", usual->name, gpu, gpus),
      "the usual node of " + gpu));
}

}  // namespace sextant
