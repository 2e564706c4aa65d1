#include "sim/scenario/search_choices.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

const std::vector<std::string> objective_names = {"throughput", "cost", "energy", "pareto"};

/// One list to choose from: where its values go and what they are called.
struct Dimension {
  std::string path, label;
  std::vector<JsonValue> values;
};

std::string value_text(const JsonValue& value) {
  return value.is_text() ? value.text() : value.dump();
}

Dimension read_dimension(const std::string& path, const std::string& label, const JsonValue& list) {
  Dimension dimension{path, label, list.array()};
  if (dimension.values.empty()) list.fail("found an empty list, expected at least one value to choose from");
  for (std::size_t i = 0; i < dimension.values.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (dimension.values[i].dump() == dimension.values[j].dump())
        dimension.values[i].fail(
            fmt::format("found {} twice, expected each once", dimension.values[i].dump()));
  return dimension;
}

/// Whether the scenario gives outside "search" what a list in it is to choose.
void refuse_both(const JsonObject& document, const char* part, const std::string& key,
                 const JsonValue& list) {
  if (!list.is_array()) return;  // what it should be is said where it is read
  if (const auto object = document.find(part); object && object->object().has(key))
    list.fail(fmt::format("found a list beside {}.{}, expected one of the two", part, key));
}

std::vector<Dimension> read_dimensions(const JsonObject& document, const JsonObject& search) {
  std::vector<Dimension> dimensions;
  for (const char* key : {"weights", "kv"}) {
    const auto list = search.find(key);
    if (!list) continue;
    refuse_both(document, "model", key, *list);
    dimensions.push_back(read_dimension(fmt::format("model.{}", key), key, *list));
  }
  if (const auto engine = search.find("engine"))
    for (const auto& [option, list] : engine->object().entries()) {
      refuse_both(document, "engine", option, list);
      dimensions.push_back(read_dimension(fmt::format("engine.{}", option), option, list));
    }
  return dimensions;
}

/// Whether one pool, two or both are searched: [false], [true] or [false, true].
std::vector<bool> read_disaggregation(const JsonObject& search) {
  const auto list = search.find("disaggregation");
  if (!list) return {false};
  std::vector<bool> values;
  for (const JsonValue& value : read_dimension("", "disaggregation", *list).values)
    values.push_back(value.boolean());
  return values;
}

/// Why no engine serves this choice from two pools; empty if it may.
std::string obstacle_of_pools(const EngineOptions& engine) {
  if (engine.speculation) return "engine: found speculation where prefill and decode are apart";
  if (engine.kv_offloading_gib > 0) return "engine: found KV offloading where prefill and decode are apart";
  return "";
}

/// Every choice with one pool, with two, or both.
void add_disaggregation(const std::vector<bool>& apart, SearchQuestion& question) {
  std::vector<SearchChoice> all;
  for (SearchChoice& choice : question.choices)
    for (const bool two : apart) {
      SearchChoice one = choice;
      one.apart = two;
      if (apart.size() > 1)
        one.name +=
            fmt::format("{}{}", one.name.empty() ? "" : ", ", two ? "prefill and decode apart" : "one pool");
      const std::string obstacle = two ? obstacle_of_pools(one.engine) : "";
      if (obstacle.empty())
        all.push_back(std::move(one));
      else
        question.refused.push_back({one.name, obstacle});
    }
  question.choices = std::move(all);
}

/// Counts through every combination of indices, the last dimension fastest. False after the last.
bool advance(std::vector<std::size_t>& at, const std::vector<Dimension>& dimensions) {
  for (std::size_t d = dimensions.size(); d-- > 0;) {
    if (++at[d] < dimensions[d].values.size()) return true;
    at[d] = 0;
  }
  return false;
}

SearchChoice choice_of(const JsonObject& document, const std::vector<Dimension>& dimensions,
                       const std::vector<std::size_t>& at) {
  SearchChoice choice;
  const bool sets_engine = std::any_of(dimensions.begin(), dimensions.end(),
                                       [](const Dimension& d) { return d.path.starts_with("engine."); });
  if (sets_engine && !document.has("engine")) choice.changes.emplace_back("engine", "{}");
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    const JsonValue& value = dimensions[d].values[at[d]];
    choice.changes.emplace_back(dimensions[d].path, value.dump());
    choice.name += fmt::format("{}{} {}", d == 0 ? "" : ", ", dimensions[d].label, value_text(value));
  }
  return choice;
}

/// Everything after the file's name: "engine.max_num_seqs: found …".
std::string without_file(const JsonValue& document, const std::string& message) {
  const std::string file = fmt::format("{}: ", document.file());
  return message.starts_with(file) ? message.substr(file.size()) : message;
}

/// Why a value stands in no combination that is allowed, said where it stands.
void refuse_unusable(const std::vector<Dimension>& dimensions,
                     const std::vector<std::vector<std::string>>& reasons,
                     const std::vector<std::vector<bool>>& usable) {
  for (std::size_t d = 0; d < dimensions.size(); ++d)
    for (std::size_t v = 0; v < dimensions[d].values.size(); ++v)
      if (!usable[d][v])
        dimensions[d].values[v].fail(fmt::format("found {}, which no combination allows: {}",
                                                 dimensions[d].values[v].dump(), reasons[d][v]));
}

}  // namespace

std::string to_string(Objective objective) {
  return objective_names[static_cast<std::size_t>(objective)];
}

SearchQuestion read_search(const JsonValue& value, const Cluster& cluster) {
  constexpr std::size_t most_combinations = 256;
  const JsonObject document = value.object();
  const JsonObject search = document.at("search").object();
  SearchQuestion options;
  if (search.has("objective"))
    options.objective = static_cast<Objective>(search.choice("objective", objective_names));
  const std::vector<Dimension> dimensions = read_dimensions(document, search);
  const std::vector<bool> apart = read_disaggregation(search);
  search.finish();
  const bool one_pool_alone = apart == std::vector<bool>{false};
  if (dimensions.empty() && one_pool_alone) return options;
  std::size_t combinations = 1;
  for (const Dimension& dimension : dimensions) combinations *= dimension.values.size();
  if (combinations > most_combinations)
    search.fail(fmt::format("found {} combinations to choose from, expected at most {}", combinations,
                            most_combinations));

  std::vector<std::vector<std::string>> reasons;
  std::vector<std::vector<bool>> usable;
  for (const Dimension& dimension : dimensions) {
    reasons.emplace_back(dimension.values.size());
    usable.emplace_back(dimension.values.size(), false);
  }
  std::vector<std::size_t> at(dimensions.size(), 0);
  do {
    SearchChoice choice = choice_of(document, dimensions, at);
    std::string reason;
    try {
      const JsonObject changed = with_changes(value, choice.changes).object();
      choice.model = read_model(changed.at("model"));
      choice.engine = read_engine(changed, cluster, choice.model);
      add_drafter(changed, choice.engine, choice.model);
    } catch (const InputError& error) {
      reason = without_file(value, error.what());
    }
    for (std::size_t d = 0; d < dimensions.size(); ++d) {
      if (reason.empty()) usable[d][at[d]] = true;
      reasons[d][at[d]] = reason;
    }
    if (reason.empty())
      options.choices.push_back(std::move(choice));
    else
      options.refused.push_back({choice.name, reason});
  } while (advance(at, dimensions));
  refuse_unusable(dimensions, reasons, usable);
  if (!one_pool_alone) add_disaggregation(apart, options);
  if (options.choices.empty())
    search.at("disaggregation")
        .fail("found two pools alone, which no choice allows: " + options.refused.back().reason);
  return options;
}

}  // namespace sextant
