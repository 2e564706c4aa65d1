#include "models/profile/link_profile.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "models/profile/json_text.hpp"
#include "models/profile/profile_file.hpp"
#include "models/profile/ring_section.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
constexpr auto format_name = "sextant link profile";
constexpr std::int64_t format_version = 1;
constexpr int time_digits = 4;
constexpr int error_digits = 3;
const std::vector<std::string> link_classes = {"nvlink", "pcie", "roce", "ib", "tcp"};
const std::vector<std::string> implementations = {"nccl", "custom"};
const std::vector<std::string> operations = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"};

std::vector<double> positive_numbers(const JsonValue& value) {
  std::vector<double> numbers;
  for (const JsonValue& item : value.array()) numbers.push_back(positive(item));
  return numbers;
}

/// The curve's own keys; the caller finishes the object.
TransferCurve read_curve(const JsonObject& object) {
  TransferCurve curve;
  curve.grade = read_grade(object);
  curve.source = object.text("source");
  curve.bytes = positive_numbers(object.at("bytes"));
  curve.us = positive_numbers(object.at("us"));
  curve.spread = read_spread(object.at("spread"));
  if (const auto error = object.find("median_error")) curve.median_error = error->number({0});
  if (const auto error = object.find("p90_error")) curve.p90_error = error->number({0});
  if (curve.bytes.empty()) object.at("bytes").fail("found no sizes, expected one or more");
  if (curve.us.size() != curve.bytes.size())
    object.at("us").fail(
        fmt::format("found {} times, expected {}, one for each size", curve.us.size(), curve.bytes.size()));
  for (std::size_t i = 1; i < curve.bytes.size(); ++i)
    if (curve.bytes[i] <= curve.bytes[i - 1])
      object.at("bytes").fail(
          fmt::format("found {} after {}, expected sizes that increase", curve.bytes[i], curve.bytes[i - 1]));
  return curve;
}

TransferCurve read_curve(const JsonValue& value) {
  const JsonObject object = value.object();
  TransferCurve curve = read_curve(object);
  object.finish();
  return curve;
}

/// {"busbw_gbps": [low, high], "send_gbps": [low, high], "grade": ..., "source": ...}
HostRange read_hosts(const JsonValue& value) {
  const JsonObject object = value.object();
  HostRange hosts;
  const auto range = [&](const char* key, double& low, double& high) {
    const JsonValue given = object.at(key);
    const std::vector<double> ends = positive_numbers(given);
    if (ends.size() != 2)
      given.fail(fmt::format("found {} rates, expected the lowest and the highest", ends.size()));
    if (ends[0] > ends[1])
      given.fail(fmt::format("found {} to {}, expected the lowest rate and the highest", ends[0], ends[1]));
    low = ends[0];
    high = ends[1];
  };
  range("busbw_gbps", hosts.busbw_low, hosts.busbw_high);
  range("send_gbps", hosts.send_low, hosts.send_high);
  hosts.grade = read_grade(object);
  hosts.source = object.text("source");
  object.finish();
  return hosts;
}

CollectiveCurve read_collective(const JsonValue& value) {
  const JsonObject object = value.object();
  CollectiveCurve collective;
  collective.op = operations[object.choice("op", operations)];
  collective.ranks = static_cast<int>(object.integer("ranks", {2, 1e6}));
  if (object.has("impl")) collective.impl = implementations[object.choice("impl", implementations)];
  if (const auto nvls = object.find("nvls_from")) collective.nvls_from = positive(*nvls);
  collective.curve = read_curve(object);
  object.finish();
  return collective;
}

void append_curve(Json& json, const TransferCurve& curve) {
  json["grade"] = to_string(curve.grade);
  json["source"] = curve.source;
  json["spread"] = {rounded(curve.spread.low, time_digits), rounded(curve.spread.high, time_digits)};
  if (curve.median_error) json["median_error"] = rounded(*curve.median_error, error_digits);
  if (curve.p90_error) json["p90_error"] = rounded(*curve.p90_error, error_digits);
  json["bytes"] = curve.bytes;
  json["us"] = Json::array();
  for (const double us : curve.us) json["us"].push_back(rounded(us, time_digits));
}

const TransferCurve* find_curve(const LinkProfile& profile, const std::string& op, int ranks,
                                const std::string& impl) {
  for (const CollectiveCurve& item : profile.collectives)
    if (item.op == op && item.ranks == ranks && item.impl == impl) return &item.curve;
  return nullptr;
}

}  // namespace

double TransferCurve::time_us(double size) const {
  double floor = us.front();
  if (!(size > bytes.front())) return floor;
  for (std::size_t i = 1; i < bytes.size(); ++i) {
    const double next = std::max(floor, us[i]);
    if (size <= bytes[i]) {
      const double fraction = std::log(size / bytes[i - 1]) / std::log(bytes[i] / bytes[i - 1]);
      return floor * std::pow(next / floor, fraction);
    }
    floor = next;
  }
  return std::max(floor, us.back() * size / bytes.back());
}

