#include "reports/run_series.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

/// Four significant digits: what a chart can show, and a short file.
Json rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

}  // namespace

void RunSeries::Histogram::add(double ms) {
  if (!(ms > 0) || !std::isfinite(ms)) return;
  ++counts_[static_cast<int>(std::floor(bins_per_decade * std::log10(ms)))];
}

Json RunSeries::Histogram::json() const {
  Json list = Json::array();
  const auto edge = [](int bin) { return std::pow(10.0, static_cast<double>(bin) / bins_per_decade); };
  for (const auto& [bin, count] : counts_)
    list.push_back({{"from_ms", rounded(edge(bin))}, {"to_ms", rounded(edge(bin + 1))}, {"count", count}});
  return list;
}

RunSeries::RunSeries(int replicas, int stages)
    : replicas_(replicas), stages_(stages), loads_(static_cast<std::size_t>(replicas)) {}

void RunSeries::merge_neighbours() {
  std::vector<Bin> merged((bins_.size() + 1) / 2);
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    Bin& to = merged[i / 2];
    const Bin& from = bins_[i];
    to.waiting_ns += from.waiting_ns;
    to.running_ns += from.running_ns;
    to.kv_ns += from.kv_ns;
    to.waiting_peak = std::max(to.waiting_peak, from.waiting_peak);
    to.running_peak = std::max(to.running_peak, from.running_peak);
    to.kv_peak = std::max(to.kv_peak, from.kv_peak);
    to.arrived += from.arrived;
    to.rejected += from.rejected;
    to.preempted += from.preempted;
    to.finished += from.finished;
    to.output_tokens += from.output_tokens;
    to.first_tokens += from.first_tokens;
    to.ttft_ms += from.ttft_ms;
    to.busy_ns.resize(static_cast<std::size_t>(stages_));
    for (std::size_t s = 0; s < from.busy_ns.size(); ++s) to.busy_ns[s] += from.busy_ns[s];
  }
  bins_ = std::move(merged);
  width_ns_ *= 2;
}

/// Makes sure that there is a bin for `now`.
void RunSeries::reach(Time now) {
  while (now.ns / width_ns_ >= static_cast<std::int64_t>(most_bins)) merge_neighbours();
  const auto needed = static_cast<std::size_t>(std::max<std::int64_t>(0, now.ns) / width_ns_) + 1;
  if (bins_.size() >= needed) return;
  const std::size_t before = bins_.size();
  bins_.resize(needed);
  for (std::size_t i = before; i < needed; ++i) bins_[i].busy_ns.resize(static_cast<std::size_t>(stages_));
}

RunSeries::Bin& RunSeries::at(Time now) {
  reach(now);
  return bins_[static_cast<std::size_t>(std::max<std::int64_t>(0, now.ns) / width_ns_)];
}

void RunSeries::spread(Time begin, Time end, const std::function<void(Bin&, double ns)>& add) {
  if (end <= begin) return;
  reach(end);
  for (std::int64_t from = std::max<std::int64_t>(0, begin.ns); from < end.ns;) {
    const std::int64_t bin = from / width_ns_;
    const std::int64_t to = std::min(end.ns, (bin + 1) * width_ns_);
    add(bins_[static_cast<std::size_t>(bin)], static_cast<double>(to - from));
    from = to;
  }
}

void RunSeries::account(Time now) {
  spread(accounted_, now, [this](Bin& bin, double ns) {
    bin.waiting_ns += ns * static_cast<double>(total_.waiting);
    bin.running_ns += ns * static_cast<double>(total_.running);
    bin.kv_ns += ns * static_cast<double>(total_.kv_blocks_used);
    bin.waiting_peak = std::max(bin.waiting_peak, total_.waiting);
    bin.running_peak = std::max(bin.running_peak, total_.running);
    bin.kv_peak = std::max(bin.kv_peak, total_.kv_blocks_used);
  });
  accounted_ = std::max(accounted_, now);
}

