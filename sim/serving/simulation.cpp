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

/// Event kinds of the run itself; replicas' are in ReplicaEvent.
constexpr std::uint32_t arrival_event = 0;

/// The clock, the clients and the replicas of one run.
class Run final : public ReplicaListener {
 public:
  Run(const std::vector<ReplicaSetup>& setups, const EngineOptions& engine, const Workload& workload,
      const SimulationOptions& options)
      : options_(options),
        recorder_(options.bounds),
        source_(make_request_source(workload, options.replication)),
        closed_loop_(workload.arrival == Workload::Arrival::concurrency) {
    for (std::uint32_t i = 0; i < setups.size(); ++i)
      replicas_.push_back(std::make_unique<Replica>(*setups[i].pipeline, engine, setups[i].kv_blocks,
                                                    options.step_by_step, i, queue_, recorder_, fingerprint_,
                                                    *this));
    const std::int64_t clients = closed_loop_ ? workload.max_concurrency : 1;
    for (std::int64_t i = 0; i < clients; ++i)
      if (!send_next()) break;
  }

  void request_done(Time, std::uint64_t) override {
    if (closed_loop_) send_next();
  }

  ServingMetrics run() {
    while (!queue_.empty()) {
      const Event event = queue_.pop();
      fingerprint_.add(event);
      if (event.kind == arrival_event)
        arrive();
      else
        replicas_[event.target]->handle(event);
      if ((queue_.popped() & 0xfff) == 0 && options_.stop != nullptr && options_.stop->load())
        throw Interrupted();
    }
    return result();
  }

 private:
  /// Draws the next request and schedules its arrival.
  bool send_next() {
    auto request = source_->next();
    if (!request) return false;
    if (closed_loop_) request->arrival = queue_.now();
    const Time at = request->arrival;
    pending_.push_back(std::move(*request));
    queue_.schedule({at, arrival_event, 0, 0}, arrival_priority);
    return true;
  }

  void arrive() {
    const Request request = std::move(pending_.front());
    pending_.pop_front();
    recorder_.arrived(queue_.now());
    if (!closed_loop_) {
      std::int64_t waiting = 0;
      for (const auto& replica : replicas_) waiting += replica->waiting();
      // What comes at the instant of the first, all at once, finds the queue it makes: no sign of a rate.
      if (queue_.now() > recorder_.first_arrival()) queue_growth_.arrival(waiting);
      send_next();
    }
    replicas_[next_replica_]->submit(request);
    next_replica_ = (next_replica_ + 1) % replicas_.size();
  }

  ServingMetrics result() {
    std::int64_t unfinished = 0;
    for (const auto& replica : replicas_) unfinished += replica->unfinished();
    ServingMetrics metrics = recorder_.result(unfinished);
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
  bool closed_loop_;
  std::deque<Request> pending_;  // scheduled to arrive, in order
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::size_t next_replica_ = 0;
  QueueGrowth queue_growth_;
};

}  // namespace

ServingMetrics simulate(const std::vector<ReplicaSetup>& replicas, const EngineOptions& engine,
                        const Workload& workload, const SimulationOptions& options) {
  if (replicas.empty()) throw std::logic_error("simulate: no replicas");
  return Run(replicas, engine, workload, options).run();
}

}  // namespace sextant
