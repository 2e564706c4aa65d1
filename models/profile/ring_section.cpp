#include "models/profile/ring_section.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/profile/json_text.hpp"
#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
constexpr int digits = 4;
constexpr int error_digits = 3;
const std::vector<std::string> operations = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"};
const std::vector<std::string> protocols = {"ll", "ll128", "simple"};

LeftOutErrors read_errors(const JsonValue& value) {
  const JsonObject object = value.object();
  LeftOutErrors errors{read_spread(object.at("spread")), object.number("median_error", {0}),
                       object.number("p90_error", {0})};
  object.finish();
  return errors;
}

ProtocolLine read_line(const JsonValue& value) {
  const JsonObject object = value.object();
  ProtocolLine line;
  line.protocol = protocols[object.choice("protocol", protocols)];
  line.base_us = object.number("base_us", {0});
  line.hop_us = object.number("hop_us", {0});
  line.busbw_gbps = positive(object.at("busbw_gbps"));
  object.finish();
  return line;
}

RingOperation read_operation(const JsonValue& value) {
  const JsonObject object = value.object();
  RingOperation operation;
  operation.op = operations[object.choice("op", operations)];
  for (const JsonValue& item : object.at("protocols").array()) {
    ProtocolLine line = read_line(item);
    for (const ProtocolLine& known : operation.protocols)
      if (known.protocol == line.protocol)
        item.fail(fmt::format("found {} twice, expected it once", line.protocol));
    operation.protocols.push_back(std::move(line));
  }
  if (operation.protocols.empty()) object.at("protocols").fail("found no protocols, expected one or more");
  operation.between = read_errors(object.at("between"));
  operation.beyond = read_errors(object.at("beyond"));
  object.finish();
  return operation;
}

OneChannel read_one_channel(const JsonValue& value) {
  const JsonObject object = value.object();
  OneChannel one{positive(object.at("below_bytes_per_rank")), positive(object.at("saves_us")),
                 object.text("source")};
  object.finish();
  return one;
}

Json errors_json(const LeftOutErrors& errors) {
  Json json;
  json["spread"] = {rounded(errors.spread.low, digits), rounded(errors.spread.high, digits)};
  json["median_error"] = rounded(errors.median_error, error_digits);
  json["p90_error"] = rounded(errors.p90_error, error_digits);
  return json;
}

}  // namespace

const RingOperation* RingModel::operation(const std::string& op) const {
  const auto found = std::find_if(operations.begin(), operations.end(),
                                  [&](const RingOperation& operation) { return operation.op == op; });
  return found == operations.end() ? nullptr : &*found;
}

RingModel read_ring_model(const JsonValue& value) {
  const JsonObject object = value.object();
  RingModel ring;
  ring.grade = read_grade(object);
  ring.source = object.text("source");
  ring.compute_capability = object.number("compute_capability", {10, 999});
  ring.channels = static_cast<int>(object.integer("channels", {1, 64}));
  if (const auto one = object.find("one_channel")) ring.one_channel = read_one_channel(*one);
  if (const auto sends = object.find("send_channels"))
    ring.send_channels = static_cast<int>(sends->integer({1, 64}));
  for (const JsonValue& item : object.at("operations").array()) {
    RingOperation operation = read_operation(item);
    if (ring.operation(operation.op))
      item.fail(fmt::format("found {} twice, expected it once", operation.op));
    ring.operations.push_back(std::move(operation));
  }
  object.finish();
  return ring;
}

Json ring_model_json(const RingModel& ring) {
  Json json;
  json["grade"] = to_string(ring.grade);
  json["source"] = ring.source;
  json["compute_capability"] = ring.compute_capability;
  json["channels"] = ring.channels;
  if (const auto& one = ring.one_channel)
    json["one_channel"] = {{"below_bytes_per_rank", one->below_bytes_per_rank},
                           {"saves_us", rounded(one->saves_us, digits)},
                           {"source", one->source}};
  if (ring.send_channels > 0) json["send_channels"] = ring.send_channels;
  json["operations"] = Json::array();
  for (const RingOperation& operation : ring.operations) {
    Json item;
    item["op"] = operation.op;
    item["protocols"] = Json::array();
    for (const ProtocolLine& line : operation.protocols)
      item["protocols"].push_back({{"protocol", line.protocol},
                                   {"base_us", rounded(line.base_us, digits)},
                                   {"hop_us", rounded(line.hop_us, digits)},
                                   {"busbw_gbps", rounded(line.busbw_gbps, digits)}});
    item["between"] = errors_json(operation.between);
    item["beyond"] = errors_json(operation.beyond);
    json["operations"].push_back(item);
  }
  return json;
}

}  // namespace sextant
