#include "sim/serving/simulation.hpp"

#include <fmt/core.h>

#include <stdexcept>

#include "models/base/error.hpp"
#include "sim/kernel/event_queue.hpp"
#include "sim/kernel/fingerprint.hpp"
#include "sim/serving/queue_growth.hpp"
#include "sim/serving/replica.hpp"

namespace sextant {
namespace {

/// Event kind of the run itself; replicas' are in ReplicaEvent. Its data is 0 for the next of those that wait
/// for nobody, else the slot of a following one, from 1 on; with `was_held_back` of one that arrived before.
constexpr std::uint32_t arrival_event = 0;
constexpr std::uint64_t was_held_back = std::uint64_t{1} << 63;

std::vector<std::int64_t> kv_tokens(const std::vector<ReplicaSetup>& setups, std::int64_t block_size) {
  std::vector<std::int64_t> tokens;
  for (const ReplicaSetup& setup : setups) tokens.push_back(setup.kv_blocks * block_size);
  return tokens;
}

/// The clock, the clients and the replicas of one run.
class Run final : public ReplicaListener {
 public:
  Run(const std::vector<ReplicaSetup>& setups, const EngineOptions& engine, const Workload& workload,
      const SimulationOptions& options)
      : options_(options),
        recorder_(options.bounds, options.observer),
        source_(make_request_source(workload, options.replication)),
        block_size_(engine.block_size),
        speculative_tokens_(engine.tokens_per_decode() - 1),
        closed_loop_(workload.arrival == Workload::Arrival::concurrency),
        most_under_way_(closed_loop_ ? 0 : workload.max_concurrency),
        router_(options.router, kv_tokens(setups, engine.block_size)),
        loads_(setups.size()) {
    std::shared_ptr<const AcceptanceDraws> draws;
    if (engine.speculation)
      draws = std::make_shared<AcceptanceDraws>(*engine.speculation, workload.seed, options.replication);
    for (std::uint32_t i = 0; i < setups.size(); ++i)
      replicas_.push_back(std::make_unique<Replica>(*setups[i].pipeline, engine, setups[i].kv_blocks,
                                                    options.step_by_step, i, queue_, recorder_, fingerprint_,
                                                    *this, draws));
    const std::int64_t clients = closed_loop_ ? workload.max_concurrency : 1;
    for (std::int64_t i = 0; i < clients; ++i)
      if (!send_next()) break;
  }

  void request_done(Time now, std::uint64_t id) override { left(now, id, !submitting_); }

  ServingMetrics run() {
    while (!queue_.empty()) {
      const Event event = queue_.pop();
      fingerprint_.add(event);
      if (event.kind == arrival_event) {
        arrive(event.data);
      } else {
        current_ = event.target;
        replicas_[current_]->handle(event);
        note_load(current_);
      }
      if ((queue_.popped() & 0xfff) == 0 && options_.stop != nullptr && options_.stop->load())
        throw Interrupted();
    }
    return result();
  }

 private:
  /// Draws the next request that waits for nobody and schedules its arrival.
  bool send_next() {
    auto request = source_->next();
    if (!request) return false;
    if (closed_loop_) request->arrival = queue_.now();
    const Time at = request->arrival;
    pending_.push_back(std::move(*request));
    queue_.schedule({at, arrival_event, 0, 0}, arrival_priority);
    return true;
  }

  /// Schedules a request that follows on one that has left.
  void send_following(Request request, std::uint64_t mark = 0) {
    std::size_t slot = following_.size();
    if (free_following_.empty()) {
      following_.emplace_back();
    } else {
      slot = free_following_.back();
      free_following_.pop_back();
    }
    queue_.schedule({request.arrival, arrival_event, 0, (slot + 1) | mark}, arrival_priority);
    following_[slot] = std::move(request);
  }

  Request take_arrived(std::uint64_t slot_from_1) {
    slot_from_1 &= ~was_held_back;
    if (slot_from_1 == 0) {
      Request request = std::move(pending_.front());
      pending_.pop_front();
      return request;
    }
    free_following_.push_back(slot_from_1 - 1);
    return std::move(following_[slot_from_1 - 1]);
  }