const TransferCurve* LinkProfile::collective(const std::string& op, int ranks) const {
  return find_curve(*this, op, ranks, implementations.front());
}

const TransferCurve* LinkProfile::custom(const std::string& op, int ranks) const {
  return find_curve(*this, op, ranks, implementations.back());
}

bool link_operation(const std::string& op) {
  return std::find(operations.begin(), operations.end(), op) != operations.end();
}

LinkProfile by_nccl_alone(LinkProfile link) {
  std::erase_if(link.collectives,
                [](const CollectiveCurve& item) { return item.impl != implementations.front(); });
  return link;
}

LinkProfile through_host_memory(const LinkProfile& direct) {
  if (!direct.staged)
    throw InputError(
        fmt::format("link profile {} has no curve for transfers staged through host memory", direct.name));
  LinkProfile result = direct;
  result.send = *direct.staged;
  result.ring.reset();
  std::erase_if(result.collectives,
                [](const CollectiveCurve& item) { return item.impl != implementations.front(); });
  for (CollectiveCurve& collective : result.collectives) {
    const double steps = (collective.op == "all_reduce" ? 2 : 1) * (collective.ranks - 1);
    TransferCurve& curve = collective.curve;
    for (std::size_t i = 0; i < curve.bytes.size(); ++i) {
      const double part = curve.bytes[i] / collective.ranks;
      curve.us[i] += steps * std::max(0.0, direct.staged->time_us(part) - direct.send.time_us(part));
    }
    curve.grade = weakest(curve.grade, Grade::assumed);
    curve.source += "; each ring step staged through host memory";
  }
  return result;
}

LinkProfile read_link_profile(const JsonValue& value) {
  const JsonObject object = value.object();
  expect_format(object, format_name, format_version);
  LinkProfile profile;
  profile.name = object.text("name");
  profile.link = link_classes[object.choice("link", link_classes)];
  profile.provenance = object.text("provenance");
  profile.line_gbps = positive(object.at("line_gbps"));
  if (const auto mtu = object.find("mtu")) profile.mtu = static_cast<int>(mtu->integer({256, 65536}));
  profile.send = read_curve(object.at("send"));
  if (const auto staged = object.find("staged")) profile.staged = read_curve(*staged);
  for (const JsonValue& item : object.at("collectives").array()) {
    CollectiveCurve collective = read_collective(item);
    if (find_curve(profile, collective.op, collective.ranks, collective.impl))
      item.fail(fmt::format("found {} of {} ranks twice, expected it once", collective.op, collective.ranks));
    profile.collectives.push_back(std::move(collective));
  }
  if (const auto ring = object.find("ring")) profile.ring = read_ring_model(*ring);
  if (const auto wait = object.find("rank_wait_us")) profile.rank_wait_us = read_figure(*wait, {0, 1e6});
  if (const auto hosts = object.find("hosts")) profile.hosts = read_hosts(*hosts);
  object.finish();
  return profile;
}

std::string write_link_profile(const LinkProfile& profile) {
  Json json;
  json["format"] = format_name;
  json["version"] = format_version;
  json["name"] = profile.name;
  json["link"] = profile.link;
  json["provenance"] = profile.provenance;
  json["line_gbps"] = profile.line_gbps;
  if (profile.mtu) json["mtu"] = *profile.mtu;
  append_curve(json["send"], profile.send);
  if (profile.staged) append_curve(json["staged"], *profile.staged);
  json["collectives"] = Json::array();
  for (const CollectiveCurve& collective : profile.collectives) {
    Json item;
    item["op"] = collective.op;
    item["ranks"] = collective.ranks;
    if (collective.impl != implementations.front()) item["impl"] = collective.impl;
    if (std::isfinite(collective.nvls_from)) item["nvls_from"] = collective.nvls_from;
    append_curve(item, collective.curve);
    json["collectives"].push_back(item);
  }
  if (profile.ring) json["ring"] = ring_model_json(*profile.ring);
  if (profile.rank_wait_us) {
    const Figure& wait = *profile.rank_wait_us;
    json["rank_wait_us"] = {{"value", wait.value}, {"grade", to_string(wait.grade)}, {"source", wait.source}};
    if (!wait.note.empty()) json["rank_wait_us"]["note"] = wait.note;
  }
  if (profile.hosts) {
    const HostRange& hosts = *profile.hosts;
    json["hosts"] = {{"busbw_gbps", {hosts.busbw_low, hosts.busbw_high}},
                     {"send_gbps", {hosts.send_low, hosts.send_high}},
                     {"grade", to_string(hosts.grade)},
                     {"source", hosts.source}};
  }
  return readable_json(json);
}

LinkProfile find_link_profile(const std::string& name) {
  return read_link_profile(profile_document("link", name));
}

}  // namespace sextant
