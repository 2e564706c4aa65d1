#include <cmath>
#include <limits>
#include <unordered_map>

#include "sim/kernel/fingerprint.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

/// Small enough that a name's tokens end close to where a system prompt or a turn does; vLLM's own block.
constexpr std::int64_t tokens_per_name = 16;

enum class Owner : std::uint64_t { common_prefix = 1, conversation = 2 };

std::uint64_t block_name(Owner owner, std::uint64_t number, std::int64_t index) {
  Fingerprint name;
  name.add(static_cast<std::uint64_t>(owner));
  name.add(number);
  name.add(static_cast<std::uint64_t>(index));
  return name.value();
}

/// What is said in a conversation, drawn when it starts.
struct Conversation {
  struct Turn {
    std::int64_t said = 0, answered = 0;  // tokens
  };
  std::vector<Turn> turns;
  std::size_t next = 0;
  std::int64_t tokens_before = 0;  // the system prompt and the turns before `next`
  std::shared_ptr<const std::vector<std::uint64_t>> names;
};

class ConversationSource final : public RequestSource {
 public:
  ConversationSource(const Workload& workload, std::uint64_t replication)
      : chats_(*workload.conversations),
        lengths_(workload.lengths),
        closed_loop_(workload.arrival == Workload::Arrival::concurrency),
        left_(workload.num_prompts > 0 ? workload.num_prompts : std::numeric_limits<std::int64_t>::max()),
        starts_(starts(workload), 0, RandomStream(workload.seed, "arrivals", replication)),
        prompts_(workload.prompt, RandomStream(workload.seed, "prompt", replication)),
        outputs_(workload.output, RandomStream(workload.seed, "output", replication)),
        turns_(chats_.num_turns, RandomStream(workload.seed, "turns", replication)),
        joint_prompts_(workload.seed, "prompt", replication),
        joint_outputs_(workload.seed, "output", replication),
        think_(workload.seed, "think", replication),
        prefix_(workload.seed, "prefix", replication) {}

  std::optional<Request> next() override {
    if (left_ == 0) return std::nullopt;
    const std::optional<Time> arrival = closed_loop_ ? Time{} : starts_.next();
    if (!arrival) return std::nullopt;
    return turn(start(), *arrival);
  }

  std::optional<Request> following(std::uint64_t id, bool served, Time now) override {
    const auto found = under_way_.find(id);
    if (found == under_way_.end()) return std::nullopt;
    Conversation conversation = std::move(found->second);
    under_way_.erase(found);
    // A prompt too long for the engine only grows: the user gives up.
    if (!served || left_ == 0) return std::nullopt;
    const double think_s = chats_.exponential_think_time && chats_.think_time_s > 0
                               ? think_.exponential(chats_.think_time_s)
                               : chats_.think_time_s;
    return turn(std::move(conversation), now + Time::seconds(think_s));
  }

 private:
  /// Conversations start so often that their turns come at the workload's rate.
  static ArrivalProcess starts(const Workload& workload) {
    ArrivalProcess process = arrival_process(workload);
    const double turns = workload.conversations->num_turns.mean;
    process.request_rate /= turns;
    for (RateStage& stage : process.stages) {
      stage.request_rate /= turns;
      stage.end_rate /= turns;
    }
    process.scaled_to_end = false;
    return process;
  }

  Conversation::Turn draw_turn() {
    if (!lengths_) {
      const std::int64_t said = prompts_.next();
      return {said, outputs_.next()};
    }
    const double p = joint_prompts_.uniform();
    return {std::llround(lengths_->prompt.at(p)),
            std::llround(lengths_->output[lengths_->prompt.interval(p)].at(joint_outputs_.uniform()))};
  }

  Conversation start() {
    Conversation conversation;
    conversation.tokens_before = chats_.common_prefix_num_tokens;
    std::int64_t tokens = conversation.tokens_before;
    for (std::int64_t left = turns_.next(); left > 0; --left) {
      conversation.turns.push_back(draw_turn());
      tokens += conversation.turns.back().said + conversation.turns.back().answered;
    }
    const std::uint64_t prefix = prefix_.below(static_cast<std::uint64_t>(chats_.common_prefixes));
    const std::int64_t shared = chats_.common_prefix_num_tokens / tokens_per_name;
    auto names = std::make_shared<std::vector<std::uint64_t>>();
    names->reserve(static_cast<std::size_t>(tokens / tokens_per_name + 1));
    for (std::int64_t i = 0; i * tokens_per_name < tokens; ++i)
      names->push_back(i < shared ? block_name(Owner::common_prefix, prefix, i)
                                  : block_name(Owner::conversation, started_, i));
    conversation.names = std::move(names);
    ++started_;
    return conversation;
  }

  Request turn(Conversation conversation, Time arrival) {
    const Conversation::Turn& turn = conversation.turns[conversation.next];
    Request request;
    request.id = sent_++;
    --left_;
    request.arrival = arrival;
    request.prompt_tokens = conversation.tokens_before + turn.said;
    request.output_tokens = turn.answered;
    conversation.tokens_before = request.prompt_tokens + request.output_tokens;
    request.prompt_blocks = {conversation.names, conversation.tokens_before, tokens_per_name};
    if (++conversation.next < conversation.turns.size())
      under_way_.emplace(request.id, std::move(conversation));
    return request;
  }

  Conversations chats_;
  std::shared_ptr<const JointLengths> lengths_;
  bool closed_loop_;
  std::int64_t left_;
  ArrivalStream starts_;
  LengthStream prompts_, outputs_, turns_;
  RandomStream joint_prompts_, joint_outputs_, think_, prefix_;
  std::uint64_t sent_ = 0, started_ = 0;
  std::unordered_map<std::uint64_t, Conversation> under_way_;  // by the id of the turn that is being answered
};

}  // namespace

std::unique_ptr<RequestSource> make_conversation_source(const Workload& workload, std::uint64_t replication) {
  return std::make_unique<ConversationSource>(workload, replication);
}

}  // namespace sextant
