#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "sim/kernel/event_queue.hpp"
#include "sim/kernel/fingerprint.hpp"
#include "sim/serving/decode_group.hpp"
#include "sim/serving/engine_options.hpp"
#include "sim/serving/faults.hpp"
#include "sim/serving/host_kv_cache.hpp"
#include "sim/serving/kv_cache.hpp"
#include "sim/serving/lock_step.hpp"
#include "sim/serving/pipeline_model.hpp"
#include "sim/serving/pool_roles.hpp"
#include "sim/serving/recorder.hpp"
#include "sim/serving/waiting_queue.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {

/// A request as it stands between two replicas: the first has its prompt's KV (and, where that is the first
/// the client sees, its first token), the second is to go on with it.
struct Handover {
  Time arrival;                ///< at the first replica: latencies count from there
  Time first_token;            ///< where `generated` is 1
  std::int64_t generated = 0;  ///< tokens the client has
};

/// A prompt whose last chunk is in a pass.
struct LastChunk {
  std::uint64_t id = 0;
  std::int64_t prompt_tokens = 0;
};

/// What a replica tells its owner.
class ReplicaListener {
 public:
  virtual ~ReplicaListener() = default;
  /// The request of this id left the replica, finished or rejected (a closed loop sends the next one).
  virtual void request_done(Time now, std::uint64_t id) = 0;
  /// A prefill replica has the prompt's KV and holds its blocks in `slot` until release(slot).
  virtual void prefilled(std::uint32_t /*replica*/, std::uint32_t /*slot*/, std::uint64_t /*id*/) {}
  /// A decode replica has taken blocks for the request; `tokens` of its prompt's KV are to come before
  /// kv_arrived(slot). True: all of it is there already.
  virtual bool kv_wanted(std::uint32_t /*replica*/, std::uint32_t /*slot*/, std::uint64_t /*id*/,
                         std::int64_t /*tokens*/) {
    return false;
  }
  /// A pass of that length begins, at the end of which these prompts are computed.
  virtual void last_chunks_begin(std::uint32_t /*replica*/, const std::vector<LastChunk>&, Time /*takes*/) {}
  /// Whether a pass that is computed has layers left to send: it ends with kv_sent().
  virtual bool still_sends(std::uint32_t /*replica*/) { return false; }
  /// A message of so many tokens sets out from a stage whose hop is shared; it ends with hop_done(data).
  virtual void hop_begins(std::uint32_t /*replica*/, int /*stage*/, std::int64_t /*tokens*/,
                          std::uint64_t /*data*/) {}
};

/// Kinds of events a replica schedules for itself; `target` is the replica, `data` a batch and stage. A wake
/// fills batches after all arrivals of an instant, as the engine takes all that has come before it schedules.
enum class ReplicaEvent : std::uint32_t {
  stage_entered = 1,
  pass_done = 2,
  batch_returned = 3,
  wake = 4,
  reached_scheduler = 5,
  kv_loaded = 6
};

/// Time-weighted totals of one replica, for shares and averages.
struct ReplicaTotals {
  struct Stage {
    Time busy, communication, hop;
  };
  std::vector<Stage> stages;
  double running_seconds = 0, waiting_seconds = 0, kv_block_seconds = 0;
  std::int64_t kv_blocks_peak = 0;
  std::int64_t decodes = 0;  ///< summed over steps
  std::int64_t steps = 0;
  std::int64_t accepted_tokens = 0;  ///< of those speculated
  std::int64_t admitted_tokens = 0;  ///< prompts (after a preemption with what they had yielded)
  std::int64_t cached_tokens = 0;    ///< of them found in the prefix cache
  std::int64_t blocks_to_host = 0, blocks_from_host = 0;
  std::array<double, 4> limit_seconds{};  ///< in the order of AdmissionLimits' fields
};