  void arrive(std::uint64_t slot_from_1) {
    Request request = take_arrived(slot_from_1);
    if (!closed_loop_ && (slot_from_1 & was_held_back) == 0) {
      // What comes at the instant of the first, all at once, finds the queue it makes: no sign of a rate.
      if (queue_.now() > recorder_.first_arrival()) {
        queue_growth_.arrival(queue_.now(), waiting(), recorder_.left());
        if (waiting() > options_.most_waiting && queue_growth_.overloaded()) throw InputError(never_drains());
      }
      if (slot_from_1 == 0) send_next();
    }
    if (slot_from_1 == 0 && most_under_way_ > 0 && under_way_++ >= most_under_way_) {
      held_back_.push_back(std::move(request));
      return;
    }
    recorder_.arrived(queue_.now());
    if (request.prompt_tokens < 1 || request.output_tokens < 1) {
      recorder_.rejected();
      if (options_.observer != nullptr) options_.observer->rejected(request.id, queue_.now());
      followed(request.id, false);
      return;
    }
    current_ = router_.choose(request);
    if (options_.observer != nullptr) options_.observer->arrived(request.id, current_, queue_.now());
    submitting_ = true;
    replicas_[current_]->submit(request);
    submitting_ = false;
    note_load(current_);
  }

  /// A request has left the current replica: finished, or rejected while it was submitted.
  void left(Time now, std::uint64_t id, bool served) {
    router_.done(current_);
    if (!served && options_.observer != nullptr) options_.observer->rejected(id, now);
    followed(id, served);
  }

  void followed(std::uint64_t id, bool served) {
    if (auto request = source_->following(id, served, queue_.now()))
      send_following(std::move(*request));
    else if (closed_loop_)
      send_next();
    else if (most_under_way_ > 0)
      send_held_back();
  }

  /// A request (of a conversation: its last) has left, and the one held back longest takes its place.
  void send_held_back() {
    --under_way_;
    if (held_back_.empty()) return;
    Request request = std::move(held_back_.front());
    held_back_.pop_front();
    request.arrival = queue_.now();
    send_following(std::move(request), was_held_back);
  }

  /// Requests that wait, with a replica or with the client.
  std::int64_t waiting() const { return waiting_ + static_cast<std::int64_t>(held_back_.size()); }

  /// Keeps the number of waiting requests up to date and tells the observer.
  void note_load(std::uint32_t replica) {
    const Replica& at = *replicas_[replica];
    ReplicaLoad& known = loads_[replica];
    waiting_ += at.waiting() - known.waiting;
    known.waiting = at.waiting();
    if (options_.observer == nullptr) return;
    const ReplicaLoad load{at.waiting(), at.unfinished() - at.waiting(), at.used_blocks()};
    if (load == known) return;
    known = load;
    options_.observer->load(replica, queue_.now(), load);
  }

  std::string never_drains() const {
    const Overload overload = queue_growth_.overload();
    return fmt::format(
        "workload: found {:.3g} requests/s arriving and {:.3g} requests/s served since {:.1f} s, with {} "
        "requests "
        "waiting at {:.1f} s: it never drains; expected a rate below the capacity",
        overload.arrival_rate, overload.capacity, overload.from_s, waiting(), queue_.now().seconds());
  }

  ServingMetrics result() {
    std::int64_t unfinished = 0;
    for (const auto& replica : replicas_) unfinished += replica->unfinished();
    ServingMetrics metrics = recorder_.result(unfinished, options_.percentiles);
    if (unfinished > 0) {
      std::string states;
      for (const auto& replica : replicas_)
        if (replica->unfinished() > 0) states += (states.empty() ? "" : "; ") + replica->state();
      throw std::logic_error("nothing can move: " + states);
    }
    if (metrics.arrived != metrics.finished + metrics.rejected + metrics.in_flight)
      throw std::logic_error(
          fmt::format("requests were lost: {} arrived, {} finished, {} rejected, {} in flight",
                      metrics.arrived, metrics.finished, metrics.rejected, metrics.in_flight));
    metrics.overloaded = queue_growth_.overloaded();
    if (metrics.overloaded) metrics.overload = queue_growth_.overload();
    metrics.events = queue_.popped();
    metrics.fingerprint = fingerprint_.text();
    if (metrics.duration_s > 0) add_totals(metrics);
    return metrics;
  }

