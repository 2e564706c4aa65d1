#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "models/cost/cost.hpp"
#include "sim/planner/search.hpp"
#include "sim/planner/sites.hpp"

namespace sextant {

/// One stage of a replica in a search: a sort of group, its layers, and the sort of hop to the next stage
/// (of the last one: back to the first; -1 where there is one stage).
struct StageChoice {
  int group = 0;
  LayerRange layers;
  int hop = -1;
};

/// What one replica does at its share of the demand.
struct ReplicaEstimate {
  std::int64_t kv_blocks = 0;  ///< 0: does not fit
  double throughput = 0;       ///< output tokens/s; of prompts alone: of the requests that they begin
  double token_seconds = 0;    ///< between two tokens of one request; of prompts alone: of a chunk
};

/// Seconds on one GPU of each part of a stage: every kind of layer, then the embedding, then the head.
using PartSeconds = std::vector<double>;

/// Times and memory of stages by (sort of group, layers), worked out once each: an estimate of a replica is a
/// few sums. A stage's pass is the sum over its layers' kinds, which is what StageCost computes. Not shared
/// between threads.
class CostTables {
 public:
  /// `divide_experts`: every group holds its routed experts whole, each GPU a share of them.
  explicit CostTables(const SearchContext&, bool divide_experts = false);

  const Sites& sites() const { return sites_; }
  const SearchContext& context() const { return context_; }
  /// How a group of `tp` cuts layers.
  LayerCut cut(int tp) const { return {tp, divide_experts_ ? tp : 1}; }
  int layer_count() const { return layers_; }
  std::size_t kind_count() const { return kinds_; }
  /// How many of the first `layers` layers are of that kind.
  int layers_of_kind(std::size_t kind, int layers) const {
    return before_[kind * static_cast<std::size_t>(layers_ + 1) + static_cast<std::size_t>(layers)];
  }

  /// The sort of a tensor-parallel group; groups of one sort are interchangeable. Throws InputError where a
  /// profile lacks an operator or a collective.
  int group(const std::vector<int>& gpus);
  /// The sort of hop between the leading GPUs of two groups. Throws InputError where there is no route or no
  /// profile.
  int hop(int from_gpu, int to_gpu);
  int tensor_parallel(int group) const { return groups_[static_cast<std::size_t>(group)].tp; }

  /// At most so many requests run at once on one of `dp` replicas, whatever its memory; without a number of
  /// stages, however many it has.
  double most_running(int dp, std::optional<std::size_t> stages = {}) const;
  ReplicaEstimate replica(std::span<const StageChoice>, int dp);
  /// KV blocks of a stage on the tightest GPU of its group, before those that the engine keeps.
  std::int64_t stage_blocks(int group, LayerRange, bool first, bool last);
  /// Requests whose tokens fit in so many blocks of a group's replica.
  double running_in(int group, std::int64_t blocks) const;

  /// Seconds of a decode pass of `batch`.
  double decode_seconds(int group, LayerRange, bool first, bool last, std::int64_t batch);
  /// Seconds of a prefill chunk of the mean prompt.
  double prefill_seconds(int group, LayerRange, bool first, bool last);
  /// Seconds of one chunk of so many tokens, alone: of each GPU of the group its parts.
  const std::vector<PartSeconds>& chunk_parts(int group, std::int64_t tokens);
  /// The same through all stages, without hops.
  double chunk_seconds(std::span<const StageChoice>, std::int64_t tokens);
  /// Seconds of a hop of `batch` tokens; the way back to the first stage carries token ids only.
  double hop_seconds(int hop, bool back, std::int64_t batch);
  double host_seconds(std::int64_t batch) const;
  /// Prompt chunks for each output token.
  double chunks_per_token() const { return chunks_per_token_; }

