#include <nlohmann/json.hpp>

#include "reports/context_json.hpp"
#include "reports/names.hpp"

namespace sextant {

using Json = nlohmann::ordered_json;

Json layout_json(const Cluster* cluster, const Candidate& candidate) {
  const Layout& layout = candidate.layout;
  const auto name_of = [&](std::size_t replica, std::size_t stage, std::size_t rank, int device) {
    if (cluster != nullptr) return device_name(*cluster, device);
    const bool reported =
        replica == 0 && stage < candidate.stages.size() && rank < candidate.stages[stage].gpus.size();
    return reported ? candidate.stages[stage].gpus[rank] : device_name({}, device);
  };
  Json replicas = Json::array();
  for (std::size_t r = 0; r < layout.replicas.size(); ++r) {
    Json stages = Json::array();
    for (std::size_t s = 0; s < layout.replicas[r].size(); ++s) {
      const StagePlacement& stage = layout.replicas[r][s];
      Json gpus = Json::array();
      for (std::size_t rank = 0; rank < stage.gpus.size(); ++rank)
        gpus.push_back(name_of(r, s, rank, stage.gpus[rank]));
      stages.push_back(
          {{"layers", {{"begin", stage.layers.begin}, {"end", stage.layers.end}}}, {"gpus", gpus}});
    }
    replicas.push_back(stages);
  }
  return {{"tp", layout.tp}, {"pp", layout.pp},         {"dp", layout.dp},
          {"ep", layout.ep}, {"split", layout.split()}, {"replicas", replicas}};
}

}  // namespace sextant
