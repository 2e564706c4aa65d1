#include "calibrate/import/import_limits.hpp"

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/base/figure.hpp"

namespace sextant {
namespace {

constexpr auto shipped_path = "calibrate/profiles/import-limits.json";
constexpr Range positive_range{1e-9, 1e15};

void read_provenance(const JsonObject& object) {
  read_grade(object);
  object.text("source");
}

std::map<std::string, double, std::less<>> read_shares(const JsonObject& object) {
  std::map<std::string, double, std::less<>> shares;
  read_provenance(object);
  for (const auto& [kind, share] : object.entries())
    if (kind != "grade" && kind != "source") shares[kind] = share.number({0, 1});
  return shares;
}

MlaWidths read_mla(const JsonObject& object) {
  read_provenance(object);
  MlaWidths widths{object.number("latent", positive_range), object.number("rope", positive_range),
                   object.number("nope", positive_range), object.number("value", positive_range)};
  object.finish();
  return widths;
}

}  // namespace

ImportLimits read_import_limits(const JsonValue& value) {
  const JsonObject object = value.object();
  object.choice("format", {"sextant import limits"});
  object.integer("version", {1, 1});
  const auto figure = [&](const char* key) { return read_figure(object.at(key), positive_range).value; };
  ImportLimits limits;
  limits.times_peak = figure("times_peak");
  limits.shortest_us = figure("shortest_us");
  limits.judged_from_us = figure("judged_from_us");
  limits.slowest_share = read_shares(object.at("slowest_share").object());
  limits.best_share_of_a_table = figure("best_share_of_a_table");
  limits.rows_to_judge_a_table = figure("rows_to_judge_a_table");
  limits.excluded_share = figure("excluded_share");
  limits.duplicates_differ = figure("duplicates_differ");
  limits.rates_agree = figure("rates_agree");
  limits.mla = read_mla(object.at("mla").object());
  object.finish();
  return limits;
}

const ImportLimits& shipped_import_limits() {
  static const ImportLimits limits = [] {
    const std::vector<EmbeddedFile> files = embedded_files(shipped_path);
    if (files.empty()) throw InputError(std::string(shipped_path) + ": not built into this binary");
    return read_import_limits(JsonValue::parse(files.front().content, shipped_path));
  }();
  return limits;
}

}  // namespace sextant
