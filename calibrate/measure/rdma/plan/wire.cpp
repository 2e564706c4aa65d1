#include "calibrate/measure/rdma/plan/wire.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "calibrate/measure/rdma/plan/options.hpp"
#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

using Json = nlohmann::json;

/// 64 bits do not fit a JSON number that every reader keeps whole.
std::string hex(std::uint64_t value) {
  return fmt::format("{:x}", value);
}

std::uint64_t from_hex(const JsonValue& value) {
  constexpr int base = 16;
  const std::string text = value.text();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size())
    value.fail(fmt::format("found \"{}\", expected a hexadecimal number", text));
  return number;
}

int whole(const JsonObject& object, const char* key, double most) {
  return static_cast<int>(object.integer(key, {0, most}));
}

template <class Value>
Value known(const JsonObject& object, const char* key, const std::optional<Value>& value) {
  if (!value) object.at(key).fail(fmt::format("found \"{}\", expected another word", object.text(key)));
  return *value;
}

Json gid_json(const Gid& gid) {
  return {{"index", gid.index}, {"type", static_cast<int>(gid.type)}, {"address", gid.text()}};
}

Gid read_gid(const JsonObject& object) {
  Gid gid;
  constexpr int most_index = 65535, last_type = static_cast<int>(GidType::roce_v2);
  gid.index = whole(object, "index", most_index);
  gid.type = static_cast<GidType>(whole(object, "type", last_type));
  if (inet_pton(AF_INET6, object.text("address").c_str(), gid.bytes.data()) != 1)
    object.at("address").fail("expected an IPv6 address");
  return gid;
}

std::vector<std::uint32_t> numbers(const JsonObject& object, const char* key) {
  std::vector<std::uint32_t> result;
  constexpr double most = 0xffffffff;
  for (const JsonValue& each : object.at(key).array())
    result.push_back(static_cast<std::uint32_t>(each.integer({0, most})));
  return result;
}

constexpr int most_mtu = 4096, most_small = 1 << 20, most_queue_pairs = 64;

}  // namespace

std::string Hello::write() const {
  return Json{{"type", "hello"},        {"protocol", protocol},
              {"version", version},     {"settings", settings},
              {"host", host},           {"device", device},
              {"gid", gid_json(gid)},   {"active_mtu", active_mtu},
              {"rate_gbps", rate_gbps}, {"gpu", gpu}}
      .dump();
}

Hello Hello::read(const JsonObject& object) {
  Hello hello;
  // Protocol and version first: what follows may be another version's and is then not worth a complaint.
  hello.protocol = whole(object, "protocol", most_small);
  hello.version = object.text("version");
  if (hello.protocol != rdma::protocol) return hello;
  for (const auto& [key, value] : object.at("settings").object().entries())
    hello.settings[key] = value.text();
  hello.host = object.text("host");
  hello.device = object.text("device");
  hello.gid = read_gid(object.at("gid").object());
  hello.active_mtu = whole(object, "active_mtu", most_mtu);
  hello.rate_gbps = object.number("rate_gbps", {0});
  hello.gpu = object.boolean("gpu");
  return hello;
}

std::string disagreement(const Hello& client, const Hello& server) {
  if (client.protocol != server.protocol || client.version != server.version)
    return fmt::format("versions differ: {} (protocol {}) at the client, {} (protocol {}) at the server",
                       client.version, client.protocol, server.version, server.protocol);
  if (const std::string settings = disagreement(client.settings, server.settings); !settings.empty())
    return "settings differ: " + settings;
  return gid_mismatch(client.gid, server.gid);
}

std::string BlockRequest::write() const {
  return Json{{"type", "block"},
              {"op", name(block.operation)},
              {"test", name(block.test)},
              {"qps", block.qps},
              {"both_ways", block.both_ways},
              {"gpu", block.gpu},
              {"largest", block.sizes.at(0)},
              {"tx_depth", tx_depth},
              {"rx_depth", rx_depth},
              {"inline_bytes", inline_bytes},
              {"inline_given", inline_given},
              {"cq_moderation", cq_moderation},
              {"mtu", mtu},
              {"sl", service_level},
              {"tclass", traffic_class},
              {"qp_timeout", qp_timeout},
              {"patience", patience_seconds}}
      .dump();
}

