#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"
#include "models/llm/sampling.hpp"
#include "sim/kernel/time.hpp"
#include "sim/serving/arrivals.hpp"
#include "sim/serving/lengths.hpp"

namespace sextant {

/// What a request's tokens are, by name, so that a prefix cache knows them again. A name stands for its block
/// of tokens and all before it: two requests with the same i-th name have the same tokens up to the end of
/// block i. Tokens that no name covers are the request's own.
struct PromptBlocks {
  /// The i-th names tokens [i, i + 1) * hash_block_tokens. Shared: a conversation's turns, or all requests
  /// after one system prompt, can point to the same list. Null: no token is shared.
  std::shared_ptr<const std::vector<std::uint64_t>> names;
  /// Tokens the names cover, from the first on. Fewer than the prompt: its tail is its own. More: they cover
  /// the tokens it generates too, which a conversation's next prompt repeats.
  std::int64_t named_tokens = 0;
  std::int64_t hash_block_tokens = 512;  ///< tokens of a named block; 512 in Mooncake's traces
};

/// One request as it arrives.
struct Request {
  Time arrival;
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;
  PromptBlocks prompt_blocks;  ///< what its prompt shares with others
  std::int64_t priority = 0;   ///< for the policy "priority": smaller is served first
  std::uint64_t id = 0;        ///< counts the requests of a run from 0; set when it is sent
};

/// Chats of several turns. Each turn's prompt is all that was said before, the system prompt included, and
/// what the user says now; the next turn comes a think time after the last answer ended.
struct Conversations {
  LengthDistribution num_turns;               ///< requests of one conversation
  double think_time_s = 0;                    ///< mean
  bool exponential_think_time = false;        ///< else always the mean
  std::int64_t common_prefix_num_tokens = 0;  ///< of a system prompt
  std::int64_t common_prefixes = 1;           ///< how many there are; a conversation takes one by chance
};

/// A share of the requests, between 0 and 1, that comes with that priority.
struct PriorityShare {
  std::int64_t priority = 0;
  double share = 0;
};

/// What is asked of a deployment. Fields bear the names of `vllm bench serve`.
struct Workload {
  enum class Arrival { poisson, gamma, concurrency, trace } arrival = Arrival::poisson;
  double request_rate =
      0;                  ///< requests/s (open loop); infinity: all at time 0; of stages and ramps: the mean
  double burstiness = 1;  ///< gamma shape; 1 is Poisson, < 1 burstier, infinity constant gaps
  /// The load is what is asked for: the highest request_rate (or max_concurrency, by `arrival`) that meets
  /// the SLO; until it is set, that field holds 1.
  bool find_highest = false;
  std::vector<RateStage> rate_stages;  ///< the rate by the clock, in place of request_rate
  std::optional<RampUp> ramp_up;       ///< the rate by the request's number, in place of request_rate
  /// Closed loop: a new request (or conversation) starts when one ends. In an open loop: the client holds
  /// back what arrives while so many are under way, and counts their latencies from when it sends them (the
  /// semaphore of vllm/benchmarks/serve.py); 0: it does not.
  std::int64_t max_concurrency = 0;
  std::int64_t num_prompts = 0;  ///< requests in all; 0: as many as the trace or the stages have
  LengthDistribution prompt;     ///< with conversations: what the user says in a turn
  LengthDistribution output;
  std::shared_ptr<const JointLengths> lengths;  ///< in place of `prompt` and `output`, which hold its means
  std::optional<Conversations> conversations;
  std::string trace;                      ///< path; lengths (and, with arrival trace, times) come from it
  std::string trace_format;               ///< azure, burstgpt, mooncake, sharegpt
  double characters_per_token = 0;        ///< sharegpt: tokens of a text = its characters / this, rounded up
  double time_scale = 1;                  ///< trace timestamps are multiplied by it
  std::vector<PriorityShare> priorities;  ///< drawn for each request; empty: all alike
  SamplingOverrides sampling;             ///< of every request; what it leaves out is the model's
  std::uint64_t seed = 0;
  /// The trace's requests where load_trace has read them, so that a thousand runs of one workload read it
  /// once.
  std::shared_ptr<const std::vector<Request>> trace_requests;
};

/// Reads a scenario's "workload" (scenarios/README.md has its keys):
///   {"request_rate": 4, "burstiness": 1, "num_prompts": 1000, "prompt": …, "output": …, "seed": 0}
///   {"rate_stages": [{"request_rate": 4, "duration_s": 60}, …], …} or {"ramp_up_strategy": "linear", …}
///   {"max_concurrency": 32, …} closed loop; with a request_rate (stages, a ramp): at most so many at once
///   {"trace": {"path": "x.csv.gz", "format": "azure"}, "time_scale": 1} replays the trace's times
/// with lengths of "prompt" and "output" (read_length), of "lengths" (read_joint_lengths), or of the trace,
/// and "conversations" of several turns. request_rate is in requests/s, or "inf" as in vLLM: all at time 0. A
/// trace with request_rate or max_concurrency (either may be "highest": find_highest) keeps the trace's
/// lengths, in order and over again as needed, and not its times. Relative paths are relative to the
/// scenario's file; the trace is not opened yet. Throws InputError.
Workload read_workload(const JsonValue&);

/// Requests one after another, in order of arrival; nothing is stored but the trace's rows and the
/// conversations under way.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  /// The next request that waits for nobody, or nullopt after the last. Closed loop: `arrival` is 0 and the
  /// caller decides when it starts.
  virtual std::optional<Request> next() = 0;
  /// What follows on the request of this id, now that it has left (`served`: finished, else rejected): the
  /// next turn of its conversation, arriving not before `now`. nullopt: nothing.
  virtual std::optional<Request> following(std::uint64_t /*id*/, bool /*served*/, Time /*now*/) {
    return std::nullopt;
  }
};

