#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "reports/html_page.hpp"
#include "reports/number_text.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

/// What one page may hold of each list and string.
struct Limits {
  std::size_t entries, characters;
};

/// Lists whose order is no ranking: a part of them is picked evenly, not from the front.
bool picked_evenly(const std::string& key) {
  return key == "rows" || key == "values";
}

/// How far off a value of `sextant validate` is; what is not predicted comes last.
double distance(const Json& value) {
  const auto error = value.find("error_percent");
  return value.is_object() && error != value.end() && error->is_number() ? std::abs(error->get<double>())
                                                                         : -1;
}

std::vector<std::size_t> picked(const Json& list, const std::string& key, std::size_t most) {
  std::vector<std::size_t> indices;
  if (!picked_evenly(key)) {
    for (std::size_t i = 0; i < most; ++i) indices.push_back(i);
    return indices;
  }
  // The worst tenth, and of the rest every n-th.
  std::vector<std::size_t> order(list.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const std::size_t worst = key == "values" ? most / 10 : 0;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return distance(list[a]) > distance(list[b]); });
  indices.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(worst));
  std::vector<std::size_t> rest(order.begin() + static_cast<std::ptrdiff_t>(worst), order.end());
  std::sort(rest.begin(), rest.end());
  const std::size_t even = most - worst;
  for (std::size_t i = 0; i < even; ++i) indices.push_back(rest[i * rest.size() / even]);
  std::sort(indices.begin(), indices.end());
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
  return indices;
}

/// The first `most` bytes of UTF-8 text and an ellipsis, no character cut in two.
std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "\u2026";
}

class Cutter {
 public:
  explicit Cutter(Limits limits) : limits_(limits) {}

  Json cut(const Json& json, const std::string& key) {
    if (json.is_string()) {
      const auto& text = json.get_ref<const std::string&>();
      if (text.size() > limits_.characters) ++long_strings_;
      return shortened(text, limits_.characters);
    }
    if (json.is_object()) {
      Json result = Json::object();
      for (const auto& [name, value] : json.items())
        result[shortened(name, limits_.characters)] = cut(value, name);
      return result;
    }
    if (!json.is_array()) return json;
    Json result = Json::array();
    if (json.size() <= limits_.entries) {
      for (const Json& value : json) result.push_back(cut(value, key));
      return result;
    }
    for (const std::size_t index : picked(json, key, limits_.entries))
      result.push_back(cut(json[index], key));
    Loss& loss = losses_[key];
    loss.kept = std::max(loss.kept, result.size());
    loss.all = std::max(loss.all, json.size());
    return result;
  }

  Json notes() const {
    Json list = Json::array();
    for (const auto& [key, loss] : losses_)
      list.push_back(fmt::format("{}: {} of {} are on this page ({}); --json has all", shortened(key, 80),
                                 count_text(static_cast<std::int64_t>(loss.kept)),
                                 count_text(static_cast<std::int64_t>(loss.all)),
                                 !picked_evenly(key) ? "the first"
                                 : key == "values"   ? "the tenth furthest off, the others picked evenly"
                                                     : "picked evenly"));
    if (long_strings_ > 0)
      list.push_back(fmt::format("texts of more than {} bytes are cut ({} times)", limits_.characters,
                                 count_text(static_cast<std::int64_t>(long_strings_))));
    return list;
  }

 private:
  struct Loss {
    std::size_t kept = 0, all = 0;
  };
  Limits limits_;
  std::map<std::string, Loss> losses_;
  std::size_t long_strings_ = 0;
};

/// The best candidate whole; of the others and of the variants' what tables and charts show.
void strip_details(Json& result) {
  const auto strip = [](Json& candidates, std::size_t from) {
    for (std::size_t i = from; i < candidates.size(); ++i) {
      if (!candidates[i].is_object()) continue;
      candidates[i].erase("stages");
      if (candidates[i].contains("layout") && candidates[i]["layout"].is_object())
        candidates[i]["layout"].erase("replicas");
    }
  };
  if (result.contains("candidates") && result["candidates"].is_array()) strip(result["candidates"], 1);
  if (result.contains("replications") && result["replications"].is_array()) strip(result["replications"], 1);
  if (!result.contains("variants") || !result["variants"].is_array()) return;
  for (Json& variant : result["variants"]) {
    if (!variant.is_object() || !variant.contains("plan") || !variant["plan"].is_object()) continue;
    Json& plan = variant["plan"];
    if (!plan.contains("candidates") || !plan["candidates"].is_array()) continue;
    if (plan["candidates"].size() > 1)
      plan["candidates"].erase(plan["candidates"].begin() + 1, plan["candidates"].end());
    strip(plan["candidates"], 0);
    plan.erase("rejections");
  }
}

}  // namespace

Json page_data(const Json& result, std::size_t bytes) {
  Json slim = result;
  if (slim.is_object()) strip_details(slim);
  constexpr std::size_t fewest = 8;
  // Series have 240 entries: shorter lists would tear columns that belong together apart.
  for (Limits limits{4000, 2000};;
       limits = {limits.entries / 2, std::max<std::size_t>(40, limits.characters * 3 / 4)}) {
    Cutter cutter(limits);
    Json cut = cutter.cut(slim, "");
    cut["page_notes"] = cutter.notes();
    if (limits.entries < fewest) return cut;
    // "<" becomes six bytes in the page.
    const std::string text = cut.dump(-1, ' ', false, Json::error_handler_t::replace);
    const auto brackets = static_cast<std::size_t>(std::count(text.begin(), text.end(), '<'));
    if (text.size() + 5 * brackets <= bytes) return cut;
  }
}

}  // namespace sextant
