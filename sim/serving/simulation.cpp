#include "sim/serving/simulation.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>

#include "models/base/error.hpp"
#include "sim/kernel/event_queue.hpp"
#include "sim/kernel/fingerprint.hpp"
#include "sim/serving/pool_metrics.hpp"
#include "sim/serving/queue_growth.hpp"
#include "sim/serving/replica.hpp"

namespace sextant {
namespace {

/// Event kind of the run itself; replicas' are in ReplicaEvent. Its data is 0 for the next of those that wait
/// for nobody, else the slot of a following one, from 1 on; with `was_held_back` of one that arrived before.
constexpr std::uint32_t arrival_event = 0;
constexpr std::uint64_t was_held_back = std::uint64_t{1} << 63;
/// Event kinds of what goes between replicas: messages on shared links, requests from prefill to decode, and
/// layers of KV that are ready to be sent there.
constexpr std::uint32_t traffic_event = 32, handover_event = 33, layer_ready_event = 34;
static_assert(LockStep::event_kind != traffic_event && LockStep::event_kind != handover_event &&
              LockStep::event_kind != layer_ready_event);
/// A replica goes down, comes up or changes its speed; data is the index of the change.
constexpr std::uint32_t change_event = 100;

/// KV tokens of the replicas that decode, or of those that requests arrive at.
std::vector<std::int64_t> kv_tokens(const std::vector<ReplicaSetup>& setups, std::int64_t block_size,
                                    bool decode) {
  std::vector<std::int64_t> tokens;
  for (const ReplicaSetup& setup : setups)
    if ((setup.role == ReplicaRole::decode) == decode)
      tokens.push_back(setup.kv_blocks * (setup.pool ? setup.pool->block_tokens : block_size) /
                       (setup.pool ? std::max<std::int64_t>(1, setup.pool->blocks_at_once()) : 1));
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
        max_model_len_(engine.max_model_len),
        speculative_tokens_(engine.tokens_per_decode() - 1),
        closed_loop_(workload.arrival == Workload::Arrival::concurrency),
        most_under_way_(closed_loop_ ? 0 : workload.max_concurrency),
        router_(options.router, kv_tokens(setups, engine.block_size, false)),
        loads_(setups.size()) {
    std::shared_ptr<const AcceptanceDraws> draws;
    if (engine.speculation)
      draws = std::make_shared<AcceptanceDraws>(*engine.speculation, workload.seed, options.replication);
    for (std::uint32_t i = 0; i < setups.size(); ++i)
      replicas_.push_back(std::make_unique<Replica>(*setups[i].pipeline, engine, setups[i].kv_blocks,
                                                    options.step_by_step, i, queue_, recorder_, fingerprint_,
                                                    *this, setups[i].role, draws, setups[i].pool));
    connect(setups, engine);
    step_together(setups);
    down_since_.resize(setups.size());
    for (std::size_t i = 0; i < options_.changes.size(); ++i)
      queue_.schedule({options_.changes[i].at, change_event, options_.changes[i].replica, i},
                      change_priority);
    const std::int64_t clients = closed_loop_ ? workload.max_concurrency : 1;
    for (std::int64_t i = 0; i < clients; ++i)
      if (!send_next()) break;
  }

  void request_done(Time now, std::uint64_t id) override { left(now, id, !submitting_); }
  void prefilled(std::uint32_t replica, std::uint32_t slot, std::uint64_t id) override {
    router_.done(replica);
    handovers_->prefilled(replica, slot, id);
  }
  bool kv_wanted(std::uint32_t replica, std::uint32_t slot, std::uint64_t id, std::int64_t tokens) override {
    return handovers_->send(replica, slot, id, tokens);
  }
  void last_chunks_begin(std::uint32_t replica, const std::vector<LastChunk>& chunks, Time takes) override {
    handovers_->send_layers(replica, chunks, takes);
  }
  bool still_sends(std::uint32_t replica) override { return handovers_->still_sends(replica); }
  void hop_begins(std::uint32_t replica, int stage, std::int64_t tokens, std::uint64_t data) override {
    const PipelineModel& pipeline = *pipelines_[replica];
    traffic_->send(
        message(options_.fabric->shared_hops[replica][static_cast<std::size_t>(stage)],
                pipeline.hop_bytes(stage, tokens), pipeline.hop(stage, tokens), pipeline.hop(stage, 0)),
        {MessageOwner::Kind::hop, replica, data});
  }

  ServingMetrics run() {
    while (!queue_.empty()) {
      const Event event = queue_.pop();
      fingerprint_.add(event);
      if (event.kind == arrival_event) {
        arrive(event.data);
      } else if (event.kind == change_event) {
        change(options_.changes[event.data]);
      } else if (event.kind == traffic_event || event.kind == handover_event ||
                 event.kind == layer_ready_event) {
        link_event(event);
      } else if (event.kind == LockStep::event_kind) {
        lock_steps_[event.target].handle(event);
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
    send({request, queue_.now(), 0, {}, {}, false});
  }

  /// To the replica that the router chooses, or to those that wait for one to be up.
  void send(MovedRequest request) {
    if (!router_.any_up()) {
      stranded_.push_back(std::move(request));
      return;
    }
    current_ = router_.choose(request.request);
    if (handovers_) handovers_->begin(within_model_length(request.request), queue_.now());
    if (options_.observer != nullptr && !request.moved)
      options_.observer->arrived(request.request.id, current_, queue_.now());
    submitting_ = true;
    turned_away_ = false;
    replicas_[current_]->submit(request);
    submitting_ = false;
    if (handovers_ && turned_away_) handovers_->forget(request.request.id);
    note_load(current_);
  }

  /// A prefill replica makes one token of any request, so how many there will be is said before.
  Request within_model_length(Request request) {
    const std::int64_t room = max_model_len_ - request.prompt_tokens;
    if (max_model_len_ == 0 || room < 1 || room >= request.output_tokens) return request;
    recorder_.truncated();
    request.output_tokens = room;
    return request;
  }

  void change(const ReplicaChange& change) {
    const std::uint32_t r = change.replica;
    std::vector<MovedRequest> waiting;
    if (change.pipeline != nullptr) {
      replicas_[r]->use(*change.pipeline);
      if (!down_since_[r]) return;
      recorder_.replica_down(*down_since_[r], queue_.now());
      down_since_[r].reset();
      router_.set_up(r, true);
      waiting.swap(stranded_);
    } else if (!down_since_[r]) {
      down_since_[r] = queue_.now();
      router_.set_up(r, false);
      std::int64_t lost_tokens = 0;
      waiting = replicas_[r]->evacuate(lost_tokens);
      if (!waiting.empty()) last_work_lost_ = queue_.now();
      recorder_.rerouted(static_cast<std::int64_t>(waiting.size()), lost_tokens);
      for (std::size_t i = 0; i < waiting.size(); ++i) router_.done(r);
      note_load(r);
    }
    for (MovedRequest& request : waiting) send(std::move(request));
  }

  /// Links that replicas share, and the way from prefill to decode where they are apart.
  void connect(const std::vector<ReplicaSetup>& setups, const EngineOptions& engine) {
    for (const ReplicaSetup& setup : setups) {
      pipelines_.push_back(setup.pipeline.get());
      first_decode_ += setup.role == ReplicaRole::decode ? 0 : 1;
    }
    const bool apart = first_decode_ < setups.size();
    if (apart && options_.fabric == nullptr)
      throw std::logic_error("simulate: found decode replicas, expected the fabric that their KV comes over");
    if (options_.fabric == nullptr || (!apart && !options_.fabric->shares_hops())) return;
    traffic_.emplace(options_.fabric->capacities, queue_, traffic_event, options_.fabric->congestion);
    for (std::size_t r = 0; r < options_.fabric->shared_hops.size(); ++r) {
      std::vector<bool> shared;
      for (const auto& path : options_.fabric->shared_hops[r]) shared.push_back(!path.empty());
      if (std::find(shared.begin(), shared.end(), true) != shared.end())
        replicas_[r]->share_hops(std::move(shared));
    }
    if (apart)
      handovers_.emplace(*options_.fabric, options_.first_token, options_.kv_connector,
                         Router(options_.router, kv_tokens(setups, engine.block_size, true)), first_decode_,
                         replicas_, *traffic_, queue_,
                         KvHandovers::EventKinds{handover_event, layer_ready_event});
  }

  /// Ranks that share experts.
  void step_together(const std::vector<ReplicaSetup>& setups) {
    std::map<int, std::uint32_t> numbers;
    for (std::size_t i = 0; i < setups.size(); ++i) {
      if (setups[i].lock_step < 0) continue;
      if (!options_.changes.empty() || setups[i].pipeline->stages() > 1)
        throw std::logic_error("simulate: found ranks in lock step with faults or stages, expected neither");
      const auto number = static_cast<std::uint32_t>(lock_steps_.size());
      const auto [place, is_new] = numbers.try_emplace(setups[i].lock_step, number);
      if (is_new) lock_steps_.emplace_back(*setups[i].pipeline, number, queue_);
      replicas_[i]->step_with(lock_steps_[place->second]);
    }
  }

  void link_event(const Event& event) {
    if (event.kind == handover_event) return hand_over(event.data);
    if (event.kind == layer_ready_event) return handovers_->layer_ready(event);
    for (const MessageOwner& owner : traffic_->handle(event)) {
      if (owner.kind == MessageOwner::Kind::kv) {
        const std::optional<KvHandovers::Ends> ends = handovers_->message_arrived(owner);
        if (!ends) continue;
        note_load(ends->prefill);
        note_load(ends->decode);
      } else {
        current_ = owner.replica;
        replicas_[current_]->hop_done(owner.data);
        note_load(current_);
      }
    }
  }

  /// A request whose prompt is computed goes on to a decode replica.
  void hand_over(std::uint64_t id) {
    const KvHandovers::Next next = handovers_->next(id);
    const Request& request = *next.request;
    if (next.complete) {
      recorder_.finished({next.handover.arrival, next.handover.first_token, queue_.now(),
                          request.prompt_tokens, request.output_tokens, id});
      handovers_->drop(id);
      followed(id, true);
    } else {
      current_ = next.decode;
      if (options_.observer != nullptr) options_.observer->handed_over(id, current_, queue_.now());
      submitting_ = true;
      turned_away_ = false;
      replicas_[current_]->submit(request, &next.handover);
      submitting_ = false;
      note_load(current_);
      if (turned_away_) {
        last_work_lost_ = queue_.now();
        handovers_->drop(id);
      }
    }
    note_load(next.prefill);
  }

  /// A request has left the current replica: finished, or rejected while it was submitted.
  void left(Time now, std::uint64_t id, bool served) {
    if (handovers_ && handovers_->decodes(current_))
      handovers_->decode_done(current_);
    else
      router_.done(current_);
    turned_away_ = !served;
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
    if (options_.observer == nullptr) {
      known.waiting = at.waiting();
      return;
    }
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
    const std::int64_t in_flight = unfinished + static_cast<std::int64_t>(stranded_.size());
    const Time end = end_of_run(in_flight);
    for (const std::optional<Time>& since : down_since_)
      if (since) recorder_.replica_down(*since, end);
    ServingMetrics metrics = recorder_.result(in_flight, options_.percentiles, end);
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
    for (const auto& replica : replicas_)
      if (metrics.in_flight == 0 && replica->used_blocks() != 0)
        throw std::logic_error("KV blocks were lost: " + replica->state());
    metrics.overloaded = queue_growth_.overloaded();
    if (metrics.overloaded) metrics.overload = queue_growth_.overload();
    metrics.events = queue_.popped();
    metrics.fingerprint = fingerprint_.text();
    if (metrics.duration_s > 0) add_totals(metrics);
    return metrics;
  }

  /// The last token; where requests are never served, not before the last of them came or a replica that
  /// stays down went.
  Time end_of_run(std::int64_t in_flight) const {
    Time end = recorder_.last_token();
    if (in_flight == 0) return end;
    end = std::max(end, recorder_.last_arrival());
    for (const std::optional<Time>& since : down_since_)
      if (since) end = std::max(end, *since);
    return end;
  }

  /// Before they went down replicas may have worked after the last token of a request that finished: for
  /// those in flight at the end, or rejected elsewhere.
  double seconds_worked(const ServingMetrics& m) const {
    return std::max(m.duration_s, (last_work_lost_ - recorder_.first_arrival()).seconds());
  }

  void add_totals(ServingMetrics& m) {
    const std::span<const std::unique_ptr<Replica>> all(replicas_);
    const std::size_t prefill = handovers_ ? first_decode_ : 0;
    const double seconds = seconds_worked(m);
    const PoolMetrics main = pool_metrics(all.subspan(prefill), seconds);
    m.mean_running = main.mean_running;
    m.mean_waiting = main.mean_waiting;
    m.mean_batch_decodes = main.mean_batch_decodes;
    m.kv_occupancy_mean = main.kv_occupancy_mean;
    m.kv_occupancy_peak = main.kv_occupancy_peak;
    m.kv_blocks = main.kv_blocks;
    m.limits = main.limits;
    m.stages = main.stages;
    if (handovers_) m.disaggregation = {pool_metrics(all.first(prefill), seconds), handovers_->metrics()};
    for (const auto& replica : replicas_) {
      const ReplicaTotals& totals = replica->totals();
      m.speculation.drafts += speculative_tokens_ > 0 ? totals.decodes : 0;
      m.speculation.draft_tokens += speculative_tokens_ * totals.decodes;
      m.speculation.accepted_tokens += totals.accepted_tokens;
      const double block_bytes = replica->block_bytes();
      m.offload.hit_tokens += totals.blocks_from_host * block_size_;
      m.offload.bytes_from_host += block_bytes * static_cast<double>(totals.blocks_from_host);
      m.offload.bytes_to_host += block_bytes * static_cast<double>(totals.blocks_to_host);
    }
  }

  static constexpr std::uint8_t arrival_priority = 200;  // after what the machine does at the same instant
  static constexpr std::uint8_t change_priority = 210;   // and what arrives then

  SimulationOptions options_;
  EventQueue queue_;
  Fingerprint fingerprint_;
  Recorder recorder_;
  std::unique_ptr<RequestSource> source_;
  std::int64_t block_size_;
  std::int64_t max_model_len_;
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
  std::vector<std::optional<Time>> down_since_;  // by replica
  std::vector<MovedRequest> stranded_;           // no replica is up
  Time last_work_lost_;        // with a replica that went down, or a request that decode turned away
  std::int64_t waiting_ = 0;   // on all replicas
  std::uint32_t current_ = 0;  // the replica at work
  bool submitting_ = false;    // a request that is done now is rejected
  bool turned_away_ = false;   // the one submitted last was
  std::vector<const PipelineModel*> pipelines_;
  std::uint32_t first_decode_ = 0;  // replicas before it are whole ones or prefill
  std::optional<Traffic> traffic_;
  std::optional<KvHandovers> handovers_;
  std::deque<LockStep> lock_steps_;
  QueueGrowth queue_growth_;
};

}  // namespace

ServingMetrics simulate(const std::vector<ReplicaSetup>& replicas, const EngineOptions& engine,
                        const Workload& workload, const SimulationOptions& options) {
  if (replicas.empty()) throw std::logic_error("simulate: no replicas");
  return Run(replicas, engine, workload, options).run();
}

}  // namespace sextant
