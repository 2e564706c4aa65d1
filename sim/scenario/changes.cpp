#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

/// One step of a path: a key, an index, or every element of an array.
struct Step {
  enum class Kind { key, index, all } kind = Kind::key;
  std::string key;
  std::size_t index = 0;
};

[[noreturn]] void bad_path(const std::string& path, const std::string& why) {
  throw InputError(fmt::format("--set {}: {}", path, why));
}

/// "cluster.nodes[0].nic" -> key cluster, key nodes, index 0, key nic.
std::vector<Step> parse_path(const std::string& path) {
  std::vector<Step> steps;
  std::size_t at = 0;
  while (at < path.size()) {
    if (path[at] == '[') {
      const std::size_t end = path.find(']', at);
      const std::string inside = end == std::string::npos ? "" : path.substr(at + 1, end - at - 1);
      const bool digits = !inside.empty() && inside.size() < 10 &&
                          inside.find_first_not_of("0123456789") == std::string::npos;
      if (inside == "*")
        steps.push_back({Step::Kind::all, {}, 0});
      else if (digits)
        steps.push_back({Step::Kind::index, {}, std::stoul(inside)});
      else
        bad_path(path, "found a malformed index, expected [0], [1], ... or [*]");
      at = end + 1;
    } else {
      if (path[at] == '.') ++at;
      const std::size_t end = std::min(path.find_first_of(".[", at), path.size());
      if (end == at) bad_path(path, "found an empty key, expected a path such as workload.request_rate");
      steps.push_back({Step::Kind::key, path.substr(at, end - at), 0});
      at = end;
    }
  }
  if (steps.empty() || steps.front().kind != Step::Kind::key)
    bad_path(path, "found no key, expected a path such as workload.request_rate");
  return steps;
}

std::vector<std::string> keys_of(const Json& node) {
  std::vector<std::string> keys;
  for (const auto& [key, unused] : node.items()) keys.push_back(key);
  return keys;
}

void replace(Json& node, const std::vector<Step>& steps, std::size_t at, const Json& value,
             const std::string& path) {
  if (at == steps.size()) {
    node = value;
    return;
  }
  const Step& step = steps[at];
  if (step.kind == Step::Kind::key) {
    if (!node.is_object())
      bad_path(path, fmt::format("found no object that could hold the key '{}'", step.key));
    const bool last = at + 1 == steps.size();
    // A part that the scenario does not have yet begins empty, unless it looks like a slip of one that it
    // has.
    if (!last && !node.contains(step.key)) {
      const std::string meant = did_you_mean(step.key, keys_of(node));
      if (!meant.empty()) bad_path(path, fmt::format("found no key '{}'{}", step.key, meant));
      if (steps[at + 1].kind != Step::Kind::key)
        bad_path(path, fmt::format("found no key '{}', expected a list there", step.key));
      node[step.key] = Json::object();
    }
    replace(node[step.key], steps, at + 1, value, path);
    return;
  }
  if (!node.is_array()) bad_path(path, "found an index where the scenario has no list");
  if (step.kind == Step::Kind::all) {
    for (Json& element : node) replace(element, steps, at + 1, value, path);
    return;
  }
  if (step.index >= node.size())
    bad_path(path, fmt::format("found the index {}, expected less than {}", step.index, node.size()));
  replace(node[step.index], steps, at + 1, value, path);
}

Json parse_value(const std::string& text) {
  Json value = Json::parse(text, nullptr, false, true);
  return value.is_discarded() ? Json(text) : value;
}

}  // namespace

JsonValue with_changes(const JsonValue& document,
                       const std::vector<std::pair<std::string, std::string>>& changes) {
  auto changed = std::make_shared<Json>(document.json());
  for (const auto& [path, text] : changes) replace(*changed, parse_path(path), 0, parse_value(text), path);
  const Json* root = changed.get();
  return JsonValue(std::move(changed), root, std::make_shared<const std::string>(document.file()),
                   document.path());
}

}  // namespace sextant
