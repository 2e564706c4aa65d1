#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/nccl_log_facts.hpp"
#include "calibrate/import/row_gate.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

Json transports(const NcclLogFacts& facts) {
  Json list = Json::array();
  for (const auto& [pair, ways] : facts.transports)
    for (const auto& [transport, channels] : ways)
      list.push_back(
          {{"from", pair.first}, {"to", pair.second}, {"via", transport}, {"channels", channels.size()}});
  return list;
}

Json context(const NcclLogFacts& facts, const std::string& source, const std::string& gpu) {
  Json json = {{"kind", "context"}, {"tool", "nccl"}, {"source", source}};
  if (!gpu.empty()) json["gpu"] = gpu;
  if (!facts.version.empty()) json["nccl"] = facts.version;
  if (!facts.network.empty()) json["network"] = facts.network;
  if (facts.ranks > 0) json["ranks"] = facts.ranks;
  if (facts.node_count() > 0) json["nodes"] = facts.node_count();
  json["hosts"] = facts.hosts;
  if (!facts.adapters.empty()) json["adapters"] = facts.adapters;
  if (!facts.channels.empty()) json["channels"] = facts.channels;
  if (const std::string link = facts.link(); !link.empty()) json["link"] = link;
  if (const auto gdr = facts.gdr()) json["gdr"] = *gdr;
  if (const auto nvls = facts.nvls()) json["nvls"] = *nvls;
  json["transports"] = transports(facts);
  if (!facts.first_warning.empty()) json["warning"] = facts.first_warning;
  return json;
}

}  // namespace

void import_nccl_log(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                     const MeasurementSink& sink) {
  NcclLogFacts facts;
  for_each_line(path, [&](std::string_view line, std::size_t) { facts.read(line); });
  if (facts.lines == 0)
    throw InputError(
        fmt::format("{}: found no line of NCCL's, expected the output of a run with NCCL_DEBUG=INFO", path));
  Measurement measurement;
  measurement.gpu = origin.gpu;
  measurement.source = detail::source_of("nccl", path);
  // Logs hold whatever bytes hosts and plugins print; what is no UTF-8 is replaced.
  measurement.row = OtherRow{
      "context",
      context(facts, measurement.source, origin.gpu).dump(-1, ' ', false, Json::error_handler_t::replace)};
  RowGate gate(path, origin.gpu, report, sink);
  gate.pass_unjudged(measurement);
  gate.finish();
}

}  // namespace sextant
