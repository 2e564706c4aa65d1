#pragma once
#include <map>
#include <string>

#include "models/profile/measurement.hpp"
#include "sim/fabric/route.hpp"
#include "sim/validation/comparison.hpp"

namespace sextant {

/// Collectives and messages between GPUs. On one node: the usual node of the card. Over several: the link
/// profile of the row's transport and `rate_gbps`, through host memory where `gdr` is false.
class LinkRows {
 public:
  /// Microseconds, or why not. `impl` custom is an engine's own kernel, else NCCL. Throws InputError for an
  /// unknown card or group.
  Outcome predict(const CollectiveRow&, const std::string& gpu);
  Outcome predict(const PointToPointRow&, const std::string& gpu);

 private:
  /// A group's curves, NCCL's and custom kernels' apart.
  struct Curves {
    LinkProfile nccl, custom;
  };
  const Topology& node(const std::string& gpu, int gpus);
  const Curves& curves(const CollectiveRow&, const std::string& gpu);

  std::map<std::string, Topology> nodes_;
  std::map<std::string, Curves> curves_;
};

}  // namespace sextant
