#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "models/base/error.hpp"
#include "sim/planner/noticeable.hpp"
#include "sim/planner/whatif.hpp"

namespace sextant {
namespace {

std::string percent(double from, double to) {
  return from > 0 ? fmt::format("{:+.1f} %", 100 * (to / from - 1)) : "new";
}

/// Times of one side's first replica at the passes that are typical of the base.
struct TypicalTimes {
  struct Stage {
    FamilySeconds decode, chunk;
    double decode_hop = 0, chunk_hop = 0;  // seconds; 0 on the last
    Route route;
    std::string gpus;
  };
  std::vector<Stage> stages;
  std::string group;  // medium of the first stage's tensor-parallel group; empty: tp 1

  TypicalTimes(const RunningLayout& side, const Candidate& typical) {
    const Scenario& scenario = side.context.scenario;
    const Layout& layout = side.candidate.layout;
    const ReplicaModel model(scenario.model, side.context.machine, layout.replicas.front(),
                             layout.cut(layout.replicas.front()));
    const PrefillChunk chunk{typical.chunk_tokens, 0};
    PassShape prefill, decode;
    prefill.chunks = {&chunk, 1};
    prefill.samples = 1;
    decode.decodes = decode.samples = typical.decode_batch;
    decode.decode_context_sum = typical.decode_batch * typical.decode_context;
    for (int s = 0; s < model.stages(); ++s) {
      Stage stage{model.families(s, decode), model.families(s, prefill), 0, 0, {}, {}};
      if (s + 1 < model.stages()) {
        stage.decode_hop = model.hop(s, typical.decode_batch).seconds();
        stage.chunk_hop = model.hop(s, typical.chunk_tokens).seconds();
        stage.route = model.route(s);
      }
      stage.gpus =
          fmt::format("{}", fmt::join(side.candidate.stages[static_cast<std::size_t>(s)].gpus, ", "));
      stages.push_back(std::move(stage));
    }
    if (layout.tp > 1) group = medium(side.context.machine.topology(), layout.replicas.front().front().gpus);
  }

  /// Between nodes the network; else the slowest of the group's routes.
  static std::string medium(const Topology& topology, const std::vector<int>& gpus) {
    const auto node = [&](int gpu) { return topology.cluster().devices[static_cast<std::size_t>(gpu)].node; };
    for (const int gpu : gpus)
      if (node(gpu) != node(gpus.front())) return topology.route(gpus.front(), gpu).describe();
    return topology.slowest_route(gpus).describe();
  }

  double decode_way() const {
    double seconds = 0;
    for (const Stage& stage : stages) seconds += stage.decode.total() + stage.decode_hop;
    return seconds;
  }
  double chunk_way() const {
    double seconds = 0;
    for (const Stage& stage : stages) seconds += stage.chunk.total() + stage.chunk_hop;
    return seconds;
  }
};

/// "gemm +12.1 ms, collective -0.3 ms": the families that make up the difference, most of it first.
std::string families_moved(const FamilySeconds& from, const FamilySeconds& to) {
  std::vector<std::pair<double, Family>> by_size;
  for (std::size_t f = 0; f < family_count; ++f)
    by_size.emplace_back(to.seconds[f] - from.seconds[f], static_cast<Family>(f));
  std::sort(by_size.begin(), by_size.end(),
            [](const auto& a, const auto& b) { return std::abs(a.first) > std::abs(b.first); });
  std::string text;
  for (std::size_t i = 0; i < 2; ++i) {
    if (std::abs(by_size[i].first) < 0.1 * std::abs(by_size[0].first) || by_size[i].first == 0) break;
    text += fmt::format("{}{} {:+.3g} ms", text.empty() ? "" : ", ", to_string(by_size[i].second),
                        1e3 * by_size[i].first);
  }
  return text;
}

class Comparison {
 public:
  Comparison(const RunningLayout& base, const RunningLayout& variant)
      : base_(base), variant_(variant), from_(base, base.candidate), to_(variant, base.candidate) {}

