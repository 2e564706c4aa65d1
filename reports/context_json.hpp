#pragma once
#include <nlohmann/json_fwd.hpp>

#include "sim/planner/plan.hpp"

namespace sextant {

/// What a result was asked for, as its JSON document carries it beside the result: {question [sentences],
/// description, slo [{metric, at_most, bound}], has_economics}.
nlohmann::ordered_json question_json(const Scenario&);

/// The cluster as a drawing needs it: {nodes, devices, links, transport, gpudirect}. A link's `use` is the
/// share of the run's duration during which the best candidate's hops and collectives are on it, their shares
/// added (1 at most); `carries` names the first few of them. Null without a topology to route on.
nlohmann::ordered_json cluster_json(const Cluster&, const Candidate& best);

/// {tp, pp, dp, ep, split, replicas[replica][stage] {layers {begin, end}, gpus [device names]}}. Without a
/// cluster (a variant's is not always known) the first replica's names come from its stage reports.
nlohmann::ordered_json layout_json(const Cluster*, const Candidate&);

/// Where the figures come from that a candidate's times rest on: [{of, figure, value, unit, grade, source}]
/// of its GPUs, the links between them and the engine.
nlohmann::ordered_json provenance_json(const Scenario&, const Candidate& best);

}  // namespace sextant
