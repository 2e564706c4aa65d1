#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "models/base/json_reader.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {

/// How requests are spread over data-parallel replicas. The thresholds are those of SGLang's router (its
/// cache_aware policy, by its names and with its defaults).
struct RouterOptions {
  enum class Policy { round_robin, least_requests, prefix_aware } policy = Policy::round_robin;
  /// prefix_aware: follow the longest match only if it covers more than this share of the prompt.
  double cache_threshold = 0.3;
  /// prefix_aware: the load counts as uneven, and decides alone, when the most loaded replica has this many
  /// requests more than the least loaded one and this many times as many.
  std::int64_t balance_abs_threshold = 64;
  double balance_rel_threshold = 1.5;
};

/// Reads a scenario's "router": "round_robin", "least_requests", "prefix_aware", or {"policy":
/// "prefix_aware", "cache_threshold", "balance_abs_threshold", "balance_rel_threshold"}. Absent: round_robin.
/// Throws InputError.
RouterOptions read_router(const JsonValue*);

/// What a router believes a replica has cached: the named blocks it sent there, the least recently used
/// dropped beyond the replica's room. The replica itself may have dropped others: the router does not ask.
class PrefixMemory {
 public:
  explicit PrefixMemory(std::int64_t room_tokens);
  ~PrefixMemory();
  PrefixMemory(PrefixMemory&&) noexcept;
  PrefixMemory& operator=(PrefixMemory&&) noexcept;
  /// Tokens of the prompt that it believes cached, from the first on.
  std::int64_t match(const Request&) const;
  /// The request goes there: its prompt, and what it generates where named, will be cached.
  void add(const Request&);

 private:
  struct Blocks;
  std::unique_ptr<Blocks> blocks_;
};

/// Chooses a replica for every request. Ties go to the replica with the fewest requests, then to the one of
/// the lowest number, but least_requests goes on in turn from the one chosen last, so that an idle fleet is
/// used evenly.
class Router {
 public:
  /// `kv_tokens` of each replica.
  Router(const RouterOptions&, const std::vector<std::int64_t>& kv_tokens);
  /// A replica that is down is not chosen; what it had cached is forgotten.
  void set_up(std::uint32_t replica, bool up);
  bool any_up() const;
  /// The replica that the request goes to, one that is up; it counts as outstanding there until done().
  std::uint32_t choose(const Request&);
  void done(std::uint32_t replica) { --outstanding_[replica]; }
  std::int64_t outstanding(std::uint32_t replica) const { return outstanding_[replica]; }

 private:
  std::uint32_t least_loaded() const;
  std::uint32_t best_match(const Request&) const;
  bool uneven() const;
  std::uint32_t next_up(std::uint32_t replica) const;

  RouterOptions options_;
  std::vector<std::int64_t> outstanding_;
  std::vector<std::int64_t> kv_tokens_;
  std::vector<char> up_;
  std::vector<PrefixMemory> memories_;  // prefix_aware only
  std::uint32_t next_ = 0;              // where the turn is
};

}  // namespace sextant
