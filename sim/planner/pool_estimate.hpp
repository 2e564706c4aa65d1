#pragma once
#include "sim/planner/search.hpp"

namespace sextant {

/// What two pools can carry by the estimate, in output tokens/s of the requests that they serve, whatever the
/// demand of an open loop.
struct PoolRates {
  double prefill = 0, decode = 0;
  double transfer = 0;  ///< of KV over the links that carry most of it; infinity where none carries any
  double lowest() const;
  /// "the prefill pool", "the decode pool" or "the transfer of KV".
  const char* bottleneck() const;
};

/// A context for one pool: the same scenario without a limit on arrivals, on those GPUs. It is pointed into,
/// so it stays where it is.
class PoolContext {
 public:
  PoolContext(const SearchContext& of, ReplicaRole, const std::vector<int>& gpus);
  PoolContext(const PoolContext&) = delete;
  PoolContext& operator=(const PoolContext&) = delete;
  const SearchContext& context() const { return context_; }

 private:
  Scenario scenario_;
  SearchContext context_;
};

/// Output tokens/s at which the fullest link between the pools is full, if all prefill replicas send to all
/// decode replicas alike. Throws InputError where two GPUs have no way between them.
double transfer_rate(const SearchContext&, const Layout& prefill, const Layout& decode);

/// Output tokens/s that no layouts on these GPUs exceed: all KV leaves the nodes of one pool and reaches
/// those of the other. Infinity where a node has GPUs of both.
double transfer_bound(const SearchContext&, const std::vector<int>& prefill, const std::vector<int>& decode);

}  // namespace sextant
