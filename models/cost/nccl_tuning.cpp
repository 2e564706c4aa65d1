#include "models/cost/nccl_tuning.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

constexpr auto shipped_path = "calibrate/profiles/nccl-tuning.json";
constexpr std::array algorithm_names = {"ring", "tree", "nvls", "nvls_tree", "pat"};
constexpr std::array protocol_names = {"ll", "ll128", "simple"};
constexpr Range not_negative{0, 1e6};
constexpr Range share_range{0, 1};
const std::vector<std::string> vendors = {"amd", "intel", "other"};

ProtocolTimes read_times(const JsonValue& value) {
  const std::vector<JsonValue> items = value.array();
  if (items.size() != protocol_count)
    value.fail(
        fmt::format("found {} values, expected {}, for LL, LL128 and Simple", items.size(), protocol_count));
  ProtocolTimes times;
  for (std::size_t p = 0; p < protocol_count; ++p)
    if (!items[p].is_null()) times[p] = items[p].number(not_negative);
  return times;
}

void read_algorithms(const JsonObject& object, std::array<ProtocolTimes, algorithm_count>& times) {
  for (std::size_t a = 0; a < algorithm_count; ++a) times[a] = read_times(object.at(algorithm_names[a]));
  object.finish();
}

ByNodes read_by_nodes(const JsonValue& value) {
  const std::vector<double> numbers = value.numbers(not_negative);
  ByNodes result{};
  if (numbers.size() != result.size())
    value.fail(fmt::format("found {} values, expected 3, for 1, 2, and 3 or more nodes", numbers.size()));
  std::copy(numbers.begin(), numbers.end(), result.begin());
  return result;
}

NcclGeneration read_generation(const std::string& name, const JsonObject& object) {
  NcclGeneration generation;
  generation.name = name;
  generation.from_compute_capability = object.number("from_compute_capability", not_negative);
  generation.ll = read_by_nodes(object.at("ll_gbps"));
  generation.ring_ll128_channel = read_by_nodes(object.at("ring_ll128_channel_gbps"));
  generation.tree_ll128_channel = read_by_nodes(object.at("tree_ll128_channel_gbps"));
  generation.tree_channel = read_by_nodes(object.at("tree_channel_gbps"));
  generation.nvls_tree_channel = read_by_nodes(object.at("nvls_tree_channel_gbps"));
  generation.nvls_efficiency = object.number("nvls_efficiency", share_range);
  generation.nvlink_share = object.number("nvlink_share", share_range);
  generation.ring_simple_network_factor = positive(object.at("ring_simple_network_factor"));
  object.finish();
  return generation;
}

void read_generations(const JsonObject& object, NcclTuning& tuning) {
  object.text("source");
  for (const auto& [name, value] : object.entries())
    if (name != "source") tuning.generations.push_back(read_generation(name, value.object()));
  std::sort(tuning.generations.begin(), tuning.generations.end(), [](const auto& a, const auto& b) {
    return a.from_compute_capability < b.from_compute_capability;
  });
  if (tuning.generations.empty() || tuning.generations.front().from_compute_capability != 0)
    object.fail("found no generation from compute capability 0, expected one, so that every GPU has its row");
}

void read_latencies(const JsonObject& object, NcclTuning& tuning) {
  const JsonObject base = object.at("base_us").object(), hardware = object.at("hardware_us").object();
  base.text("source");
  read_algorithms(base, tuning.base_us);
  hardware.text("source");
  read_algorithms(hardware.at("nvlink").object(), tuning.nvlink_us);
  read_algorithms(hardware.at("pci").object(), tuning.pci_us);
  read_algorithms(hardware.at("network").object(), tuning.network_us);
  hardware.finish();
  const JsonObject pat = object.at("pat_latency").object();
  pat.text("source");
  tuning.pat_network_divisor = positive(pat.at("network_divisor"));
  tuning.pat_rank_us = pat.number("rank_us", not_negative);
  pat.finish();
}

void read_vendors(const JsonObject& object, NcclTuning& tuning) {
  std::vector<std::string> names;
  for (const NcclGeneration& generation : tuning.generations) names.push_back(generation.name);
  const JsonObject rows = object.at("ll_between_nodes").object();
  rows.text("source");
  for (const std::string& vendor : vendors)
    tuning.ll_between_nodes[vendor] = names[rows.choice(vendor, names)];
  rows.finish();
  const JsonObject overhead = object.at("network_overhead_us").object();
  overhead.text("source");
  for (const std::string& vendor : vendors)
    tuning.network_overhead_us[vendor] = overhead.number(vendor, not_negative);
  tuning.simple_overhead_factor = positive(overhead.at("simple_factor"));
  overhead.finish();
}

