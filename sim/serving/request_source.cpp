#include <algorithm>
#include <cmath>

#include "sim/kernel/random.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

/// Draws lengths from a distribution.
class LengthStream {
 public:
  LengthStream(const LengthDistribution& distribution, RandomStream random)
      : distribution_(distribution),
        median_(distribution.mean / std::exp(distribution.sigma * distribution.sigma / 2)),
        random_(random) {}

  std::int64_t next() {
    const LengthDistribution& d = distribution_;
    switch (d.kind) {
      case LengthDistribution::Kind::fixed:
        return std::llround(d.mean);
      case LengthDistribution::Kind::uniform:
        return d.low + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(d.high - d.low) + 1));
      case LengthDistribution::Kind::lognormal:
        break;
    }
    const double drawn = random_.lognormal(median_, d.sigma);
    return std::clamp<std::int64_t>(drawn < 9e15 ? std::llround(drawn) : d.high, d.low, d.high);
  }

 private:
  LengthDistribution distribution_;
  double median_;
  RandomStream random_;
};

/// Draws the times of arrivals. Gaps are rounded to whole nanoseconds and summed exactly, so that nothing drifts.
class ArrivalStream {
 public:
  ArrivalStream(const Workload& workload, RandomStream random) : workload_(workload), random_(random) {}

  Time next() {
    if (workload_.arrival == Workload::Arrival::concurrency || std::isinf(workload_.request_rate)) return {};
    const double mean = 1 / workload_.request_rate;
    const double shape = workload_.burstiness;
    // As vLLM: gamma gaps of this shape, whose mean is 1 / rate; shape 1 is the exponential.
    const double gap = workload_.arrival == Workload::Arrival::gamma ? random_.gamma(shape, mean / shape)
                                                                     : random_.exponential(mean);
    now_ += Time::seconds(gap);
    return now_;
  }

 private:
  Workload workload_;
  RandomStream random_;
  Time now_;
};

class SyntheticSource final : public RequestSource {
 public:
  SyntheticSource(const Workload& workload, std::uint64_t replication)
      : left_(workload.num_prompts),
        arrivals_(workload, RandomStream(workload.seed, "arrivals", replication)),
        prompts_(workload.prompt, RandomStream(workload.seed, "prompt", replication)),
        outputs_(workload.output, RandomStream(workload.seed, "output", replication)) {}

  std::optional<Request> next() override {
    if (left_ == 0) return std::nullopt;
    --left_;
    Request request;
    request.arrival = arrivals_.next();
    request.prompt_tokens = prompts_.next();
    request.output_tokens = outputs_.next();
    return request;
  }

 private:
  std::int64_t left_;
  ArrivalStream arrivals_;
  LengthStream prompts_, outputs_;
};

/// A trace's requests in order, over again where more are asked for than it has.
class TraceSource final : public RequestSource {
 public:
  TraceSource(const Workload& workload, std::uint64_t replication)
      : workload_(workload),
        rows_(read_trace(workload.trace, workload.trace_format)),
        left_(workload.num_prompts > 0 ? workload.num_prompts : static_cast<std::int64_t>(rows_.size())),
        arrivals_(workload, RandomStream(workload.seed, "arrivals", replication)) {}

  std::optional<Request> next() override {
    if (left_ == 0) return std::nullopt;
    --left_;
    Request request = rows_[at_];
    if (workload_.arrival == Workload::Arrival::trace)
      request.arrival = start_ + Time::seconds(rows_[at_].arrival.seconds() * workload_.time_scale);
    else
      request.arrival = arrivals_.next();
    if (++at_ == rows_.size()) {
      at_ = 0;
      start_ = request.arrival;
    }
    return request;
  }

 private:
  Workload workload_;
  std::vector<Request> rows_;
  std::int64_t left_;
  ArrivalStream arrivals_;
  std::size_t at_ = 0;
  Time start_;
};

}  // namespace

std::unique_ptr<RequestSource> make_request_source(const Workload& workload, std::uint64_t replication) {
  if (!workload.trace.empty()) return std::make_unique<TraceSource>(workload, replication);
  return std::make_unique<SyntheticSource>(workload, replication);
}

}  // namespace sextant