  std::vector<std::string> sentences() {
    if (from_.stages.size() == to_.stages.size()) {
      compare_passes("decode", false);
      compare_passes("prompt", true);
      compare_hops();
    } else {
      say("a decode step's way through all stages takes {:.3g} ms instead of {:.3g}, a prompt chunk's {:.4g} "
          "instead of {:.4g}",
          1e3 * to_.decode_way(), 1e3 * from_.decode_way(), 1e3 * to_.chunk_way(), 1e3 * from_.chunk_way());
    }
    if (variant_.candidate.chunk_tokens != base_.candidate.chunk_tokens)
      say("prompts go in chunks of {} tokens instead of {}", variant_.candidate.chunk_tokens,
          base_.candidate.chunk_tokens);
    compare_room();
    compare_limits();
    if (sentences_.empty()) say("no pass, hop, cache or limit moves by {} %", 100 * noticeable);
    return std::move(sentences_);
  }

 private:
  template <class... Arguments>
  void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    sentences_.push_back(fmt::format(format, std::forward<Arguments>(arguments)...));
  }

  /// The stage whose pass moves most, and by which operators; what that is of the whole way.
  void compare_passes(const char* kind, bool chunk) {
    const auto families = [&](const TypicalTimes& side, std::size_t s) -> const FamilySeconds& {
      return chunk ? side.stages[s].chunk : side.stages[s].decode;
    };
    std::size_t most = 0;
    double largest = -1;
    int count = 0;
    for (std::size_t s = 0; s < from_.stages.size(); ++s) {
      const double before = families(from_, s).total(), after = families(to_, s).total();
      if (noticeably_differ(before, after)) ++count;
      if (std::abs(after - before) <= largest) continue;
      largest = std::abs(after - before);
      most = s;
    }
    const double before = families(from_, most).total(), after = families(to_, most).total();
    if (!noticeably_differ(before, after)) return;
    const std::string group =
        families(from_, most)[Family::collective] != families(to_, most)[Family::collective] &&
                !to_.group.empty()
            ? fmt::format(" (its group meets over {})", to_.group)
            : "";
    say("stage {} ({}): a {} pass takes {:.4g} ms instead of {:.4g} ({}): {}{}{}", most,
        to_.stages[most].gpus, kind, 1e3 * after, 1e3 * before, percent(before, after),
        families_moved(families(from_, most), families(to_, most)), group,
        count > 1                 ? fmt::format("; so do {} of {} stages", count, from_.stages.size())
        : from_.stages.size() > 1 ? "; the other stages stay"
                                  : "");
  }

  void compare_hops() {
    for (std::size_t s = 0; s + 1 < from_.stages.size(); ++s) {
      const auto &before = from_.stages[s], &after = to_.stages[s];
      if (!noticeably_differ(before.decode_hop, after.decode_hop) &&
          !noticeably_differ(before.chunk_hop, after.chunk_hop))
        continue;
      const std::string media =
          before.route.describe() == after.route.describe()
              ? after.route.describe()
              : fmt::format("{} instead of {}", after.route.describe(), before.route.describe());
      const double step = 100 * (after.decode_hop - before.decode_hop) / from_.decode_way();
      const double prompt = 100 * (after.chunk_hop - before.chunk_hop) / from_.chunk_way();
      say("hop {} -> {} ({}; narrowest link {}): {:.3g} ms instead of {:.3g} for a decode batch, {:.3g} "
          "instead of {:.3g} for a chunk of {} tokens; that is {:+.2g} % of a decode step's way and {:+.2g} "
          "% "
          "of the chunk's",
          s, s + 1, media, narrowest(after.route), 1e3 * after.decode_hop, 1e3 * before.decode_hop,
          1e3 * after.chunk_hop, 1e3 * before.chunk_hop, base_.candidate.chunk_tokens, step, prompt);
    }
  }