void read_bandwidth(const JsonObject& object, NcclTuning& tuning) {
  object.text("source");
  tuning.ring_ll_share = object.number("ring_ll", share_range);
  tuning.ring_ll128_share = object.number("ring_ll128", share_range);
  tuning.tree_share = object.number("tree", share_range);
  tuning.tree_ll_divisor = positive(object.at("tree_ll_divisor"));
  tuning.tree_ll128_one_node_share = object.number("tree_ll128_one_node", share_range);
  tuning.tree_ll128_share = object.number("tree_ll128", share_range);
  tuning.pat_share = object.number("pat", share_range);
  object.finish();
}

void read_tree_correction(const JsonObject& object, NcclTuning& tuning) {
  object.text("source");
  tuning.tree_correction_bytes = positive(object.at("first_bytes"));
  for (std::size_t p = 0; p < protocol_count; ++p) {
    tuning.tree_correction[p] = object.at(protocol_names[p]).numbers(share_range);
    if (tuning.tree_correction[p].empty())
      object.at(protocol_names[p]).fail("found no factors, expected one or more");
  }
  object.finish();
}

std::map<std::string, int> read_channels(const JsonObject& object) {
  std::map<std::string, int> channels;
  for (const char* link : {"nvlink", "pcie", "network"})
    channels[link] = static_cast<int>(object.integer(link, {1, 64}));
  object.finish();
  return channels;
}

void read_send_receive(const JsonObject& object, NcclTuning& tuning) {
  object.text("source");
  tuning.send_ll_bytes_per_channel = positive(object.at("ll_bytes_per_channel"));
  tuning.send_channels = read_channels(object.at("channels").object());
  object.finish();
}

}  // namespace

std::string to_string(Algorithm algorithm) {
  return algorithm_names[static_cast<std::size_t>(algorithm)];
}

std::string to_string(Protocol protocol) {
  return protocol_names[static_cast<std::size_t>(protocol)];
}

Protocol protocol_named(const std::string& name) {
  const auto found = std::find(protocol_names.begin(), protocol_names.end(), name);
  if (found == protocol_names.end())
    throw InputError(
        fmt::format("found protocol '{}', expected one of {}", name, fmt::join(protocol_names, ", ")));
  return static_cast<Protocol>(found - protocol_names.begin());
}

const NcclGeneration& NcclTuning::generation(double compute_capability) const {
  const NcclGeneration* found = &generations.front();
  for (const NcclGeneration& candidate : generations)
    if (compute_capability >= candidate.from_compute_capability) found = &candidate;
  return *found;
}

NcclTuning read_nccl_tuning(const JsonValue& value) {
  const JsonObject object = value.object();
  expect_format(object, "sextant nccl tuning", 1);
  object.text("provenance");
  NcclTuning tuning;
  read_latencies(object, tuning);
  read_generations(object.at("generations").object(), tuning);
  read_vendors(object, tuning);
  read_bandwidth(object.at("bandwidth").object(), tuning);
  read_tree_correction(object.at("tree_correction").object(), tuning);
  const JsonObject least = object.at("ring_simple_network_bytes").object();
  least.text("source");
  tuning.ring_simple_network_bytes = least.number("value", {0});
  least.finish();
  const JsonObject one_channel = object.at("one_channel_ll_bytes").object();
  one_channel.text("source");
  tuning.one_channel_ll_bytes = positive(one_channel.at("value"));
  one_channel.finish();
  read_send_receive(object.at("send_receive").object(), tuning);
  const JsonObject channels = object.at("channels").object();
  channels.text("source");
  tuning.channels = read_channels(channels);
  object.finish();
  return tuning;
}

NcclTuning shipped_nccl_tuning() {
  static const NcclTuning tuning = [] {
    const auto files = embedded_files(shipped_path);
    if (files.empty()) throw InputError(fmt::format("found no embedded file {}", shipped_path));
    return read_nccl_tuning(JsonValue::parse(files.front().content, shipped_path));
  }();
  return tuning;
}

double compute_capability_number(const std::string& text) {
  const std::size_t dot = text.find('.');
  int major = 0, minor = 0;
  const auto whole = [&](std::size_t from, std::size_t to, int& number) {
    const char *begin = text.data() + from, *end = text.data() + to;
    const auto [stop, problem] = std::from_chars(begin, end, number);
    return problem == std::errc() && stop == end;
  };
  if (dot == std::string::npos || !whole(0, dot, major) || !whole(dot + 1, text.size(), minor))
    throw InputError(fmt::format("compute capability: found '{}', expected major.minor", text));
  return 10.0 * major + minor;
}

}  // namespace sextant
