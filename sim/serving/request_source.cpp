#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"
#include "sim/kernel/portable_math.hpp"
#include "sim/kernel/random.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

/// Draws lengths from a distribution.
class LengthStream {
 public:
  LengthStream(const LengthDistribution& distribution, RandomStream random)
      : distribution_(distribution),
        median_(distribution.mean / portable_exp(distribution.sigma * distribution.sigma / 2)),
        random_(random) {}

  std::int64_t next() {
    switch (distribution_.kind) {
      case LengthDistribution::Kind::fixed:
        return std::llround(distribution_.mean);
      case LengthDistribution::Kind::uniform:
        return distribution_.low +
               static_cast<std::int64_t>(
                   random_.below(static_cast<std::uint64_t>(distribution_.high - distribution_.low) + 1));
      case LengthDistribution::Kind::lognormal:
        break;
    }
    const double drawn = random_.lognormal(median_, distribution_.sigma);
    return std::llround(
        std::clamp(drawn, static_cast<double>(distribution_.low), static_cast<double>(distribution_.high)));
  }

 private:
  LengthDistribution distribution_;
  double median_;
  RandomStream random_;
};

/// Draws the times of arrivals, exact to the nanosecond over any number of them.
class ArrivalStream {
 public:
  /// Of `count` requests the last one comes at count / rate: vLLM scales its gaps so
  /// (vllm/benchmarks/serve.py, get_request).
  ArrivalStream(const Workload& workload, std::int64_t count, RandomStream random)
      : at_once_(workload.arrival == Workload::Arrival::concurrency || std::isinf(workload.request_rate)),
        poisson_(workload.arrival == Workload::Arrival::poisson),
        mean_ns_(1e9 / workload.request_rate),
        shape_(workload.burstiness),
        random_(random) {
    if (at_once_) return;
    RandomStream drawn_before = random;
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += draw(drawn_before);
    if (sum > 0) scale_ = static_cast<double>(count) * mean_ns_ / sum;
  }

  Time next() {
    if (at_once_) return {};
    const double gap = scale_ * draw(random_);
    const double whole = std::floor(gap + fraction_);
    fraction_ += gap - whole;
    if (whole >= static_cast<double>(Time::max().ns - now_.ns))
      throw InputError("workload: found arrivals beyond 292 years, expected a higher request_rate");
    now_ += Time{static_cast<std::int64_t>(whole)};
    return now_;
  }

 private:
  /// As vLLM: gamma gaps of this shape whose mean is 1 / rate; shape 1 is the exponential. In nanoseconds.
  double draw(RandomStream& random) const {
    return poisson_ ? random.exponential(mean_ns_) : random.gamma(shape_, mean_ns_ / shape_);
  }

  bool at_once_;
  bool poisson_;
  double mean_ns_;
  double shape_;
  RandomStream random_;
  double scale_ = 1;
  Time now_;
  double fraction_ = 0;  ///< of a nanosecond, not yet in now_
};

/// Requests of drawn lengths, at drawn times or all ready at once.
class SyntheticSource final : public RequestSource {
 public:
  SyntheticSource(const Workload& workload, std::uint64_t replication)
      : left_(workload.num_prompts),
        arrivals_(workload, workload.num_prompts, RandomStream(workload.seed, "arrivals", replication)),
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

/// A trace's requests at the trace's own times.
class ReplaySource final : public RequestSource {
 public:
  explicit ReplaySource(const Workload& workload)
      : requests_(workload.trace_requests), scale_(workload.time_scale), end_(requests_->size()) {
    const auto wanted = static_cast<std::size_t>(workload.num_prompts);
    if (wanted > end_)
      throw InputError(
          fmt::format("{}: found {} requests, expected the {} of num_prompts", workload.trace, end_, wanted));
    if (wanted > 0) end_ = wanted;
  }

  std::optional<Request> next() override {
    if (at_ == end_) return std::nullopt;
    Request request = (*requests_)[at_++];
    const double scaled = static_cast<double>(request.arrival.ns) * scale_;
    if (scaled >= static_cast<double>(Time::max().ns))
      throw InputError("workload: found arrivals beyond 292 years, expected a smaller time_scale");
    if (scale_ != 1) request.arrival = {std::llround(scaled)};
    return request;
  }

 private:
  std::shared_ptr<const std::vector<Request>> requests_;
  double scale_;
  std::size_t end_;
  std::size_t at_ = 0;
};

/// A trace's lengths in order, over again where more are asked for than it has, at drawn times.
class TraceLengthsSource final : public RequestSource {
 public:
  TraceLengthsSource(const Workload& workload, std::uint64_t replication)
      : requests_(workload.trace_requests),
        left_(workload.num_prompts > 0 ? workload.num_prompts : static_cast<std::int64_t>(requests_->size())),
        arrivals_(workload, left_, RandomStream(workload.seed, "arrivals", replication)) {}

  std::optional<Request> next() override {
    if (left_ == 0) return std::nullopt;
    --left_;
    Request request = (*requests_)[at_];
    at_ = at_ + 1 == requests_->size() ? 0 : at_ + 1;
    request.arrival = arrivals_.next();
    return request;
  }

 private:
  std::shared_ptr<const std::vector<Request>> requests_;
  std::int64_t left_;
  ArrivalStream arrivals_;
  std::size_t at_ = 0;
};

}  // namespace

void load_trace(Workload& workload) {
  if (workload.trace.empty() || workload.trace_requests) return;
  workload.trace_requests =
      std::make_shared<const std::vector<Request>>(read_trace(workload.trace, workload.trace_format));
  if (workload.num_prompts == 0)
    workload.num_prompts = static_cast<std::int64_t>(workload.trace_requests->size());
}

std::unique_ptr<RequestSource> make_request_source(const Workload& workload, std::uint64_t replication) {
  if (workload.trace.empty()) return std::make_unique<SyntheticSource>(workload, replication);
  Workload loaded = workload;
  load_trace(loaded);
  if (loaded.arrival == Workload::Arrival::trace) return std::make_unique<ReplaySource>(loaded);
  return std::make_unique<TraceLengthsSource>(loaded, replication);
}

}  // namespace sextant
