#include "models/profile/load_model.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "models/profile/json_text.hpp"

namespace sextant {
namespace {

constexpr Range watt_range{1, 1e5}, token_range{1, 1e9}, share_range{0, 1}, exponent_range{1, 5};

WorkLoad read_work(const JsonValue& value) {
  const JsonObject object = value.object();
  WorkLoad work;
  work.tokens = object.at("tokens").numbers(token_range);
  work.watts = object.at("watts").numbers(watt_range);
  work.clock_share = object.at("clock_share").numbers(share_range);
  object.finish();
  const auto same_length = [&](const char* key, const std::vector<double>& list) {
    if (list.size() != work.tokens.size())
      object.at(key).fail(
          fmt::format("found {} values, expected {} as in tokens", list.size(), work.tokens.size()));
  };
  if (work.tokens.empty()) object.at("tokens").fail("found none, expected one at least");
  same_length("watts", work.watts);
  same_length("clock_share", work.clock_share);
  for (std::size_t i = 1; i < work.tokens.size(); ++i)
    if (work.tokens[i] <= work.tokens[i - 1])
      object.at("tokens").fail(
          fmt::format("found {} after {}, expected them to rise", work.tokens[i], work.tokens[i - 1]));
  return work;
}

std::vector<double> rounded_all(std::vector<double> values) {
  constexpr int digits = 4;
  for (double& value : values) value = rounded(value, digits);
  return values;
}

}  // namespace

WorkDraw draw_of(const WorkLoad& work, double tokens) {
  const std::vector<double>& at = work.tokens;
  if (tokens <= at.front()) return {work.watts.front(), work.clock_share.front()};
  if (tokens >= at.back()) return {work.watts.back(), work.clock_share.back()};
  const auto above =
      static_cast<std::size_t>(std::distance(at.begin(), std::upper_bound(at.begin(), at.end(), tokens)));
  const double share = std::log(tokens / at[above - 1]) / std::log(at[above] / at[above - 1]);
  const auto between = [&](const std::vector<double>& values) {
    return values[above - 1] + share * (values[above] - values[above - 1]);
  };
  return {between(work.watts), between(work.clock_share)};
}

double relative_clock(const LoadModel& load, double mean_watts) {
  if (mean_watts <= load.limit_watts) return 1;
  return std::pow((load.limit_watts - load.idle_watts) / (mean_watts - load.idle_watts),
                  1 / load.clock_exponent);
}

LoadModel read_load_model(const JsonValue& value) {
  const JsonObject object = value.object();
  LoadModel load;
  load.limit_watts = object.number("limit_watts", watt_range);
  load.idle_watts = object.number("idle_watts", watt_range);
  load.clock_exponent = object.number("clock_exponent", exponent_range);
  load.window_seconds = object.number("window_seconds", {0, 10});
  for (const auto& [name, work] : object.at("works").object().entries())
    load.works.emplace(name, read_work(work));
  load.grade = read_grade(object);
  load.source = object.text("source");
  object.finish();
  if (load.idle_watts >= load.limit_watts)
    object.at("idle_watts")
        .fail(fmt::format("found {}, expected less than the limit of {}", load.idle_watts, load.limit_watts));
  return load;
}

nlohmann::ordered_json load_model_json(const LoadModel& load) {
  constexpr int digits = 4;
  nlohmann::ordered_json json = {{"limit_watts", rounded(load.limit_watts, digits)},
                                 {"idle_watts", rounded(load.idle_watts, digits)},
                                 {"clock_exponent", rounded(load.clock_exponent, digits)},
                                 {"window_seconds", rounded(load.window_seconds, digits)},
                                 {"grade", to_string(load.grade)},
                                 {"source", load.source}};
  json["works"] = nlohmann::ordered_json::object();
  for (const auto& [name, work] : load.works)
    json["works"][name] = {{"tokens", rounded_all(work.tokens)},
                           {"watts", rounded_all(work.watts)},
                           {"clock_share", rounded_all(work.clock_share)}};
  return json;
}

}  // namespace sextant
