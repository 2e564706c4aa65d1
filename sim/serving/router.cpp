#include "sim/serving/router.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <list>
#include <unordered_map>

namespace sextant {

RouterOptions read_router(const JsonValue* value) {
  static const std::vector<std::string> policies = {"round_robin", "least_requests", "prefix_aware"};
  RouterOptions options;
  if (value == nullptr) return options;
  if (value->is_text()) {
    const auto found = std::find(policies.begin(), policies.end(), value->text());
    if (found == policies.end())
      value->fail(fmt::format("found \"{}\", expected round_robin, least_requests or prefix_aware{}",
                              value->text(), did_you_mean(value->text(), policies)));
    options.policy = static_cast<RouterOptions::Policy>(found - policies.begin());
    return options;
  }
  const JsonObject object = value->object();
  options.policy = static_cast<RouterOptions::Policy>(object.choice("policy", policies));
  for (const char* key : {"cache_threshold", "balance_abs_threshold", "balance_rel_threshold"})
    if (object.has(key) && options.policy != RouterOptions::Policy::prefix_aware)
      object.at(key).fail("found it with another policy, expected it with prefix_aware only");
  options.cache_threshold = object.number_or("cache_threshold", options.cache_threshold, {0, 1});
  options.balance_abs_threshold =
      object.integer_or("balance_abs_threshold", options.balance_abs_threshold, {0, 1e9});
  options.balance_rel_threshold =
      object.number_or("balance_rel_threshold", options.balance_rel_threshold, {1, 1e9});
  object.finish();
  return options;
}

/// Names in order of use, the most recent in front.
struct PrefixMemory::Blocks {
  struct Block {
    std::uint64_t name;
    std::int64_t tokens;
  };
  std::int64_t room = 0, used = 0;  // tokens
  std::list<Block> by_use;
  std::unordered_map<std::uint64_t, std::list<Block>::iterator> by_name;
};

PrefixMemory::PrefixMemory(std::int64_t room_tokens) : blocks_(std::make_unique<Blocks>()) {
  blocks_->room = room_tokens;
}
PrefixMemory::~PrefixMemory() = default;
PrefixMemory::PrefixMemory(PrefixMemory&&) noexcept = default;
PrefixMemory& PrefixMemory::operator=(PrefixMemory&&) noexcept = default;

std::int64_t PrefixMemory::match(const Request& request) const {
  const PromptBlocks& prompt = request.prompt_blocks;
  if (!prompt.names) return 0;
  const std::int64_t reach = std::min(prompt.named_tokens, request.prompt_tokens);
  std::int64_t matched = 0;
  for (const std::uint64_t name : *prompt.names) {
    if (matched >= reach || !blocks_->by_name.contains(name)) break;
    matched += prompt.hash_block_tokens;
  }
  return std::min(matched, reach);
}

void PrefixMemory::add(const Request& request) {
  const PromptBlocks& prompt = request.prompt_blocks;
  if (!prompt.names) return;
  const std::int64_t reach = std::min(prompt.named_tokens, request.prompt_tokens + request.output_tokens);
  const auto count = std::min<std::size_t>(
      prompt.names->size(),
      static_cast<std::size_t>((reach + prompt.hash_block_tokens - 1) / prompt.hash_block_tokens));
  // From the last to the first, so that the end of a chain is dropped before its beginning.
  for (std::size_t i = count; i-- > 0;) {
    const std::uint64_t name = (*prompt.names)[i];
    const auto [known, is_new] = blocks_->by_name.try_emplace(name);
    if (is_new) {
      blocks_->by_use.push_front({name, prompt.hash_block_tokens});
      blocks_->used += prompt.hash_block_tokens;
    } else {
      blocks_->by_use.splice(blocks_->by_use.begin(), blocks_->by_use, known->second);
    }
    known->second = blocks_->by_use.begin();
  }
  while (blocks_->used > blocks_->room && !blocks_->by_use.empty()) {
    blocks_->used -= blocks_->by_use.back().tokens;
    blocks_->by_name.erase(blocks_->by_use.back().name);
    blocks_->by_use.pop_back();
  }
}

Router::Router(const RouterOptions& options, const std::vector<std::int64_t>& kv_tokens)
    : options_(options), outstanding_(kv_tokens.size()), kv_tokens_(kv_tokens), up_(kv_tokens.size(), 1) {
  if (options.policy != RouterOptions::Policy::prefix_aware) return;
  for (const std::int64_t tokens : kv_tokens) memories_.emplace_back(tokens);
}

void Router::set_up(std::uint32_t replica, bool up) {
  up_[replica] = up ? 1 : 0;
  if (!up && !memories_.empty()) memories_[replica] = PrefixMemory(kv_tokens_[replica]);
}

bool Router::any_up() const {
  return std::find(up_.begin(), up_.end(), 1) != up_.end();
}

/// The first that is up, in turn from `replica` on.
std::uint32_t Router::next_up(std::uint32_t replica) const {
  while (up_[replica] == 0) replica = replica + 1 < up_.size() ? replica + 1 : 0;
  return replica;
}

std::uint32_t Router::choose(const Request& request) {
  std::uint32_t chosen = next_up(next_);
  if (options_.policy == RouterOptions::Policy::least_requests) chosen = least_loaded();
  if (options_.policy == RouterOptions::Policy::prefix_aware)
    chosen = uneven() ? least_loaded() : best_match(request);
  next_ = chosen + 1 < outstanding_.size() ? chosen + 1 : 0;
  ++outstanding_[chosen];
  if (!memories_.empty()) memories_[chosen].add(request);
  return chosen;
}

/// The first with the fewest requests, in turn from the one after the last choice.
std::uint32_t Router::least_loaded() const {
  std::uint32_t best = next_up(next_);
  const auto count = static_cast<std::uint32_t>(outstanding_.size());
  for (std::uint32_t i = 1; i < count; ++i) {
    const std::uint32_t replica = next_ + i < count ? next_ + i : next_ + i - count;
    if (up_[replica] != 0 && outstanding_[replica] < outstanding_[best]) best = replica;
  }
  return best;
}

std::uint32_t Router::best_match(const Request& request) const {
  std::uint32_t best = next_up(0);
  std::int64_t longest = -1;
  for (std::uint32_t replica = 0; replica < memories_.size(); ++replica) {
    if (up_[replica] == 0) continue;
    const std::int64_t matched = memories_[replica].match(request);
    const bool fewer = matched == longest && outstanding_[replica] < outstanding_[best];
    if (matched > longest || fewer) {
      best = replica;
      longest = matched;
    }
  }
  const double share = static_cast<double>(longest) / static_cast<double>(request.prompt_tokens);
  return share > options_.cache_threshold ? best : least_loaded();
}

bool Router::uneven() const {
  std::int64_t least = std::numeric_limits<std::int64_t>::max(), most = 0;
  for (std::size_t replica = 0; replica < outstanding_.size(); ++replica) {
    if (up_[replica] == 0) continue;
    least = std::min(least, outstanding_[replica]);
    most = std::max(most, outstanding_[replica]);
  }
  return most - least > options_.balance_abs_threshold &&
         static_cast<double>(most) > options_.balance_rel_threshold * static_cast<double>(least);
}

}  // namespace sextant
