#include "reports/sweep_files.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "reports/csv_text.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

constexpr int schema_version = 1;

std::vector<std::string> columns() {
  std::vector<std::string> names = {"status", "tp", "pp", "dp", "ep", "split", "kv_tokens"};
  for (const auto& [name, unused] : named_metrics({})) names.push_back(name);
  for (const char* name :
       {"startable", "meets_slo", "overloaded", "grade", "extrapolated", "usd_per_million_output_tokens",
        "gpu_watts", "joules_per_output_token", "fingerprint", "reason"})
    names.emplace_back(name);
  return names;
}

/// A value of a row as a CSV field; what is absent or null is empty.
std::string field(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return csv_field(value.get<std::string>());
  if (value.is_number_float()) return csv_number(value.get<double>());
  return csv_field(value.dump());
}

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string sweep_json(const SweepRows& sweep, const std::string& command) {
  const Json identity = Json::parse(sweep.identity);
  std::string text =
      fmt::format("{{\n\"format\": \"sextant sweep\",\n\"version\": {},\n\"scenario\": {},\n\"axes\": {},\n",
                  schema_version, dumped(identity["scenario"]["name"]), dumped(identity["axes"]));
  if (!command.empty()) text += fmt::format("\"command\": {},\n", dumped(command));
  text += fmt::format("\"points\": {},\n\"rows\": [", sweep.rows.size());
  for (std::size_t i = 0; i < sweep.rows.size(); ++i) text += (i == 0 ? "\n" : ",\n") + sweep.rows[i];
  return text + "\n]\n}\n";
}

std::string sweep_csv(const SweepRows& sweep) {
  const std::vector<std::string> names = columns();
  const Json identity = Json::parse(sweep.identity);
  std::string text = "point";
  for (const Json& axis : identity["axes"])
    text += fmt::format(",{}", csv_field(axis["path"].get<std::string>()));
  for (const std::string& name : names) text += fmt::format(",{}", name);
  text += "\n";
  for (const std::string& line : sweep.rows) {
    const Json row = Json::parse(line);
    text += field(row["point"]);
    for (const Json& value : row["values"]) text += fmt::format(",{}", field(value));
    for (const std::string& name : names)
      text += fmt::format(",{}", row.contains(name) ? field(row[name]) : "");
    text += "\n";
  }
  return text;
}

}  // namespace sextant
