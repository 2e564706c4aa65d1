#include <fmt/core.h>

#include "calibrate/import/nccl_tests_job.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"

namespace sextant {
void import_nccl_tests_json(const std::string& text, const std::string& path, const ForeignOrigin&,
                            ImportReport&, const MeasurementSink&);

namespace {

constexpr Range counts{1, 1 << 20};

/// Every process lists its first GPU alone, so that the ranks are processes x threads x GPUs.
void read_config(const JsonObject& config, detail::NcclTestsJob& job) {
  const std::vector<JsonValue> devices = config.at("devices").array();
  const std::int64_t each = config.integer("nthreads", counts) * config.integer("ngpus", counts);
  const double ranks = static_cast<double>(devices.size()) * static_cast<double>(each);
  if (ranks < 2 || ranks > counts.high)
    config.fail(fmt::format("found {} ranks, expected 2 to {}", ranks, counts.high));
  job.ranks = static_cast<int>(ranks);
  for (const JsonValue& entry : devices) {
    const JsonObject device = entry.object();
    job.hosts.insert(device.text("hostname"));
    job.gpus.insert(device.text_or("device_info", ""));
  }
}

/// nccl-tests writes a time that is not a number as the text "nan".
std::string number_text(const JsonValue& value) {
  return value.is_text() ? value.text() : fmt::format("{}", value.number());
}

class JsonReader {
 public:
  JsonReader(const detail::NcclTestsJob& job, const Measurement& measurement, RowGate& gate)
      : job_(job), measurement_(measurement), gate_(gate) {}

  void row(const JsonValue& value) {
    const JsonObject row = value.object();
    detail::NcclTestsCell cell;
    cell.bytes = static_cast<double>(row.integer("size", {0}));
    cell.type = row.text("type");
    for (const char* half : {"out_of_place", "in_place"}) {
      cell.in_place = std::string_view(half) == "in_place";
      if (const auto found = row.find(half)) read_cell(*found, cell);
    }
  }

 private:
  void read_cell(const JsonValue& value, detail::NcclTestsCell cell) {
    const JsonObject half = value.object();
    const std::string path = value.path() + ".time";
    const RowPlace place{0, path};
    if (half.has("cpu_time"))
      half.fail("found 'cpu_time', expected 'time': the host's time is not the operation's");
    if (const auto wrong = half.find("nwrong"); wrong && wrong->number() != 0)
      return gate_.exclude("with wrong results", place,
                           fmt::format("found {} wrong values, expected 0", wrong->number()));
    if (cell.bytes == 0) return gate_.leave_out("of size 0, which move nothing", place);
    const auto us = gate_.positive(number_text(half.at("time")), place);
    if (!us) return;
    cell.us = *us;
    cell.algorithm_gbps = half.number("alg_bw", {0});
    cell.bus_gbps = half.number("bus_bw", {0});
    detail::pass_cell(gate_, job_, cell, measurement_, place);
  }

  const detail::NcclTestsJob& job_;
  const Measurement& measurement_;
  RowGate& gate_;
};

}  // namespace

void import_nccl_tests_json(const std::string& text, const std::string& path, const ForeignOrigin& origin,
                            ImportReport& report, const MeasurementSink& sink) {
  const JsonObject document = JsonValue::parse(text, path).object();
  detail::NcclTestsJob job;
  read_config(document.at("config").object(), job);
  const std::vector<JsonValue> arguments = document.at("args").array();
  if (!arguments.empty()) job.name_test(arguments.front().text(), arguments.front().where());
  detail::expect_told(job, origin, path);
  if (job.operation.empty()) job.operation = origin.operation;
  if (job.operation.empty()) document.fail("the operation is not named, expected --op all_reduce or another");
  job.link = detail::link_of(job, origin, path);
  const Measurement measurement{origin.gpu, detail::source_of("nccl-tests", path), "", {}};
  RowGate gate(path, origin.gpu, report, sink);
  JsonReader reader(job, measurement, gate);
  for (const JsonValue& row : document.at("results").array()) reader.row(row);
  gate.finish();
}

}  // namespace sextant
