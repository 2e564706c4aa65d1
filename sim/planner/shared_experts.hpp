#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "sim/planner/search.hpp"
#include "sim/serving/simulation.hpp"

namespace sextant {

/// Tells the replicas of a layout, `ranks` at a time, that they share experts.
void share_experts(Layout&, int ranks);

/// The replicas of a layout that shares experts, ready to simulate in lock step.
std::vector<ReplicaSetup> sharing_setups(const SearchContext&, const Layout&, CostLevel level = {});

/// What one server, all of its ranks together, does at its share of the demand.
struct ServerEstimate {
  std::int64_t kv_blocks = 0;  ///< of a rank; 0: does not fit
  double throughput = 0;       ///< output tokens/s
  double token_seconds = 0;    ///< between two tokens of one request
};

/// A server of data-parallel ranks, all alike and equally loaded, that share experts: a round is every rank's
/// decodes and the chunks of the prompts that come between; each chunk holds up all ranks, those of one round
/// together. Not shared between threads.
class SharingServer {
 public:
  /// `rank`: one of them, which knows the GPUs of all. Throws InputError where a profile lacks something.
  SharingServer(const SearchContext&, std::vector<StagePlacement> rank);

  int ranks() const { return ranks_; }
  const std::vector<StagePlacement>& rank() const { return rank_; }
  /// KV blocks of a rank; 0 where it does not fit.
  std::int64_t kv_blocks() const { return kv_blocks_; }
  /// With 1 / `servers` of the demand.
  ServerEstimate estimate(int servers) const;
  /// Requests that a rank runs at once at most, with 1 / `servers` of the demand; below one where there are
  /// fewer requests than ranks.
  double most_at_once(int servers) const;
  /// Seconds of a mean prompt on one rank while all others idle.
  double prompt_seconds() const;
  /// Output tokens/s of one GPU that this server does not exceed at any number of requests, if its exchange
  /// is free.
  double highest_rate() const;
  /// Seconds of a round that none is below, if its exchange is free.
  double least_round() const;

 private:
  struct Pass {
    double seconds = 0, exchange = 0;  ///< exchange: of the seconds
  };
  /// A round's pass with so many decodes on every rank and a chunk on `with_chunk` of them.
  const Pass& pass(std::int64_t batch, int with_chunk) const;
  double round_seconds(double running) const;
  double most_running() const;  ///< requests of one rank, whatever the demand
  int chunk_ranks(double running) const;

  const SearchContext& context_;
  std::vector<StagePlacement> rank_;
  int ranks_ = 1;
  std::int64_t kv_blocks_ = 0;
  std::shared_ptr<const ReplicaModel> model_;  // none where it does not fit
  PrefillChunk chunk_;
  double chunks_per_token_ = 0;
  mutable std::map<std::pair<std::int64_t, int>, Pass> passes_;
};

/// Analytic output tokens/s of several servers at equal shares of the demand, added up as the router loads
/// them: `count` of each.
EstimatedLayout join_servers(const SearchContext&,
                             const std::vector<std::pair<ServerEstimate, int>>& servers);

/// Analytic output tokens/s of such a layout.
EstimatedLayout estimate_sharing(const SearchContext&, const Layout&);

}  // namespace sextant
