#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"
#include "sim/kernel/time.hpp"

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
  std::int64_t output_tokens = 0;  ///< at least 1
  PromptBlocks prompt_blocks;      ///< what its prompt shares with others
  std::uint64_t id = 0;            ///< counts the requests of a run from 0; set when it is sent
};

/// How long prompts or outputs are.
struct LengthDistribution {
  enum class Kind { fixed, lognormal, uniform } kind = Kind::fixed;
  double mean = 0;   ///< fixed: the length; lognormal: the mean before clamping = median * exp(sigma^2 / 2)
  double sigma = 0;  ///< lognormal: deviation of the logarithm
  std::int64_t low = 1;  ///< drawn lengths are rounded to the nearest and clamped to [low, high]
  std::int64_t high = 1 << 20;
};

/// What is asked of a deployment. Fields bear the names of `vllm bench serve`.
struct Workload {
  enum class Arrival { poisson, gamma, concurrency, trace } arrival = Arrival::poisson;
  double request_rate = 0;           ///< requests/s (open loop); infinity: all at time 0
  double burstiness = 1;             ///< gamma shape; 1 is Poisson, < 1 burstier
  std::int64_t max_concurrency = 0;  ///< closed loop: a new request starts when one ends
  std::int64_t num_prompts = 0;      ///< requests in all; 0 (trace only): as many as the trace has
  LengthDistribution prompt;
  LengthDistribution output;
  std::string trace;         ///< path; lengths (and, with arrival trace, times) come from it
  std::string trace_format;  ///< azure, mooncake
  double time_scale = 1;     ///< trace timestamps are multiplied by it
  std::uint64_t seed = 0;
  /// The trace's requests where load_trace has read them, so that a thousand runs of one workload read it
  /// once.
  std::shared_ptr<const std::vector<Request>> trace_requests;
};

/// Reads a scenario's "workload":
///   {"request_rate": 4, "num_prompts": 1000, "prompt": {"fixed": 1024}, "output": {"lognormal": {"mean":
///   256,
///    "sigma": 0.6, "min": 1, "max": 2048}}, "burstiness": 1, "seed": 0}
///   {"max_concurrency": 32, …} closed loop
///   {"trace": {"path": "x.csv.gz", "format": "azure"}, "time_scale": 1} replays the trace's times
/// request_rate is in requests/s, or "inf" as in vLLM: all at time 0. Lengths are {"fixed": n},
/// {"uniform": {"min": a, "max": b}} (both inclusive) or {"lognormal": …} with exactly one of mean and
/// median. A trace with request_rate or max_concurrency keeps the trace's lengths, in order and over again as
/// needed, and not its times. Relative trace paths are relative to the scenario's file; the trace is not
/// opened yet. Throws InputError.
Workload read_workload(const JsonValue&);

/// Requests one after another, in order of arrival; nothing is stored but the trace's rows.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  /// The next request, or nullopt after the last. Closed loop: `arrival` is 0 and the caller decides when it
  /// starts.
  virtual std::optional<Request> next() = 0;
};

/// Streams "arrivals", "prompt", "output" of (seed, component, replication). Poisson and gamma gaps as vLLM
/// draws them: gamma of shape `burstiness` and scale 1 / (rate * burstiness), all scaled so that the last of
/// num_prompts requests arrives at num_prompts / rate. Gaps are summed in whole
/// nanoseconds and the fraction is carried to the next gap, so that arrivals do not drift however many there
/// are. Throws InputError as read_trace does, and for more prompts than a replayed trace has.
std::unique_ptr<RequestSource> make_request_source(const Workload&, std::uint64_t replication = 0);

/// Reads the workload's trace, if it has one, into `trace_requests`; num_prompts 0 becomes their number.
/// Throws InputError.
void load_trace(Workload&);

/// Reads a trace. azure: CSV with the columns TIMESTAMP (YYYY-MM-DD HH:MM:SS.fffffff), ContextTokens and
/// GeneratedTokens, matched by name; mooncake: JSON Lines with timestamp (ms), input_length, output_length,
/// hash_ids (of blocks of 512 tokens). gzip allowed. Arrivals are relative to the first row. A prompt or an
/// output of less than one token is an error: an engine yields one token at least, so such a row was not
/// served. Throws InputError for a missing, empty, truncated, unsorted or malformed trace, naming file and
/// line.
std::vector<Request> read_trace(const std::string& path, const std::string& format);

}  // namespace sextant