/// One replica: vLLM's scheduler over a pipeline of stages.
///
/// As many batches are in flight as there are stages. A batch is filled greedily when a place is free: first
/// the decodes whose last token has come back, then prompts that are partly done, then waiting requests in
/// order of arrival (or of priority), within max_num_batched_tokens, max_num_seqs and the KV blocks, less
/// what the prefix cache still holds of them. When blocks run out the request admitted last (or of the lowest
/// priority) is preempted and later recomputed but for what the cache still holds. A request's next token
/// starts only when its last has come back, so requests stay with the batch they decode in. With asynchronous
/// scheduling and a single stage a batch knows only what had arrived and ended when the one before it was
/// launched.
class Replica {
 public:
  /// `pool` says how its layers share the `kv_blocks`; null: every layer keeps every token, in pages of
  /// block_size.
  Replica(const PipelineModel&, const EngineOptions&, std::int64_t kv_blocks, bool step_by_step,
          std::uint32_t id, EventQueue&, Recorder&, Fingerprint&, ReplicaListener&,
          ReplicaRole role = ReplicaRole::whole, std::shared_ptr<const AcceptanceDraws> = nullptr,
          const std::optional<KvPool>& pool = {});

  /// A request arrives now. Rejects (and counts) what can never run: a prompt that leaves no room for a token
  /// under max_model_len, or one that all KV blocks together cannot hold. A prefill replica computes one
  /// token of it and hands it over; a decode replica is given the `handover` and computes no prompt but its
  /// last token (or the token it was handed).
  void submit(const Request&, const Handover* handover = nullptr);
  /// The same of one that comes from another replica or had to wait for any to be up.
  void submit(const MovedRequest&, const Handover* handover = nullptr);
  void handle(const Event&);
  /// Goes down: every request leaves, in order of arrival, and the cache is empty. What was computed for
  /// them, in tokens, is added to `lost_tokens`.
  std::vector<MovedRequest> evacuate(std::int64_t& lost_tokens);
  /// Passes and hops take these times from now on; the model outlives the replica.
  void use(const PipelineModel& pipeline) { pipeline_ = &pipeline; }

  /// Its passes are made together with those of the other ranks; it has one stage. `group` outlives it.
  void step_with(LockStep& group);
  const PassShape& filled_shape() const { return batches_.front().shape; }
  /// The ranks' pass begins, with a batch of its own or with none.
  void pass_together(PassTime, bool own_batch);
  /// The ranks' pass is over that it had no batch in.
  void round_over();

  /// Decode: all of the request's KV is here.
  void kv_arrived(std::uint32_t slot);
  /// Prefill, with one stage: the listener sends KV layer by layer while the pass of a last chunk goes on.
  void send_while_computing() { sends_while_computing_ = true; }
  /// Its last layer is on its way.
  void kv_sent();
  /// Prefill: the blocks of a request that was handed over are free.
  void release(std::uint32_t slot);
  /// Hops of these stages meet others: the listener says when they end.
  void share_hops(std::vector<bool> stages) { shared_hops_ = std::move(stages); }
  void hop_done(std::uint64_t data);

  std::int64_t unfinished() const {
    return in_front_end_ + static_cast<std::int64_t>(loading_.size() + waiting_.size() + kv_here_.size()) +
           kv_under_way_ + running_count_;
  }
  ReplicaRole role() const { return role_; }
  std::int64_t waiting() const { return static_cast<std::int64_t>(waiting_.size()); }
  std::int64_t kv_blocks() const { return cache_.blocks(); }
  std::int64_t used_blocks() const { return cache_.blocks() - cache_.free(); }
  /// Bytes of a KV block on all GPUs.
  double block_bytes() const { return pipeline_->host_copy(options_.block_size).bytes; }
  const ReplicaTotals& totals();
  /// "4 waiting for KV blocks, 2 running": who waits for what, when nothing can move.
  std::string state() const;

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  /// What kept the first waiting request out, in the order of AdmissionLimits' fields.
  enum Limit { kv_blocks_short, max_num_seqs, max_num_batched_tokens, pipeline_full };

