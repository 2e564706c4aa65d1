#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/planner/candidate.hpp"
#include "sim/planner/pools.hpp"

namespace sextant {
namespace {

constexpr double GB = 1e9;

/// 96608 as "96,608".
std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), 1, ',');
  return text;
}

bool same_degrees(const Layout& a, const Layout& b) {
  return a.tp == b.tp && a.pp == b.pp && a.dp == b.dp && a.ep == b.ep;
}

bool same_degrees(const Candidate& a, const Candidate& b) {
  if ((a.prefill == nullptr) != (b.prefill == nullptr) || !same_degrees(a.layout, b.layout)) return false;
  return !a.prefill || same_degrees(a.prefill->layout, b.prefill->layout);
}

std::string figures(const Candidate& c) {
  const auto latency = [](double ms, int digits) {
    return std::isnan(ms) ? "-" : fmt::format("{:.{}f} ms", ms, digits);
  };
  return fmt::format("{:.1f} output tokens/s, mean TPOT {}, mean TTFT {}", c.metrics.output_throughput,
                     latency(c.metrics.tpot.mean, 1), latency(c.metrics.ttft.mean, 0));
}

std::string named(const Candidate& c) {
  const std::string layout = c.prefill ? fmt::format("prefill on {} with decode on {}",
                                                     c.prefill->layout.describe(), c.layout.describe())
                                       : c.layout.describe();
  return layout + (c.choice_name.empty() ? "" : fmt::format(" ({})", c.choice_name));
}

/// What was left after one probe is proven not to be better, at the load of that probe.
void explain_loads(const Plan& plan, std::vector<std::string>& reasons) {
  std::size_t left = 0, unclear = 0;
  double least = 0, most = 0;
  for (const Candidate& c : plan.candidates) {
    if (!c.load || !c.load->gave_up) continue;
    least = left == 0 ? c.simulated_load : std::min(least, c.simulated_load);
    most = std::max(most, c.simulated_load);
    ++left;
    if (c.load->probes.front().verdict == LoadVerdict::indeterminate) ++unclear;
  }
  if (left == 0) return;
  std::string loads = fmt::format("{:.3g}", least);
  if (const std::string end = fmt::format("{:.3g}", most); end != loads)
    loads = fmt::format("from {} to {}", loads, end);
  std::string text = fmt::format(
      "{} of the {} layouts were left after one probe at what the best until then "
      "sustained ({} {})",
      left, plan.candidates.size(), loads, plan.candidates.front().load->unit);
  if (unclear > 0)
    text += fmt::format("; of {} of them the replications do not tell whether they hold it", unclear);
  reasons.push_back(text);
}

void explain_degrees(const Plan& plan, std::vector<std::string>& reasons) {
  const Candidate& best = plan.candidates.front();
  const auto other = std::find_if(plan.candidates.begin(), plan.candidates.end(),
                                  [&](const Candidate& c) { return !same_degrees(c, best); });
  if (other == plan.candidates.end()) {
    if (!plan.rejections.empty())
      reasons.push_back(fmt::format(
          "tp {} x pp {} x dp {}{} is the only division of this cluster that holds the model", best.layout.tp,
          best.layout.pp, best.layout.dp, best.layout.ep > 1 ? fmt::format(", ep {}", best.layout.ep) : ""));
    return;
  }
  std::string text = fmt::format("{} gives {}; next other division, {}, gives {}", named(best), figures(best),
                                 named(*other), figures(*other));
  if (best.meets_slo && !other->meets_slo)
    text += fmt::format(" and misses the SLO ({})", other->missed.front());
  if (best.startable && !other->startable) text += " and would not start: max_model_len exceeds its KV cache";
  if (best.metrics.rejected == 0 && other->metrics.rejected > 0)
    text += fmt::format(" and rejects {} requests", grouped(other->metrics.rejected));
  reasons.push_back(text);
}

void explain_split(const Plan& plan, std::vector<std::string>& reasons) {
  const Candidate& best = plan.candidates.front();
  if (best.layout.pp == 1) return;
  const Candidate* rival = nullptr;
  const std::string own = best.layout.split();
  int layers = 0;
  for (const StageReport& stage : best.stages) layers += stage.layers.size();
  Layout even = best.layout;
  const std::vector<LayerRange> even_ranges = ranges(even_split(layers, best.layout.pp));
  for (auto& replica : even.replicas)
    for (std::size_t s = 0; s < replica.size(); ++s) replica[s].layers = even_ranges[s];
  for (const Candidate& c : plan.candidates) {
    if (!same_degrees(c, best) || c.layout.split() == own) continue;
    // Against the even split where the best is another one; else against the best of the others.
    if (rival == nullptr || c.layout.split() == even.split()) rival = &c;
    if (c.layout.split() == even.split()) break;
  }
  if (rival == nullptr) return;
  const auto slowest = [](const Candidate& c) {
    return std::max_element(c.stages.begin(), c.stages.end(), [](const StageReport& a, const StageReport& b) {
      return a.decode_pass_ms < b.decode_pass_ms;
    });
  };
  const auto a = slowest(best), b = slowest(*rival);
  reasons.push_back(
      fmt::format("the split {} has its slowest decode pass on stage {} ({:.1f} ms) and caches {} tokens: "
                  "{:.1f} tokens/s; {} has it on "
                  "stage {} ({:.1f} ms), caches {} tokens: {:.1f} tokens/s",
                  own, a - best.stages.begin(), a->decode_pass_ms, grouped(best.kv_tokens),
                  best.metrics.output_throughput, rival->layout.split(), b - rival->stages.begin(),
                  b->decode_pass_ms, grouped(rival->kv_tokens), rival->metrics.output_throughput));
}