  /// A group of `tp` GPUs like this one whose exchange costs nothing: what no real group can beat.
  int bare_group(int gpu, int tp);
  /// A group of `tp` GPUs like this one that exchange over that link, of another cluster perhaps; a new one
  /// each time.
  int linked_group(int gpu, int tp, const LinkProfile&);
  /// Seconds of an output token that no batch of at most `each` requests can beat: for each GPU of the group
  /// its parts' least over the batches that round to it, prompts included.
  const std::vector<PartSeconds>& least_seconds(int group, std::int64_t each);
  /// Seconds of a decode pass that no batch of at most `each` requests can beat, part by part.
  const std::vector<PartSeconds>& least_pass(int group, std::int64_t each);
  /// The same of a hop, for each request of the batch.
  double least_hop_seconds(int hop, bool back, std::int64_t each);
  /// The largest batch where `running` requests share at most `stages` batches.
  static std::int64_t largest_batch(double running, int stages);
  /// Sum of the parts of a stage: its layers, and embedding and head if it has them; of the slowest GPU.
  double parts_sum(const std::vector<PartSeconds>& of_gpus, LayerRange, bool first, bool last) const;

 private:
  /// One kind of GPU in a group.
  struct Member {
    std::vector<StageCost> parts;  // kinds of layers, embedding, head
    PartSeconds prefill;
    std::vector<PartSeconds> decode;  // by batch; empty: not computed yet
  };
  struct Group {
    int tp = 1;
    KvPool pool;  // of a replica of such groups
    std::vector<Member> members;
    std::vector<double> memory;                     // bytes of its GPUs, each size once
    std::vector<std::vector<std::int64_t>> blocks;  // [first + 2 x last][layers]; -1: not computed yet
    // By batch and GPU: the least of decode / (batch + 1/2) and of decode up to there.
    std::vector<std::vector<PartSeconds>> least_share, least_pass;
    std::vector<std::vector<PartSeconds>> least;              // by largest batch, prompts included
    std::map<std::int64_t, std::vector<PartSeconds>> chunks;  // by tokens
  };
  struct Hop {
    Route route;
    std::vector<double> forward, back;              // by batch; -1: not computed yet
    std::vector<double> least_forward, least_back;  // by largest batch
  };

  /// `link` nullptr: exchange costs nothing.
  Group make_group(const std::vector<int>& gpus, const LinkProfile* link) const;
  const PartSeconds& decode_parts(Member&, std::int64_t batch) const;
  PartSeconds computed_parts(const Member&, std::int64_t batch) const;
  double step_seconds(std::int64_t batch) const;  ///< the host's, whatever the replicas do
  void estimate_prompts(std::span<const StageChoice>, double demand, ReplicaEstimate&);
  PartSeconds computed_chunk(const Member&, const PrefillChunk&) const;
  double round_seconds(std::span<const StageChoice>, double running);
  void extend_least(Group&, std::int64_t each);
  double sum(const PartSeconds&, LayerRange, bool first, bool last) const;
  Group& at(int group) { return groups_[static_cast<std::size_t>(group)]; }

  const SearchContext& context_;
  bool divide_experts_;
  Sites sites_;
  int layers_ = 0;
  std::size_t kinds_ = 0;
  std::vector<int> before_;  // layers of each kind before a layer
  double hop_bytes_ = 0;
  double chunks_per_token_ = 0;
  bool computes_prompts_alone_ = false;  // the context's role is prefill
  double yield_ = 1;                     // tokens of a request in a round
  PrefillChunk chunk_;
  std::deque<Group> groups_;
  std::deque<Hop> hops_;
  std::map<std::vector<int>, int> group_names_, bare_names_, hop_names_;
  std::vector<std::int64_t> captured_;  // CUDA graph sizes
};

/// The stages of a replica as the tables know them. Throws InputError where a profile lacks something.
std::vector<StageChoice> stage_choices(CostTables&, const std::vector<StagePlacement>& replica);

/// As estimate(context, layout), with tables that are kept for the next one.
EstimatedLayout estimate(CostTables&, const Layout&);

}  // namespace sextant
