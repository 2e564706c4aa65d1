#include "reports/comparison.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "models/base/error.hpp"
#include "reports/json_parts.hpp"
#include "reports/names.hpp"
#include "reports/result_fields.hpp"

namespace sextant {
namespace {

using detail::finite;
using Json = nlohmann::ordered_json;
using namespace detail;

/// A figure of one side with the interval it is believed in; not a number where there is none.
struct Side {
  double value = NAN, low = NAN, high = NAN;
  bool known() const { return std::isfinite(value); }
  bool has_interval() const { return std::isfinite(low) && std::isfinite(high); }
  bool holds(double other) const { return low <= other && other <= high; }
};

/// A figure by what it is of ("answer", "variant 400G", "gemm on h100-sxm") and its name.
using Key = std::pair<std::string, std::string>;
/// Figures in the order in which a result has them.
struct Figures {
  std::vector<Key> order;
  std::map<Key, Side> sides;
  void add(const std::string& of, const std::string& name, Side side) {
    if (sides.emplace(Key{of, name}, side).second) order.emplace_back(of, name);
  }
};

Side between(const Json& value, const Json& interval, const char* low, const char* high) {
  return {value.is_number() ? value.get<double>() : NAN, number_member(interval, low),
          number_member(interval, high)};
}

/// The numbers of a run's metrics, each with its interval: the model's error, or the spread of replications.
void add_run(Figures& figures, const std::string& of, const Json& run, const Json& spread, bool repeated) {
  static constexpr const char* wanted[] = {
      "request_throughput", "output_throughput", "total_token_throughput",
      "request_goodput",    "goodput_fraction",  "mean_ttft_ms",
      "median_ttft_ms",     "p90_ttft_ms",       "p99_ttft_ms",
      "mean_tpot_ms",       "median_tpot_ms",    "p90_tpot_ms",
      "p99_tpot_ms",        "mean_itl_ms",       "p99_itl_ms",
      "mean_e2el_ms",       "p99_e2el_ms",       "kv_occupancy_peak"};
  const Json& metrics = member(run, "metrics");
  for (const char* name : wanted) {
    if (!member(metrics, name).is_number()) continue;
    Side side = between(member(metrics, name), member(member(run, "intervals"), name), "low", "high");
    if (repeated && member(spread, name).is_object()) {
      const double mean = number_member(member(spread, name), "mean");
      const double margin = number_member(member(spread, name), "margin_95");
      side = {mean, mean - margin, mean + margin};
    }
    figures.add(of, name, side);
  }
  for (const char* name : {"kv_tokens", "usd_per_million_output_tokens"})
    if (member(run, name).is_number()) figures.add(of, name, {number_member(run, name)});
  const Json& energy = member(run, "energy");
  for (const char* name : {"gpu_watts", "joules_per_output_token"})
    if (member(energy, name).is_number()) figures.add(of, name, {number_member(energy, name)});
}

Figures served_figures(const Json& result) {
  Figures figures;
  const Json& runs = member(result, "replications");
  add_run(figures, "answer", headline_run(result), member(result, "spread"),
          runs.is_array() && runs.size() > 1);
  const Json& variants = member(result, "variants");
  for (const Json& variant : variants.is_array() ? variants : Json::array())
    add_run(figures, "variant " + text_member(variant, "name"), headline_run(member(variant, "plan")), Json(),
            false);
  return figures;
}

Figures validation_figures(const Json& result) {
  Figures figures;
  const Json& groups = member(result, "groups");
  for (const Json& group : groups.is_array() ? groups : Json::array()) {
    const std::string part = text_member(group, "part");
    const std::string of = fmt::format("{}{} on {}", text_member(group, "kind"),
                                       part.empty() ? "" : "/" + part, text_member(group, "gpu"));
    for (const char* name :
         {"values", "median_error_percent", "p90_error_percent", "worst_error_percent", "bias_percent"})
      if (member(group, name).is_number()) figures.add(of, name, {number_member(group, name)});
    const double of_all = number_member(group, "with_interval");
    if (of_all > 0)
      figures.add(of, "within_interval_percent", {100 * number_member(group, "within_interval") / of_all});
  }
  const Json& values = member(result, "values");
  for (const Json& value : values.is_array() ? values : Json::array())
    if (member(value, "predicted").is_number())
      figures.add(fmt::format("{}:{:g} ({})", text_member(value, "file"), number_member(value, "line"),
                              text_member(value, "shape")),
                  "predicted " + text_member(value, "quantity"),
                  between(member(value, "predicted"), value, "lo90", "hi90"));
  return figures;
}

Figures sweep_figures(const Json& result) {
  Figures figures;
  const Json &axes = member(result, "axes"), &rows = member(result, "rows");
  for (const Json& row : rows.is_array() ? rows : Json::array()) {
    std::string of;
    const Json& values = member(row, "values");
    for (std::size_t a = 0; values.is_array() && a < values.size(); ++a)
      of += fmt::format("{}{}={}", of.empty() ? "" : ", ",
                        axes.is_array() && a < axes.size() ? text_member(axes[a], "path") : "",
                        values[a].dump(-1, ' ', false, Json::error_handler_t::replace));
    for (const char* name : {"output_throughput", "mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms",
                             "p99_tpot_ms", "usd_per_million_output_tokens"})
      if (member(row, name).is_number()) figures.add(of, name, {number_member(row, name)});
  }
  return figures;
}

/// A variant that cannot be has no figures.
Figures whatif_figures(const Json& result) {
  Figures figures;
  add_run(figures, "base", member(result, "base"), Json(), false);
  const Json& variants = member(result, "variants");
  for (const Json& variant : variants.is_array() ? variants : Json::array()) {
    const Json& kept = member(variant, "kept");
    add_run(figures, fmt::format("variant {}", text_member(variant, "name")),
            kept.is_null() ? member(variant, "best") : kept, Json(), false);
  }
  return figures;
}

void add_purchase(Figures& figures, const std::string& of, const Json& purchase) {
  for (const char* name : {"usd", "peak_watts", "rack_units", "gpus", "output_throughput"})
    if (member(purchase, name).is_number()) figures.add(of, name, {number_member(purchase, name)});
  const Json& cost = member(purchase, "cost");
  for (const char* name : {"tco_usd", "electricity_usd", "mean_watts", "usd_per_million_output_tokens"})
    if (member(cost, name).is_number()) figures.add(of, name, {number_member(cost, name)});
  const Json& models = member(purchase, "models");
  for (const Json& model : models.is_array() ? models : Json::array())
    add_run(figures, fmt::format("{}, {}", of, text_member(model, "name")), model, Json(), false);
}

Figures purchase_figures(const Json& result) {
  Figures figures;
  add_purchase(figures, "the best purchase", member(result, "best"));
  const Json& simulated = member(result, "simulated");
  for (const Json& purchase : simulated.is_array() ? simulated : Json::array())
    add_purchase(figures, text_member(purchase, "description"), purchase);
  return figures;
}

/// How far loads can grow, of all and of each model, and how each serves its own load.
Figures mix_figures(const Json& result) {
  Figures figures;
  const Json &best = member(result, "best"), &models = member(best, "models");
  if (member(best, "factor").is_number()) figures.add("all loads", "factor", {number_member(best, "factor")});
  for (const Json& model : models.is_array() ? models : Json::array()) {
    const std::string name = text_member(model, "name");
    if (member(model, "factor").is_number()) figures.add(name, "factor", {number_member(model, "factor")});
    add_run(figures, name, model, Json(), false);
  }
  return figures;
}

bool served(const std::string& format) {
  return format == "sextant plan" || format == "sextant metrics";
}

Figures figures_of(const Json& result) {
  const std::string format = text_member(result, "format");
  if (format == "sextant validation") return validation_figures(result);
  if (format == "sextant sweep") return sweep_figures(result);
  if (format == "sextant whatif") return whatif_figures(result);
  if (format == "sextant purchase") return purchase_figures(result);
  if (format == "sextant mix") return mix_figures(result);
  return served_figures(result);
}

std::string verdict(const Side& a, const Side& b) {
  constexpr double equal = 1e-9;
  if (a.value == b.value || std::abs(a.value - b.value) <= equal * std::abs(a.value)) return "same";
  if (!a.has_interval() && !b.has_interval()) return "differs";
  const bool inside = (!a.has_interval() || a.holds(b.value)) && (!b.has_interval() || b.holds(a.value));
  return inside ? "within intervals" : "outside";
}

/// Where the two were asked different things: model, engine, seed, question, layout, command.
Json settings(const Json& a, const Json& b) {
  Json list = Json::array();
  const auto tell = [&](const std::string& what, const Json& of_a, const Json& of_b) {
    if (of_a == of_b) return;
    const auto text = [](const Json& json) {
      if (json.is_null()) return std::string("-");
      return json.is_string() ? json.get<std::string>()
                              : json.dump(-1, ' ', false, Json::error_handler_t::replace);
    };
    list.push_back({{"what", what}, {"a", text(of_a)}, {"b", text(of_b)}});
  };
  for (const char* key : {"scenario", "seed", "command", "files", "profiles"})
    tell(key, member(a, key), member(b, key));
  for (const char* part : {"model", "engine"}) {
    std::set<std::string> keys;
    for (const Json* side : {&a, &b})
      if (member(*side, part).is_object())
        for (const auto& [key, value] : member(*side, part).items()) keys.insert(key);
    for (const std::string& key : keys)
      tell(fmt::format("{}.{}", part, key), member(member(a, part), key), member(member(b, part), key));
  }
  const std::vector<std::string> of_a = texts_member(a, "question"), of_b = texts_member(b, "question");
  for (std::size_t i = 0; i < std::min(of_a.size(), of_b.size()); ++i) tell("question", of_a[i], of_b[i]);
  const auto layout = [](const Json& result) {
    const Json& json = headline_layout(result);
    return json.is_null() ? Json(nullptr) : Json(layout_text(json));
  };
  tell("layout", layout(a), layout(b));
  return list;
}

}  // namespace

Json compare_results(const NamedResult& a, const NamedResult& b) {
  const std::string of_a = text_member(*a.result, "format"), of_b = text_member(*b.result, "format");
  if (of_a != of_b && !(served(of_a) && served(of_b)))
    throw InputError(
        fmt::format("{}: found a \"{}\", expected a \"{}\" as {} is", b.name, of_b, of_a, a.name));
  if (of_a == "sextant comparison")
    throw InputError(fmt::format("{}: found a comparison, expected a result to compare", a.name));
  const Figures figures_a = figures_of(*a.result), figures_b = figures_of(*b.result);
  Json rows = Json::array(), only_a = Json::array(), only_b = Json::array();
  std::map<std::string, int> verdicts;
  for (const Key& key : figures_a.order) {
    const auto found = figures_b.sides.find(key);
    if (found == figures_b.sides.end()) {
      only_a.push_back(key.first + ": " + key.second);
      continue;
    }
    const Side &left = figures_a.sides.at(key), &right = found->second;
    const std::string judged = verdict(left, right);
    ++verdicts[judged];
    rows.push_back(
        {{"of", key.first},
         {"figure", key.second},
         {"a", finite(left.value)},
         {"b", finite(right.value)},
         {"change_percent", left.value != 0 ? finite(100 * (right.value / left.value - 1)) : Json(nullptr)},
         {"a_low", finite(left.low)},
         {"a_high", finite(left.high)},
         {"b_low", finite(right.low)},
         {"b_high", finite(right.high)},
         {"verdict", judged}});
  }
  for (const Key& key : figures_b.order)
    if (figures_a.sides.count(key) == 0) only_b.push_back(key.first + ": " + key.second);
  Json counts = Json::object();
  for (const char* name : {"same", "within intervals", "outside", "differs"}) counts[name] = verdicts[name];
  return {{"format", "sextant comparison"},
          {"version", 1},
          {"of", of_a},
          {"a", a.name},
          {"b", b.name},
          {"settings", settings(*a.result, *b.result)},
          {"verdicts", counts},
          {"rows", rows},
          {"only_in_a", only_a},
          {"only_in_b", only_b}};
}

}  // namespace sextant
