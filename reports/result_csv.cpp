#include "reports/result_csv.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "reports/comparison.hpp"
#include "reports/csv_text.hpp"
#include "reports/names.hpp"
#include "reports/result_fields.hpp"
#include "reports/sweep_files.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
using namespace detail;

/// A value as a CSV field; what is absent or null is empty.
std::string field(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return csv_field(value.get<std::string>());
  if (value.is_number_float()) return csv_number(value.get<double>());
  return csv_field(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string line(const std::vector<std::string>& cells) {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) text.append(i == 0 ? "" : ",").append(cells[i]);
  return text + "\n";
}

/// "node-a/gpu0-1; node-b/gpu0-1": the GPUs of each replica.
std::string gpus_text(const Json& layout) {
  std::string text;
  const Json& replicas = member(layout, "replicas");
  for (const Json& replica : replicas.is_array() ? replicas : Json::array()) {
    std::vector<std::string> names;
    for (const Json& stage : replica)
      for (const std::string& name : texts_member(stage, "gpus")) names.push_back(name);
    text.append(text.empty() ? "" : "; ").append(device_list(names));
  }
  return text;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const auto& [name, unused] : named_metrics(ServingMetrics{})) names.push_back(name);
  return names;
}

/// Rows of plan candidates or of replications: `first` names and gives the leading columns.
std::string runs_csv(const Json& runs, const char* number, const Json& layout_of_all) {
  std::vector<std::string> header = {number,      "tp",     "pp",        "dp",          "ep",
                                     "split",     "gpus",   "kv_tokens", "estimate",    "simulated",
                                     "meets_slo", "missed", "grade",     "extrapolated"};
  for (const std::string& name : metric_names()) header.push_back(name);
  for (const char* name : {"kv_occupancy_peak", "usd_per_million_output_tokens", "events", "fingerprint",
                           "choice", "highest_load", "joules_per_output_token", "on_front"})
    header.emplace_back(name);
  std::string text = line(header);
  std::size_t rank = 0;
  for (const Json& run : runs.is_array() ? runs : Json::array()) {
    const Json& layout = layout_of_all.is_object() ? layout_of_all : member(run, "layout");
    const Json &metrics = member(run, "metrics"), &replication = member(run, "replication");
    ++rank;
    std::vector<std::string> cells = {replication.is_null() ? std::to_string(rank) : field(replication)};
    for (const char* key : {"tp", "pp", "dp", "ep", "split"}) cells.push_back(field(member(layout, key)));
    cells.push_back(csv_field(gpus_text(layout)));
    for (const char* key : {"kv_tokens", "estimate", "simulated", "meets_slo"})
      cells.push_back(field(member(run, key)));
    cells.push_back(csv_field(csv_list(texts_member(run, "missed"))));
    for (const char* key : {"grade", "extrapolated"}) cells.push_back(field(member(run, key)));
    for (const std::string& name : metric_names()) cells.push_back(field(member(metrics, name)));
    cells.push_back(field(member(metrics, "kv_occupancy_peak")));
    cells.push_back(field(member(run, "usd_per_million_output_tokens")));
    for (const char* key : {"events", "fingerprint"}) cells.push_back(field(member(metrics, key)));
    cells.push_back(field(member(run, "choice")));
    cells.push_back(field(member(member(run, "load"), "highest")));
    cells.push_back(field(member(member(run, "energy"), "joules_per_output_token")));
    cells.push_back(field(member(run, "on_front")));
    text += line(cells);
  }
  return text;
}

std::string values_csv(const Json& values) {
  const std::vector<std::string> keys = {"file",  "line",     "kind",     "gpu",          "part",
                                         "shape", "quantity", "measured", "predicted",    "error_percent",
                                         "lo90",  "hi90",     "grade",    "extrapolated", "not_predicted"};
  std::string text = line(keys);
  for (const Json& value : values.is_array() ? values : Json::array()) {
    std::vector<std::string> cells;
    for (const std::string& key : keys) cells.push_back(field(member(value, key)));
    text += line(cells);
  }
  return text;
}

}  // namespace

std::string result_csv(const Json& result) {
  const std::string format = text_member(result, "format");
  if (format == "sextant validation") return values_csv(member(result, "values"));
  if (format == "sextant comparison") return comparison_csv(result);
  if (format == "sextant sweep") {
    SweepRows sweep;
    sweep.identity =
        Json{{"axes", member(result, "axes")}}.dump(-1, ' ', false, Json::error_handler_t::replace);
    for (const Json& row : member(result, "rows"))
      sweep.rows.push_back(row.dump(-1, ' ', false, Json::error_handler_t::replace));
    return sweep_csv(sweep);
  }
  if (format == "sextant metrics")
    return runs_csv(member(result, "replications"), "replication", member(result, "layout"));
  return runs_csv(member(result, "candidates"), "rank", Json());
}

}  // namespace sextant
