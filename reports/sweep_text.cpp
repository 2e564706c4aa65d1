#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "reports/number_text.hpp"
#include "reports/sweep_files.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t points_shown = 10, reasons_shown = 5;

/// What the table of best points shows of one.
struct ShownPoint {
  Json row;
  bool good = false;
  double throughput = 0;
};

bool before(const ShownPoint& a, const ShownPoint& b) {
  if (a.good != b.good) return a.good;
  return a.throughput > b.throughput;
}

std::string number(const Json& row, const char* name) {
  return row.contains(name) && row[name].is_number() ? number_text(row[name].get<double>()) : "-";
}

std::string value_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// Bounds that a point can meet or miss; "goodput" says what a good request is and bounds nothing.
bool has_bounds(const Json& scenario) {
  if (!scenario.contains("slo") || !scenario["slo"].is_object()) return false;
  const Json& slo = scenario["slo"];
  return slo.size() > (slo.contains("goodput") ? 1u : 0u);
}

std::string best_points(std::vector<ShownPoint> points, const Json& axes, bool bounds, TextStyle style) {
  std::stable_sort(points.begin(), points.end(), before);
  if (points.size() > points_shown) points.resize(points_shown);
  std::vector<Table::Column> columns = {{"point"}};
  for (const Json& axis : axes)
    columns.push_back({axis["path"].get<std::string>(), Table::Align::right, true});
  for (const char* name : {"tp", "pp", "dp"}) columns.push_back({name});
  for (const char* name : {"output\ntokens/s", "p99 TTFT\nms", "p99 TPOT\nms"}) columns.push_back({name});
  if (bounds) columns.push_back({"SLO", Table::Align::left});
  Table table(columns);
  for (const ShownPoint& point : points) {
    const Json& row = point.row;
    std::vector<Table::Cell> cells = {row["point"].dump()};
    for (const Json& value : row["values"]) cells.emplace_back(value_text(value));
    for (const char* name : {"tp", "pp", "dp"}) cells.emplace_back(row[name].dump());
    for (const char* name : {"output_throughput", "p99_ttft_ms", "p99_tpot_ms"})
      cells.emplace_back(number(row, name));
    if (bounds) cells.emplace_back(row["meets_slo"].get<bool>() ? "met" : "missed");
    table.add(std::move(cells));
  }
  return table.text(style);
}

}  // namespace

std::string sweep_text(const SweepRows& sweep, TextStyle style) {
  const Json identity = Json::parse(sweep.identity);
  std::map<std::string, std::int64_t> by_status;
  std::map<std::string, std::int64_t> reasons;
  std::vector<ShownPoint> points;
  for (const std::string& line : sweep.rows) {
    Json row = Json::parse(line);
    ++by_status[row["status"].get<std::string>()];
    if (row["status"] != "ok") {
      ++reasons[row["reason"].get<std::string>()];
      continue;
    }
    const Json& throughput = row["output_throughput"];
    ShownPoint point{{}, row["meets_slo"].get<bool>(), throughput.is_number() ? throughput.get<double>() : 0};
    point.row = std::move(row);
    points.push_back(std::move(point));
    if (points.size() > 2 * points_shown) {  // of a million rows only the best stay
      std::stable_sort(points.begin(), points.end(), before);
      points.resize(points_shown);
    }
  }
  std::string text = printable(identity["scenario"]["name"].get<std::string>()) + ": " +
                     count_text(static_cast<std::int64_t>(sweep.rows.size())) + " points";
  for (const auto& [status, count] : by_status) text += fmt::format(", {} {}", count_text(count), status);
  text += "\n\n";
  if (!points.empty())
    text += best_points(std::move(points), identity["axes"], has_bounds(identity["scenario"]), style);
  std::size_t shown = 0;
  for (const auto& [reason, count] : reasons) {
    if (shown++ == reasons_shown) break;
    text += wrapped(fmt::format("{} x {}", count_text(count), reason), "- ", style.width);
  }
  return text;
}

}  // namespace sextant