  void add_totals(ServingMetrics& m) {
    const double replica_seconds = m.duration_s * static_cast<double>(replicas_.size());
    double limited = 0, decodes = 0, waiting = 0;
    std::array<double, 4> limits{};
    for (const auto& replica : replicas_) {
      const ReplicaTotals& totals = replica->totals();
      m.kv_blocks = replica->kv_blocks();
      if (m.stages.empty()) m.stages.resize(totals.stages.size());
      for (std::size_t s = 0; s < totals.stages.size() && s < m.stages.size(); ++s) {
        const auto& stage = totals.stages[s];
        m.stages[s].compute += (stage.busy - stage.communication).seconds() / replica_seconds;
        m.stages[s].communication += stage.communication.seconds() / replica_seconds;
        m.stages[s].hop_busy += stage.hop.seconds() / replica_seconds;
      }
      m.mean_running += totals.running_seconds / m.duration_s;
      waiting += totals.waiting_seconds;
      decodes += static_cast<double>(totals.decodes);
      m.speculation.drafts += speculative_tokens_ > 0 ? totals.decodes : 0;
      m.speculation.draft_tokens += speculative_tokens_ * totals.decodes;
      m.speculation.accepted_tokens += totals.accepted_tokens;
      const double block_bytes = replica->block_bytes();
      m.offload.hit_tokens += totals.blocks_from_host * block_size_;
      m.offload.bytes_from_host += block_bytes * static_cast<double>(totals.blocks_from_host);
      m.offload.bytes_to_host += block_bytes * static_cast<double>(totals.blocks_to_host);
      const auto blocks = static_cast<double>(replica->kv_blocks());
      m.kv_occupancy_mean += totals.kv_block_seconds / blocks / replica_seconds;
      m.kv_occupancy_peak =
          std::max(m.kv_occupancy_peak, static_cast<double>(totals.kv_blocks_peak) / blocks);
      for (std::size_t i = 0; i < limits.size(); ++i) limits[i] += totals.limit_seconds[i];
    }
    for (StageShares& stage : m.stages) stage.bubble = 1 - stage.compute - stage.communication;
    m.mean_waiting = waiting / m.duration_s;
    if (m.steps > 0) m.mean_batch_decodes = decodes / static_cast<double>(m.steps);
    for (const double seconds : limits) limited += seconds;
    if (limited > 0)
      m.limits = {limits[0] / limited, limits[1] / limited, limits[2] / limited, limits[3] / limited};
  }

  static constexpr std::uint8_t arrival_priority = 200;  // after what the machine does at the same instant

  SimulationOptions options_;
  EventQueue queue_;
  Fingerprint fingerprint_;
  Recorder recorder_;
  std::unique_ptr<RequestSource> source_;
  std::int64_t block_size_;
  std::int64_t speculative_tokens_;  // of a decode in a step
  bool closed_loop_;
  std::int64_t most_under_way_;     // an open loop's max_concurrency; 0: none
  std::int64_t under_way_ = 0;      // requests (or conversations) begun, those held back included
  std::deque<Request> held_back_;   // the client has them but not sent them
  std::deque<Request> pending_;     // scheduled to arrive, in order
  std::vector<Request> following_;  // scheduled to arrive after another has left
  std::vector<std::size_t> free_following_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  Router router_;
  std::vector<ReplicaLoad> loads_;
  std::int64_t waiting_ = 0;   // on all replicas
  std::uint32_t current_ = 0;  // the replica at work
  bool submitting_ = false;    // a request that is done now is rejected
  QueueGrowth queue_growth_;
};

}  // namespace

ServingMetrics simulate(const std::vector<ReplicaSetup>& replicas, const EngineOptions& engine,
                        const Workload& workload, const SimulationOptions& options) {
  if (replicas.empty()) throw std::logic_error("simulate: no replicas");
  return Run(replicas, engine, workload, options).run();
}

}  // namespace sextant