BlockRequest BlockRequest::read(const JsonObject& object) {
  BlockRequest request;
  constexpr double most_bytes = 1 << 30, most_class = 255, most_patience = 3600;
  request.block.operation = known(object, "op", operation_named(object.text("op")));
  request.block.test = known(object, "test", test_named(object.text("test")));
  request.block.qps = whole(object, "qps", most_queue_pairs);
  request.block.both_ways = object.boolean("both_ways");
  request.block.gpu = object.boolean("gpu");
  request.block.sizes = {object.integer("largest", {1, most_bytes})};
  request.tx_depth = whole(object, "tx_depth", most_small);
  request.rx_depth = whole(object, "rx_depth", most_small);
  request.inline_bytes = whole(object, "inline_bytes", most_small);
  request.inline_given = object.boolean("inline_given");
  request.cq_moderation = whole(object, "cq_moderation", most_small);
  request.mtu = whole(object, "mtu", most_mtu);
  request.service_level = whole(object, "sl", most_class);
  request.traffic_class = whole(object, "tclass", most_class);
  request.qp_timeout = whole(object, "qp_timeout", most_class);
  request.patience_seconds = object.number("patience", {0, most_patience});
  return request;
}

std::string Endpoint::write() const {
  return Json{{"type", "endpoint"},
              {"numbers", numbers},
              {"first_packets", first_packets},
              {"lid", lid},
              {"key", key},
              {"supply", hex(supply_address)},
              {"intake", hex(intake_address)},
              {"slot", hex(slot_bytes)}}
      .dump();
}

Endpoint Endpoint::read(const JsonObject& object) {
  Endpoint endpoint;
  constexpr double most_lid = 0xffff, most_key = 0xffffffff;
  endpoint.numbers = rdma::numbers(object, "numbers");
  endpoint.first_packets = rdma::numbers(object, "first_packets");
  endpoint.lid = static_cast<std::uint32_t>(object.integer("lid", {0, most_lid}));
  endpoint.key = static_cast<std::uint32_t>(object.integer("key", {0, most_key}));
  endpoint.supply_address = from_hex(object.at("supply"));
  endpoint.intake_address = from_hex(object.at("intake"));
  endpoint.slot_bytes = from_hex(object.at("slot"));
  return endpoint;
}

std::string PointRequest::write() const {
  return Json{{"type", "point"},
              {"bytes", bytes},
              {"iterations", iterations},
              {"seconds", seconds},
              {"seed", hex(seed)}}
      .dump();
}

PointRequest PointRequest::read(const JsonObject& object) {
  constexpr double most_bytes = 1 << 30, most_iterations = 1e12, most_seconds = 3600;
  PointRequest request;
  request.bytes = object.integer("bytes", {1, most_bytes});
  request.iterations = object.integer("iterations", {1, most_iterations});
  request.seconds = object.number("seconds", {0, most_seconds});
  request.seed = from_hex(object.at("seed"));
  return request;
}

std::string PointResult::write() const {
  std::vector<std::string> texts;
  for (const std::uint64_t sum : sums) texts.push_back(hex(sum));
  return Json{{"type", "result"},
              {"messages", messages},
              {"seconds", seconds},
              {"best_rate", best_rate},
              {"sums", texts}}
      .dump();
}

PointResult PointResult::read(const JsonObject& object) {
  PointResult result;
  result.messages = object.number("messages", {0});
  result.seconds = object.number("seconds", {0});
  result.best_rate = object.number("best_rate", {0});
  for (const JsonValue& sum : object.at("sums").array()) result.sums.push_back(from_hex(sum));
  return result;
}

}  // namespace sextant::rdma
