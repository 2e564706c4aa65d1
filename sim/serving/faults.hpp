#pragma once
#include <cstdint>
#include <memory>

#include "sim/serving/pipeline_model.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {

/// From `at` on a replica is down (no pipeline), or up with the times of this pipeline: passes and hops that
/// begin from then on. Going down loses its KV cache and all work in flight.
struct ReplicaChange {
  Time at;
  std::uint32_t replica = 0;
  std::shared_ptr<const PipelineModel> pipeline;  ///< null: down
};

/// A request on its way to a replica: new, or moved from one that went down with the tokens it has yielded,
/// which are then computed again with its prompt.
struct MovedRequest {
  Request request;
  Time arrival;  ///< when the client sent it, whichever replica it is on
  std::int64_t generated = 0;
  Time first_token, last_token;  ///< where generated > 0
  bool moved = false;
};

}  // namespace sextant
