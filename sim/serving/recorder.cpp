#include "sim/serving/recorder.hpp"

#include <algorithm>
#include <limits>

namespace sextant {
namespace {
bool within(Time value, double bound_ms) {
  return bound_ms <= 0 || value.ms() <= bound_ms;
}
}  // namespace

void Recorder::arrived(Time now) {
  ++metrics_.arrived;
  first_arrival_ = std::min(first_arrival_, now);
  last_arrival_ = std::max(last_arrival_, now);
}

void Recorder::finished(const RequestTimes& request) {
  ++metrics_.finished;
  if (observer_ != nullptr) observer_->finished(request);
  metrics_.prompt_tokens += request.prompt_tokens;
  metrics_.output_tokens += request.output_tokens;
  last_token_ = std::max(last_token_, request.last_token);
  const Time ttft = request.first_token - request.arrival;
  const Time e2el = request.last_token - request.arrival;
  ttft_.add(ttft, 1);
  e2el_.add(e2el, 1);
  bool good = within(ttft, bounds_.ttft_ms) && within(e2el, bounds_.e2el_ms);
  if (request.output_tokens > 1) {
    const Time tpot{(e2el - ttft).ns / (request.output_tokens - 1)};
    tpot_.add(tpot, 1);
    good = good && within(tpot, bounds_.tpot_ms);
  }
  good_ += good ? 1 : 0;
}

ServingMetrics Recorder::result(std::int64_t in_flight, const std::vector<double>& percents, Time end) const {
  ServingMetrics m = metrics_;
  m.in_flight = in_flight;
  m.ttft = summarise(ttft_);
  m.tpot = summarise(tpot_);
  m.itl = summarise(itl_);
  m.e2el = summarise(e2el_);
  const std::pair<const char*, const WeightedSamples*> latencies[] = {
      {"ttft", &ttft_}, {"tpot", &tpot_}, {"itl", &itl_}, {"e2el", &e2el_}};
  for (const auto& [name, samples] : latencies)
    for (const double percent : percents)
      m.percentiles.push_back({name, percent, samples->percentile_ms(percent / 100)});
  m.goodput_fraction = m.arrived > 0 ? static_cast<double>(good_) / static_cast<double>(m.arrived)
                                     : std::numeric_limits<double>::quiet_NaN();
  if (m.finished == 0) return m;
  m.duration_s = (std::max(last_token_, end) - first_arrival_).seconds();
  if (m.duration_s <= 0) return m;
  const auto per_second = [&](std::int64_t amount) { return static_cast<double>(amount) / m.duration_s; };
  m.request_throughput = per_second(m.finished);
  m.output_throughput = per_second(m.output_tokens);
  m.total_token_throughput = per_second(m.output_tokens + m.prompt_tokens);
  m.request_goodput = per_second(good_);
  return m;
}

}  // namespace sextant
