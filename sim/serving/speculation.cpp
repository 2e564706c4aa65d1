#include "sim/serving/speculation.hpp"

#include <fmt/core.h>

#include "sim/kernel/random.hpp"
#include "sim/serving/speculation_names.hpp"

namespace sextant {
namespace {

constexpr Range rates{0, 1};

std::vector<double> read_acceptance(const JsonValue& value, std::int64_t tokens) {
  if (!value.is_array()) return std::vector<double>(static_cast<std::size_t>(tokens), value.number(rates));
  std::vector<double> acceptance;
  for (const JsonValue& rate : value.array()) acceptance.push_back(rate.number(rates));
  if (static_cast<std::int64_t>(acceptance.size()) != tokens)
    value.fail(fmt::format("found {} rates, expected one number, or one for each of {} speculative tokens",
                           acceptance.size(), tokens));
  return acceptance;
}

}  // namespace

double Speculation::expected_tokens() const {
  double tokens = 1, all_so_far = 1;
  for (const double rate : acceptance) tokens += all_so_far *= rate;
  return tokens;
}

std::vector<std::string> speculation_methods() {
  return {"draft_model", "eagle", "ngram", "mtp"};
}

std::string to_string(Speculation::Method method) {
  return speculation_methods()[static_cast<std::size_t>(method)];
}

Speculation read_speculation(const JsonValue& value) {
  const JsonObject object = value.object();
  Speculation speculation;
  speculation.method = static_cast<Speculation::Method>(object.choice("method", speculation_methods()));
  speculation.num_speculative_tokens = object.integer("num_speculative_tokens", {1, 64});
  speculation.acceptance = read_acceptance(object.at("acceptance_rate"), speculation.num_speculative_tokens);
  const bool has_own_model = speculation.method == Speculation::Method::draft_model;
  if (object.has("model") && !has_own_model)
    object.at("model").fail("found it with another method, expected it with draft_model only");
  if (has_own_model) speculation.model = object.text("model");
  object.finish();
  return speculation;
}

AcceptanceDraws::AcceptanceDraws(const Speculation& speculation, std::uint64_t seed,
                                 std::uint64_t replication)
    : key_(RandomStream(seed, "speculation", replication).bits()) {
  double all_so_far = 1;
  for (const double rate : speculation.acceptance) at_least_.push_back(all_so_far *= rate);
}

std::int64_t AcceptanceDraws::accepted(std::uint64_t request, std::int64_t to_come) const {
  const double draw =
      RandomStream(key_ ^ request, "acceptance", static_cast<std::uint64_t>(to_come)).uniform();
  std::int64_t count = 0;
  for (const double probability : at_least_) {
    if (draw >= probability) break;
    ++count;
  }
  return count;
}

}  // namespace sextant