  struct State {
    Time arrival, first_token, last_token;
    std::uint64_t id = 0;      // of the request, over all replicas
    std::uint64_t number = 0;  // counts the requests of this replica in order of arrival
    std::int64_t prompt = 0, output = 0;
    std::int64_t generated = 0;   // tokens yielded so far (kept up to date while not in a decode group)
    std::int64_t to_prefill = 0;  // prompt, or prompt and generated tokens after a preemption
    std::int64_t scheduled = 0;   // of to_prefill, chunks in flight included
    KvCache::Holding held;  // its blocks while prefilling; a decoding request's follow from its cached tokens
    PromptBlocks prompt_blocks;
    std::int64_t promised = 0;  // blocks that are kept for it where nobody is to be preempted
    std::int64_t priority = 0;
    std::uint32_t batch = none;                  // the batch it decodes in
    std::uint32_t epoch = 0;                     // counts preemptions: work in flight from before is void
    std::uint32_t previous = none, next = none;  // running requests in order of admission
    bool running = false;
    bool present = false;       // not yet finished
    bool loaded = false;        // holds the blocks of `scheduled` tokens, copied from the host, but waits
    bool took_block = false;    // for the token of the batch that is being filled
    bool kv_elsewhere = false;  // decode: its prompt's KV is still to be asked for
  };
  struct KvHere {
    std::uint32_t slot;
    std::uint64_t number;  // in the order in which KV arrived
  };
  struct Chunk {
    std::uint32_t slot;
    std::uint32_t epoch;
    std::int64_t tokens, past;
    bool last;
  };
  struct Batch {
    std::unique_ptr<DecodeGroup> decodes;
    std::vector<Chunk> chunks;
    std::vector<PrefillChunk> shapes;  // of `chunks`, as the cost model takes them
    PassShape shape;
    std::int64_t tokens = 0;
    Time last_return;        // when the decodes' last tokens came back
    bool allocated = false;  // its decodes hold the block of the token in flight
    bool slid = false;       // and have given back what that leaves behind their windows
  };
  struct Stage {
    std::deque<std::uint32_t> queue;  // batches that have arrived and wait
    bool busy = false;
    Time until;      // when the pass under way ends
    Time hop_until;  // when the last message that leaves or reaches this stage is through
    int hop = 0;     // the stage it left
    PassTime under_way;
  };

  void account();
  MovedRequest taken_out(std::uint32_t slot, std::int64_t& lost_tokens) const;
  void forget_everything();
  void set_up();
  std::uint64_t pack(int stage, std::uint32_t batch) const;
  void reached_scheduler(std::uint32_t slot);
  void wake();
  void name_full_blocks(State&, std::int64_t cached);
  void store_own_blocks(const State&, std::int64_t cached);
  std::int64_t blocks_on_host(const State&, std::int64_t on_gpu) const;
  void load_from_host(std::uint32_t slot, const KvCache::Hit&, std::int64_t blocks);
  void kv_loaded(std::uint32_t slot);
  bool drop_loaded(std::uint32_t but);
  bool drop_for_the_only_one();
  void drop(std::uint32_t slot);
  void try_schedule();
  bool fill(Batch&);
  void allocate_decodes(Batch&);
  void continue_prefills(Batch&);
  void admit_waiting(Batch&);
  bool admit(Batch&, std::uint32_t slot);
  bool admit_arrived_kv(Batch&);
  bool ask_for_kv(Batch&, std::uint32_t slot, const KvCache::Hit&);
  void begin_with_kv(Batch&, std::uint32_t slot);
  void hand_over(std::uint32_t slot);
  void send_last_chunks(const Batch&, Time takes);
  std::int64_t budget_left(const Batch&) const;
  std::int64_t most_blocks(std::int64_t prompt, std::int64_t output) const;
  std::int64_t chunk_limit(std::int64_t tokens) const;
  bool allocate_chunk(State&, std::int64_t tokens);
  Time beside_hop(const Stage&, const Batch&, Time alone) const;
  bool batch_full(const Batch&) const;
  bool may_run_more(const Batch&) const;
  bool output_fits(const State&) const;
  void promise(State&);
  void withdraw(State&);
  void add_chunk(Batch&, std::uint32_t slot, std::int64_t tokens);
  bool preempt_for(Batch&, std::uint32_t slot);
  void preempt(std::uint32_t slot);
  RequestRank rank(std::uint32_t slot) const;
  std::int64_t blocks_in_use() const { return cache_.blocks() - cache_.free(); }
  void slide_decodes(Batch&);
  void count_in(State&, std::uint32_t slot);
  void join_decodes(std::uint32_t slot, std::uint32_t batch);
  void launch(std::uint32_t batch);
  void start_pass(int stage);
  void begin_pass(int stage, std::uint32_t batch, PassTime);
  void pass_done(int stage, std::uint32_t batch);
  void returned(std::uint32_t batch);
  void finish(std::uint32_t slot);
  void see_everything();
  void link_running(std::uint32_t slot);
  void unlink_running(std::uint32_t slot);
  std::int64_t blocks_for(std::int64_t tokens) const {
    return (tokens + options_.block_size - 1) / options_.block_size;
  }

