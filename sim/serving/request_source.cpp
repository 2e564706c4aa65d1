#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <utility>

#include "models/base/error.hpp"
#include "sim/kernel/random.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

/// When requests arrive, of a closed loop too, where all are ready at once; and how many there are.
class Arrivals {
 public:
  /// `count` 0: as many as the arrivals have.
  Arrivals(const Workload& workload, std::int64_t count, std::uint64_t replication)
      : closed_loop_(workload.arrival == Workload::Arrival::concurrency),
        left_(count > 0 ? count : std::numeric_limits<std::int64_t>::max()) {
    if (!closed_loop_)
      stream_.emplace(arrival_process(workload), count, RandomStream(workload.seed, "arrivals", replication));
  }
  std::optional<Time> next() {
    if (left_ == 0) return std::nullopt;
    --left_;
    return closed_loop_ ? Time{} : stream_->next();
  }

 private:
  bool closed_loop_;
  std::int64_t left_;
  std::optional<ArrivalStream> stream_;
};

/// Requests of drawn lengths, at drawn times or all ready at once.
class SyntheticSource final : public RequestSource {
 public:
  SyntheticSource(const Workload& workload, std::uint64_t replication)
      : arrivals_(workload, workload.num_prompts, replication),
        prompts_(workload.prompt, RandomStream(workload.seed, "prompt", replication)),
        outputs_(workload.output, RandomStream(workload.seed, "output", replication)) {}

  std::optional<Request> next() override {
    const std::optional<Time> arrival = arrivals_.next();
    if (!arrival) return std::nullopt;
    Request request;
    request.id = sent_++;
    request.arrival = *arrival;
    request.prompt_tokens = prompts_.next();
    request.output_tokens = outputs_.next();
    return request;
  }

 private:
  std::uint64_t sent_ = 0;
  Arrivals arrivals_;
  LengthStream prompts_, outputs_;
};

/// Requests whose prompt and output are drawn together.
class JointSource final : public RequestSource {
 public:
  JointSource(const Workload& workload, std::uint64_t replication)
      : arrivals_(workload, workload.num_prompts, replication),
        lengths_(workload.lengths),
        prompts_(workload.seed, "prompt", replication),
        outputs_(workload.seed, "output", replication) {}

  std::optional<Request> next() override {
    const std::optional<Time> arrival = arrivals_.next();
    if (!arrival) return std::nullopt;
    Request request;
    request.id = sent_++;
    request.arrival = *arrival;
    const double prompt = prompts_.uniform();
    request.prompt_tokens = std::llround(lengths_->prompt.at(prompt));
    request.output_tokens =
        std::llround(lengths_->output[lengths_->prompt.interval(prompt)].at(outputs_.uniform()));
    return request;
  }

 private:
  std::uint64_t sent_ = 0;
  Arrivals arrivals_;
  std::shared_ptr<const JointLengths> lengths_;
  RandomStream prompts_, outputs_;
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
    Request request = (*requests_)[at_];
    request.id = at_++;
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
      : requests_(workload.trace_requests), arrivals_(workload, count_of(workload), replication) {}

  std::optional<Request> next() override {
    const std::optional<Time> arrival = arrivals_.next();
    if (!arrival) return std::nullopt;
    Request request = (*requests_)[at_];
    at_ = at_ + 1 == requests_->size() ? 0 : at_ + 1;
    request.id = sent_++;
    request.arrival = *arrival;
    return request;
  }

 private:
  static std::int64_t count_of(const Workload& workload) {
    if (workload.num_prompts > 0 || !workload.rate_stages.empty()) return workload.num_prompts;
    return static_cast<std::int64_t>(workload.trace_requests->size());
  }

  std::shared_ptr<const std::vector<Request>> requests_;
  Arrivals arrivals_;
  std::uint64_t sent_ = 0;
  std::size_t at_ = 0;
};

/// Requests of another source with a priority each, drawn by the request's number.
class PrioritySource final : public RequestSource {
 public:
  PrioritySource(std::unique_ptr<RequestSource> requests, const Workload& workload, std::uint64_t replication)
      : requests_(std::move(requests)),
        shares_(workload.priorities),
        seed_(workload.seed),
        component_(fmt::format("priority {}", replication)) {}

  std::optional<Request> next() override { return with_priority(requests_->next()); }
  std::optional<Request> following(std::uint64_t id, bool served, Time now) override {
    return with_priority(requests_->following(id, served, now));
  }

 private:
  std::optional<Request> with_priority(std::optional<Request> request) const {
    if (!request) return request;
    double left = RandomStream(seed_, component_, request->id).uniform();
    request->priority = shares_.back().priority;
    for (const PriorityShare& item : shares_) {
      left -= item.share;
      if (left > 0) continue;
      request->priority = item.priority;
      break;
    }
    return request;
  }

  std::unique_ptr<RequestSource> requests_;
  std::vector<PriorityShare> shares_;
  std::uint64_t seed_;
  std::string component_;
};

std::unique_ptr<RequestSource> make_plain_source(const Workload& workload, std::uint64_t replication) {
  if (workload.conversations) return make_conversation_source(workload, replication);
  if (workload.lengths) return std::make_unique<JointSource>(workload, replication);
  if (workload.trace.empty()) return std::make_unique<SyntheticSource>(workload, replication);
  Workload loaded = workload;
  load_trace(loaded);
  if (loaded.arrival == Workload::Arrival::trace) return std::make_unique<ReplaySource>(loaded);
  return std::make_unique<TraceLengthsSource>(loaded, replication);
}

}  // namespace

void load_trace(Workload& workload) {
  if (workload.trace.empty() || workload.trace_requests) return;
  workload.trace_requests = std::make_shared<const std::vector<Request>>(
      read_trace(workload.trace, workload.trace_format, workload.characters_per_token));
  if (workload.num_prompts == 0 && workload.rate_stages.empty())
    workload.num_prompts = static_cast<std::int64_t>(workload.trace_requests->size());
}

std::unique_ptr<RequestSource> make_request_source(const Workload& workload, std::uint64_t replication) {
  std::unique_ptr<RequestSource> requests = make_plain_source(workload, replication);
  if (workload.priorities.empty()) return requests;
  return std::make_unique<PrioritySource>(std::move(requests), workload, replication);
}

}  // namespace sextant