void RunSeries::load(std::uint32_t replica, Time now, const ReplicaLoad& load) {
  account(now);
  ReplicaLoad& known = loads_.at(replica);
  total_.waiting += load.waiting - known.waiting;
  total_.running += load.running - known.running;
  total_.kv_blocks_used += load.kv_blocks_used - known.kv_blocks_used;
  known = load;
}

void RunSeries::arrived(std::uint64_t, std::uint32_t, Time now) {
  ++at(now).arrived;
}

void RunSeries::rejected(std::uint64_t, Time now) {
  ++at(now).rejected;
}

void RunSeries::preempted(std::uint64_t, Time now) {
  ++at(now).preempted;
}

void RunSeries::finished(const RequestTimes& request) {
  const double ttft = (request.first_token - request.arrival).ms();
  const double e2el = (request.last_token - request.arrival).ms();
  ttft_.add(ttft);
  e2el_.add(e2el);
  if (request.output_tokens > 1) tpot_.add((e2el - ttft) / static_cast<double>(request.output_tokens - 1));
  Bin& last = at(request.last_token);
  ++last.finished;
  last.output_tokens += request.output_tokens;
  Bin& first = at(request.first_token);
  ++first.first_tokens;
  first.ttft_ms += ttft;
}

void RunSeries::pass(const ObservedPass& pass) {
  const auto stage = static_cast<std::size_t>(pass.stage);
  spread(pass.begin, pass.end, [stage](Bin& bin, double ns) {
    if (stage < bin.busy_ns.size()) bin.busy_ns[stage] += ns;
  });
}

Json RunSeries::json() const {
  const auto width = static_cast<double>(width_ns_);
  const auto column = [this](const auto& of) {
    Json list = Json::array();
    for (const Bin& bin : bins_) list.push_back(of(bin));
    return list;
  };
  Json busy = Json::array();
  for (std::size_t s = 0; s < static_cast<std::size_t>(stages_); ++s)
    busy.push_back(column([&](const Bin& bin) {
      return rounded(bin.busy_ns[s] / width / static_cast<double>(std::max(1, replicas_)));
    }));
  return {
      {"bin_s", width * 1e-9},
      {"bins", bins_.size()},
      {"rule",
       fmt::format("at most {} bins of equal length cover the run; their length is 1 ms doubled until they "
                   "do; means are over a bin's time, peaks are the largest value in it",
                   most_bins)},
      {"replicas", replicas_},
      {"waiting_mean", column([&](const Bin& bin) { return rounded(bin.waiting_ns / width); })},
      {"waiting_peak", column([](const Bin& bin) { return bin.waiting_peak; })},
      {"running_mean", column([&](const Bin& bin) { return rounded(bin.running_ns / width); })},
      {"running_peak", column([](const Bin& bin) { return bin.running_peak; })},
      {"kv_blocks_mean", column([&](const Bin& bin) { return rounded(bin.kv_ns / width); })},
      {"kv_blocks_peak", column([](const Bin& bin) { return bin.kv_peak; })},
      {"arrived", column([](const Bin& bin) { return bin.arrived; })},
      {"rejected", column([](const Bin& bin) { return bin.rejected; })},
      {"preempted", column([](const Bin& bin) { return bin.preempted; })},
      {"finished", column([](const Bin& bin) { return bin.finished; })},
      {"output_tokens_of_finished", column([](const Bin& bin) { return bin.output_tokens; })},
      {"mean_ttft_ms", column([](const Bin& bin) {
         return bin.first_tokens == 0 ? Json(nullptr)
                                      : rounded(bin.ttft_ms / static_cast<double>(bin.first_tokens));
       })},
      {"stage_busy", busy},
      {"latency_rule", "bins of equal ratio, 20 to a factor of ten"},
      {"latency_ms", {{"ttft", ttft_.json()}, {"tpot", tpot_.json()}, {"e2el", e2el_.json()}}}};
}

}  // namespace sextant