  const PipelineModel* pipeline_;
  EngineOptions options_;
  std::uint32_t id_;
  ReplicaRole role_;
  EventQueue& queue_;
  Recorder& recorder_;
  Fingerprint& fingerprint_;
  ReplicaListener& listener_;

  std::shared_ptr<const AcceptanceDraws> draws_;  // null: no speculation
  KvCache cache_;
  std::unique_ptr<HostKvCache> host_;  // null: no offloading
  Time host_link_free_;
  std::vector<std::uint32_t> loading_;         // requests whose blocks are on the way
  std::vector<std::uint32_t> loaded_waiting_;  // in the queue with blocks from the host
  std::vector<State> states_;
  std::vector<std::uint32_t> free_slots_;
  bool by_priority_, step_by_step_;
  WaitingQueue waiting_;
  std::set<RequestRank> running_ranks_;  // with priorities: who is preempted last stands in front
  std::uint32_t running_head_ = none, running_tail_ = none;
  std::int64_t running_count_ = 0;
  std::int64_t promised_blocks_ = 0;       // to those that hold blocks, once they have all their tokens
  Time host_free_;                         // when the engine's process has scheduled all it was given
  std::vector<std::uint32_t> prefilling_;  // running, prompt not yet wholly scheduled, in order of admission
  std::vector<Batch> batches_;
  std::vector<std::uint32_t> idle_;  // batches not in flight, the one that came back first in front
  std::vector<Stage> stages_;
  LockStep* lock_step_ = nullptr;  // null: it steps alone
  std::uint32_t rank_ = 0;         // in lock_step_
  bool wake_scheduled_ = false;
  std::uint16_t generation_ = 0;   // counts evacuations: events from before one are void
  std::int64_t in_front_end_ = 0;  // arrived, not yet with the scheduler
  std::vector<bool> shared_hops_;  // by stage; empty: none
  bool sends_while_computing_ = false;
  std::uint32_t sending_batch_ = none;  // prefill: its pass is computed, but not all of its KV on the way
  std::int64_t kv_under_way_ = 0;       // decode: requests with blocks whose KV is on its way
  std::deque<KvHere> kv_here_;          // decode: whose KV has arrived, not yet running
  std::uint64_t kv_arrivals_ = 0, kv_arrivals_at_launch_ = 0;
  // Asynchronous scheduling: a batch filled when another returns was scheduled when that one was launched. So
  // it is filled `ahead_` of later arrivals and of what has ended meanwhile, whose place and blocks are held
  // back until then.
  bool async_ = false;
  bool ahead_ = false;
  std::uint64_t arrived_ = 0, arrived_at_launch_ = 0;
  std::vector<KvCache::Holding> held_back_;
  std::int64_t promised_to_ended_ = 0;  // of promised_blocks_, to those of held_back_
  bool preempted_in_fill_ = false;
  std::vector<std::int64_t> named_ends_;  // scratch
  int limit_ = -1;                        // which limit stopped the last admission; -1: nothing waited
  std::vector<std::uint32_t> finished_;   // scratch

  ReplicaTotals totals_;
  Time accounted_;
};

}  // namespace sextant