  /// "node-a/nic0 - node-b/nic0, 25 GB/s"
  std::string narrowest(const Route& route) const {
    const Cluster& cluster = variant_.context.scenario.cluster;
    const Link* least = nullptr;
    for (const int index : route.links) {
      const Link& link = cluster.links[static_cast<std::size_t>(index)];
      if (least == nullptr || link.gbps < least->gbps) least = &link;
    }
    if (least == nullptr) return "none";
    std::string text =
        fmt::format("{} - {}, {:.4g} GB/s", cluster.devices[static_cast<std::size_t>(least->from)].name,
                    cluster.devices[static_cast<std::size_t>(least->to)].name, least->gbps);
    if (route.bottleneck_gbps < least->gbps)
      text += fmt::format(", of which {:.4g} are left", route.bottleneck_gbps);
    return text;
  }

  void compare_room() {
    const Candidate &a = base_.candidate, &b = variant_.candidate;
    if (noticeably_differ(static_cast<double>(a.kv_tokens), static_cast<double>(b.kv_tokens)))
      say("a replica caches {} tokens instead of {}", b.kv_tokens, a.kv_tokens);
    if (a.layout.dp != b.layout.dp) say("{} replicas instead of {}", b.layout.dp, a.layout.dp);
    if (std::abs(b.metrics.mean_batch_decodes - a.metrics.mean_batch_decodes) >
        0.02 * a.metrics.mean_batch_decodes)
      say("{:.3g} decodes share a step instead of {:.3g}", b.metrics.mean_batch_decodes,
          a.metrics.mean_batch_decodes);
  }

  void compare_limits() {
    const Candidate &a = base_.candidate, &b = variant_.candidate;
    const auto busiest = [](const Candidate& c) {
      std::size_t most = 0;
      for (std::size_t s = 1; s < c.stages.size(); ++s)
        if (c.stages[s].shares.bubble < c.stages[most].shares.bubble) most = s;
      return most;
    };
    const std::size_t was = busiest(a), is = busiest(b);
    const double busy_was = 100 * (1 - a.stages[was].shares.bubble),
                 busy = 100 * (1 - b.stages[is].shares.bubble);
    if (a.stages.size() == b.stages.size() && is != was &&
        busy - 100 * (1 - b.stages[was].shares.bubble) > 0.5)
      say("the busiest stage is now {} ({:.3g} % of the time), not {} ({:.3g} %)", is, busy, was, busy_was);
    else if (std::abs(busy - busy_was) > 2)
      say("the busiest stage works {:.3g} % of the time instead of {:.3g}", busy, busy_was);
    const std::string waits = waits_for(b), waited = waits_for(a);
    if (waits != waited && b.metrics.mean_waiting + a.metrics.mean_waiting >= 1)
      say("what waits, waits mostly for {} instead of {}", waits, waited);
    if (b.metrics.preemptions != a.metrics.preemptions)
      say("{} preemptions instead of {}", b.metrics.preemptions, a.metrics.preemptions);
    if (b.metrics.replica_down_s > 0)
      say("replicas are down for {:.4g} s: {} requests move or wait, {} tokens are computed again, {} "
          "requests are "
          "in flight at the end",
          b.metrics.replica_down_s, b.metrics.rerouted, b.metrics.recomputed_tokens, b.metrics.in_flight);
    if (b.metrics.rejected != a.metrics.rejected)
      say("{} requests are rejected instead of {}", b.metrics.rejected, a.metrics.rejected);
  }

  static std::string waits_for(const Candidate& candidate) {
    const AdmissionLimits& limits = candidate.metrics.limits;
    const std::array<std::pair<double, const char*>, 4> shares = {
        {{limits.kv_blocks, "KV blocks"},
         {limits.max_num_seqs, "max_num_seqs"},
         {limits.max_num_batched_tokens, "max_num_batched_tokens"},
         {limits.pipeline_full, "a batch under way to return"}}};
    const auto most = std::max_element(shares.begin(), shares.end(),
                                       [](const auto& x, const auto& y) { return x.first < y.first; });
    return most->first > 0 ? most->second : "nothing";
  }

  const RunningLayout& base_;
  const RunningLayout& variant_;
  TypicalTimes from_, to_;
  std::vector<std::string> sentences_;
};

}  // namespace

std::vector<std::string> what_moved(const RunningLayout& base, const RunningLayout& variant) {
  return Comparison(base, variant).sentences();
}

}  // namespace sextant
