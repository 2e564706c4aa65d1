#include "models/profile/profile_file.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/profile/json_text.hpp"

namespace sextant {
namespace {

constexpr int figure_digits = 4;
constexpr int efficiency_digits = 3;
constexpr int error_digits = 3;
using Json = nlohmann::ordered_json;

Roofline read_roofline(const JsonValue& value, bool arithmetic_required) {
  const JsonObject object = value.object();
  Roofline roofline;
  roofline.tflops = arithmetic_required ? positive(object.at("tflops")) : object.number_or("tflops", 0, {0});
  roofline.memory_gbps = positive(object.at("memory_gbps"));
  roofline.latency_us = object.number("latency_us", {0});
  object.finish();
  return roofline;
}

std::vector<double> rounded_all(const std::vector<double>& values) {
  std::vector<double> result;
  result.reserve(values.size());
  for (const double value : values) result.push_back(rounded(value, efficiency_digits));
  return result;
}

}  // namespace

double positive(const JsonValue& value) {
  const double number = value.number();
  if (!(number > 0)) value.fail(fmt::format("found {}, expected a number above 0", number));
  return number;
}

void expect_format(const JsonObject& object, const std::string& format, std::int64_t version) {
  const JsonValue found = object.at("format");
  if (found.text() != format) found.fail(fmt::format("found \"{}\", expected \"{}\"", found.text(), format));
  const JsonValue number = object.at("version");
  if (number.integer() != version)
    number.fail(fmt::format("found version {}, expected {}", number.integer(), version));
}

namespace {

constexpr std::string_view suffix = ".json";

std::string shipped_prefix(const std::string& kind) {
  return "calibrate/profiles/" + kind + ".";
}

}  // namespace

std::optional<std::string> own_profiles_folder() {
  const char* folder = std::getenv("SEXTANT_PROFILES");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(folder, error);
  if (!std::filesystem::is_directory(status))
    throw InputError(fmt::format("SEXTANT_PROFILES: found {} '{}', expected a folder of profiles",
                                 std::filesystem::exists(status) ? "the file" : "no", folder));
  return folder;
}

namespace {

/// Where a profile says whose it is.
std::string name_key(const std::string& kind) {
  return kind == "gpu" ? "gpu" : "name";
}

/// What the shipped profile of this name says of whom it is ("h200-sxm-tables" is of h200-sxm); nullopt where
/// none is shipped.
std::optional<std::string> named_by_shipped(const std::string& kind, const std::string& name) {
  const std::string path = fmt::format("{}{}{}", shipped_prefix(kind), name, suffix);
  for (const EmbeddedFile& file : embedded_files(path))
    if (file.path == path) return JsonValue::parse(file.content, path).object().text(name_key(kind));
  return std::nullopt;
}

/// Whether a profile under this name may be of `found`: "h200-sxm-old" of an h200-sxm, as a variant of it.
bool may_be_of(const std::string& found, const std::string& kind, const std::string& name) {
  if (found == name) return true;
  if (const auto shipped = named_by_shipped(kind, name)) return found == *shipped;
  return kind == "gpu" && name.starts_with(found + "-");
}

/// Refuses a profile of another name than its file's.
void expect_name(const JsonValue& document, const std::string& kind, const std::string& name) {
  const auto found = document.object().find(name_key(kind));
  if (found && !may_be_of(found->text(), kind, name))
    found->fail(fmt::format("found \"{}\", expected \"{}\", as the file's name says", found->text(), name));
}

}  // namespace

std::optional<std::string> own_profile_file(const std::string& kind, const std::string& name) {
  const std::optional<std::string> folder = own_profiles_folder();
  if (!folder) return std::nullopt;
  std::string path = fmt::format("{}/{}.{}{}", *folder, kind, name, suffix);
  return std::filesystem::exists(path) ? std::optional(std::move(path)) : std::nullopt;
}

JsonValue profile_document(const std::string& kind, const std::string& name) {
  if (const auto own = own_profile_file(kind, name)) {
    JsonValue document = JsonValue::read(*own);
    expect_name(document, kind, name);
    return document;
  }
  const std::string prefix = shipped_prefix(kind);
  std::vector<std::string> known;
  for (const EmbeddedFile& file : embedded_files(prefix)) {
    const std::string path(file.path);
    known.push_back(path.substr(prefix.size(), path.size() - prefix.size() - suffix.size()));
    if (known.back() == name) return JsonValue::parse(file.content, path);
  }
  throw InputError(fmt::format("found no {} profile named '{}', expected one of {}{}", kind, name,
                               fmt::join(known, ", "), did_you_mean(name, known)));
}

Spread read_spread(const JsonValue& value) {
  const std::vector<double> bounds = value.numbers();
  if (bounds.size() != 2 || !(bounds[0] > 0) || bounds[0] > 1 || bounds[1] < 1)
    value.fail(fmt::format("found {}, expected [low, high] with 0 < low <= 1 <= high", value.dump()));
  return {bounds[0], bounds[1]};
}

namespace {

std::vector<RegionError> read_region_errors(const JsonValue& value) {
  std::vector<RegionError> errors;
  for (const JsonValue& item : value.array()) {
    const JsonObject object = item.object();
    errors.push_back({object.text("region"), object.integer("rows", {1}), object.number("median", {0}),
                      object.number("p90", {0})});
    object.finish();
  }
  return errors;
}

/// {"same_as": KEY} takes the grid of a model before it.
Grid read_efficiency(const JsonValue& value, std::size_t dimensions,
                     const std::map<std::string, OperatorModel>& before) {
  if (value.object().has("same_as")) {
    const JsonObject object = value.object();
    const std::string key = object.text("same_as");
    object.finish();
    const auto found = before.find(key);
    if (found == before.end())
      value.fail(fmt::format("found same_as \"{}\", expected a type that stands before it", key));
    return found->second.efficiency;
  }
  return read_grid(value, dimensions);
}

}  // namespace

OperatorModel read_operator_model(const JsonValue& value, std::size_t dimensions, bool weights,
                                  const std::map<std::string, OperatorModel>& before) {
  const JsonObject object = value.object();
  OperatorModel model;
  model.grade = read_grade(object);
  model.source = object.text("source");
  model.roofline = read_roofline(object.at("roofline"), weights);
  if (weights) model.bytes_per_weight = positive(object.at("bytes_per_weight"));
  model.spread = read_spread(object.at("spread"));
  if (const auto error = object.find("median_error")) model.median_error = error->number({0});
  model.alone_us = object.number_or("alone_us", 0, {0, 1e3});
  if (const auto slow = object.find("slow_state")) {
    const JsonObject state = slow->object();
    model.slow_state = {state.number("share", {0, 1}), state.number("time", {1, 10})};
    state.finish();
  }
  if (const auto grid = object.find("efficiency"))
    model.efficiency = read_efficiency(*grid, dimensions, before);
  if (const auto errors = object.find("cross_validation"))
    model.cross_validation = read_region_errors(*errors);
  object.finish();
  return model;
}

Json operator_model_json(const OperatorModel& model, const std::string& efficiency_of) {
  Json json;
  json["grade"] = to_string(model.grade);
  json["source"] = model.source;
  Json roofline;
  if (model.roofline.tflops > 0) roofline["tflops"] = rounded(model.roofline.tflops, figure_digits);
  roofline["memory_gbps"] = rounded(model.roofline.memory_gbps, figure_digits);
  roofline["latency_us"] = rounded(model.roofline.latency_us, figure_digits);
  json["roofline"] = roofline;
  if (model.bytes_per_weight > 0) json["bytes_per_weight"] = model.bytes_per_weight;
  if (model.alone_us > 0) json["alone_us"] = model.alone_us;
  if (model.slow_state.share > 0)
    json["slow_state"] = {{"share", rounded(model.slow_state.share, figure_digits)},
                          {"time", rounded(model.slow_state.time, figure_digits)}};
  json["spread"] = {rounded(model.spread.low, figure_digits), rounded(model.spread.high, figure_digits)};
  if (model.median_error) json["median_error"] = rounded(*model.median_error, figure_digits);
  for (const RegionError& error : model.cross_validation)
    json["cross_validation"].push_back({{"region", error.region},
                                        {"rows", error.rows},
                                        {"median", rounded(error.median, error_digits)},
                                        {"p90", rounded(error.p90, error_digits)}});
  if (!efficiency_of.empty()) {
    json["efficiency"]["same_as"] = efficiency_of;
  } else if (!model.efficiency.empty()) {
    json["efficiency"]["axes"] = model.efficiency.axes();
    json["efficiency"]["values"] = rounded_all(model.efficiency.values());
  }
  return json;
}

}  // namespace sextant