/// Streams "arrivals", "prompt", "output", and with conversations "turns", "think", "prefix", of (seed,
/// component, replication); priorities of the request's number, so that they are the same in every run.
/// Arrivals as ArrivalStream draws them. Throws InputError as read_trace does, and
/// for more prompts than a replayed trace has.
std::unique_ptr<RequestSource> make_request_source(const Workload&, std::uint64_t replication = 0);

/// Conversations of several turns, whose prompts name the blocks they share (conversations.cpp).
std::unique_ptr<RequestSource> make_conversation_source(const Workload&, std::uint64_t replication);

/// The arrivals that a workload asks for, of an open loop.
ArrivalProcess arrival_process(const Workload&);

/// Reads the workload's trace, if it has one, into `trace_requests`; num_prompts 0 becomes their number.
/// Throws InputError.
void load_trace(Workload&);

/// Reads a trace. azure: CSV with the columns TIMESTAMP (YYYY-MM-DD HH:MM:SS.fffffff), ContextTokens and
/// GeneratedTokens; burstgpt: CSV with Timestamp (s), Request tokens and Response tokens, both matched by
/// name; mooncake: JSON Lines with timestamp (ms), input_length, output_length, hash_ids (of blocks of 512
/// tokens); sharegpt: a JSON array of conversations, of which the first two texts are prompt and output, with
/// tokens = characters / `characters_per_token` rounded up, without times. gzip allowed. Arrivals are
/// relative to the first row. Rows without tokens are kept: an engine rejects them. Throws InputError for a
/// missing, empty, truncated, unsorted or malformed trace, naming file and line.
std::vector<Request> read_trace(const std::string& path, const std::string& format,
                                double characters_per_token = 0);

/// The requests of a ShareGPT file (sharegpt.cpp). As vLLM's sampler, skips conversations of fewer than two
/// texts and those of prompts under 4 or over 1024, outputs under 4, or more than 2048 tokens together.
std::vector<Request> read_sharegpt(const std::string& path, double characters_per_token);

}  // namespace sextant