void explain_bottleneck(const Candidate& best, std::vector<std::string>& reasons) {
  const auto busiest =
      std::max_element(best.stages.begin(), best.stages.end(), [](const auto& a, const auto& b) {
        return a.shares.compute + a.shares.communication < b.shares.compute + b.shares.communication;
      });
  if (busiest == best.stages.end()) return;
  std::size_t largest = 0;
  for (std::size_t f = 1; f < family_count; ++f)
    if (busiest->decode_families.seconds[f] > busiest->decode_families.seconds[largest]) largest = f;
  const double total = busiest->decode_families.total();
  const double share = total > 0 ? busiest->decode_families.seconds[largest] / total : 0;
  std::string text = fmt::format("the busiest stage is {} ({:.0f} % busy); {:.0f} % of its decode pass is {}",
                                 busiest - best.stages.begin(),
                                 100 * (busiest->shares.compute + busiest->shares.communication), 100 * share,
                                 to_string(static_cast<Family>(largest)));
  if (static_cast<Family>(largest) == Family::gemm && total > 0) {
    const double streamed = busiest->memory.weights.layers + busiest->memory.weights.head;
    text += fmt::format(", which streams {:.1f} GB of weights at {:.0f} GB/s", streamed / GB,
                        streamed / GB / busiest->decode_families.seconds[largest]);
  }
  reasons.push_back(text);
}

void explain_hops(const Candidate& best, std::vector<std::string>& reasons) {
  double decode_hops = 0, decode = 0, chunk_hops = 0, chunk = 0;
  for (const StageReport& stage : best.stages) {
    decode_hops += stage.decode_hop_ms;
    decode += stage.decode_pass_ms + stage.decode_hop_ms;
    chunk_hops += stage.chunk_hop_ms;
    chunk += stage.chunk_pass_ms + stage.chunk_hop_ms;
  }
  if (best.layout.pp == 1 || decode <= 0 || chunk <= 0) return;
  reasons.push_back(
      fmt::format("the hops between stages take {:.2f} of the {:.1f} ms of a decode step's way through all "
                  "stages ({:.2f} %) "
                  "and {:.1f} of the {:.0f} ms of a prompt chunk of {} tokens ({:.2f} %)",
                  decode_hops, decode, 100 * decode_hops / decode, chunk_hops, chunk,
                  grouped(best.chunk_tokens), 100 * chunk_hops / chunk));
}

/// What no table of the report says.
void explain_limits(const SearchContext& context, const Candidate& best, std::vector<std::string>& reasons) {
  const ServingMetrics& m = best.metrics;
  const std::int64_t longest = context.scenario.engine.max_model_len;
  if (!best.startable)
    reasons.push_back(
        fmt::format("vLLM will refuse to start with max_model_len {}: a replica caches {} tokens; set "
                    "engine.max_model_len to that or less",
                    grouped(longest), grouped(best.kv_tokens)));
  if (m.overloaded)
    reasons.push_back(fmt::format(
        "overloaded: {:.2f} requests/s arrive, {:.2f} a second are served, and the queue has grown "
        "since {:.1f} s; latencies grow with the length of the run",
        m.overload.arrival_rate, m.overload.capacity, m.overload.from_s));
  if (m.kv_occupancy_peak < 0.5 && m.mean_waiting < 0.5)
    reasons.push_back(
        fmt::format("KV occupancy peaks at {:.0f} %: the load, not the memory, sets the throughput",
                    100 * m.kv_occupancy_peak));
}

}  // namespace

std::vector<std::string> explain(const SearchContext& context, const Plan& plan) {
  std::vector<std::string> reasons;
  const Candidate& best = plan.candidates.front();
  explain_loads(plan, reasons);
  explain_degrees(plan, reasons);
  explain_disaggregation(plan, reasons);
  explain_split(plan, reasons);
  explain_bottleneck(best, reasons);
  explain_hops(best, reasons);
  if (best.prefill) explain_pools(context, best, reasons);
  explain_limits(context, best, reasons);
  return reasons;
}

}  // namespace sextant
