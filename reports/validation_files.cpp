#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "reports/csv_text.hpp"
#include "reports/json_parts.hpp"
#include "reports/validation_text.hpp"

namespace sextant {
namespace {

using detail::finite;
using Json = nlohmann::ordered_json;

constexpr int schema_version = 1;
constexpr double percent = 100;

Json group_json(const GroupSummary& group) {
  Json json = {{"kind", group.kind}, {"gpu", group.gpu}};
  if (!group.part.empty()) json["part"] = group.part;
  json["rows"] = group.rows;
  json["values"] = group.values;
  json["not_predicted"] = group.without;
  const auto figure = [&](double share) {
    return group.values > 0 ? finite(percent * share) : Json(nullptr);
  };
  json["median_error_percent"] = figure(group.median);
  json["p90_error_percent"] = figure(group.p90);
  json["worst_error_percent"] = figure(group.worst);
  json["bias_percent"] = figure(group.bias);
  json["with_interval"] = group.with_interval;
  json["within_interval"] = group.covered;
  json["outside_fitted_range"] = group.outside;
  json["grade"] = group.values > 0 ? Json(to_string(group.grade)) : Json(nullptr);
  return json;
}

Json value_json(const Comparison& comparison) {
  Json json = {{"file", comparison.file},         {"line", comparison.line},
               {"kind", comparison.kind},         {"gpu", comparison.gpu},
               {"part", comparison.part},         {"shape", comparison.shape},
               {"quantity", comparison.quantity}, {"measured", finite(comparison.measured)}};
  const Prediction* predicted = comparison.prediction();
  if (predicted == nullptr) {
    json["not_predicted"] = std::get<NotPredicted>(comparison.outcome).why;
    return json;
  }
  const auto error = comparison.error();
  json["predicted"] = finite(predicted->value);
  json["error_percent"] = error ? finite(percent * *error) : Json(nullptr);
  json["lo90"] = predicted->interval ? finite(predicted->interval->low90) : Json(nullptr);
  json["hi90"] = predicted->interval ? finite(predicted->interval->high90) : Json(nullptr);
  json["grade"] = to_string(predicted->grade);
  json["extrapolated"] = predicted->extrapolated;
  return json;
}

std::string csv_row(const Comparison& comparison) {
  std::string text =
      fmt::format("{},{},{},{},{},{},{},{}", csv_field(comparison.file), comparison.line, comparison.kind,
                  csv_field(comparison.gpu), csv_field(comparison.part), csv_field(comparison.shape),
                  comparison.quantity, csv_number(comparison.measured));
  const Prediction* predicted = comparison.prediction();
  if (predicted == nullptr)
    return text + ",,,,,,," + csv_field(std::get<NotPredicted>(comparison.outcome).why) + "\n";
  const auto error = comparison.error();
  const auto bound = [&](double PredictedInterval::*end) {
    return predicted->interval ? csv_number((*predicted->interval).*end) : std::string();
  };
  return text + fmt::format(",{},{},{},{},{},{},\n", csv_number(predicted->value),
                            error ? csv_number(percent * *error) : "", bound(&PredictedInterval::low90),
                            bound(&PredictedInterval::high90), to_string(predicted->grade),
                            predicted->extrapolated);
}

}  // namespace

std::string validation_json(const Validation& validation, const std::vector<ErrorBound>& bounds,
                            const std::string& command) {
  Json json = {{"format", "sextant validation"}, {"version", schema_version}};
  json["command"] = command;
  json["files"] = validation.files;
  json["profiles"] = validation.profiles;
  json["groups"] = Json::array();
  for (const GroupSummary& group : validation.groups) json["groups"].push_back(group_json(group));
  Json given = Json::array();
  for (const ErrorBound& bound : bounds) given.push_back(bound.text);
  json["bounds"] = {{"given", given}, {"missed", missed(bounds, validation.groups)}};
  json["values"] = Json::array();
  for (const Comparison& comparison : validation.comparisons)
    json["values"].push_back(value_json(comparison));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string validation_csv(const Validation& validation) {
  std::string text =
      "file,line,kind,gpu,part,shape,quantity,measured,predicted,error_percent,lo90,hi90,grade,extrapolated,"
      "not_predicted\n";
  for (const Comparison& comparison : validation.comparisons) text += csv_row(comparison);
  return text;
}

}  // namespace sextant
