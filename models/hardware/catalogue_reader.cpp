#include "models/hardware/catalogue_reader.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sextant {
namespace {

// Wide enough for parts of this decade, narrow enough to catch a slip in the unit.
constexpr Range memory_mib{1 << 10, 1 << 22};
constexpr Range bandwidths{1, 1e5};     // 10^9 B/s
constexpr Range arithmetic{1, 1e6};     // 10^12 FLOP/s
constexpr Range network_rates{1, 1e6};  // Gbit/s
constexpr Range watts{1, 1e5};
constexpr Range clocks{100, 1e4};   // MHz
constexpr Range latencies{0, 100};  // microseconds
constexpr Range generations{0, 6};
constexpr Range lane_counts{0, 16};
const std::vector<std::string> form_factors = {"pcie", "sxm", "superchip", "soc"};

std::string choice(const JsonObject& object, std::string_view key, const std::vector<std::string>& choices) {
  return choices[object.choice(key, choices)];
}

std::optional<Figure> find_figure(const JsonObject& object, std::string_view key, Range range) {
  const auto found = object.find(key);
  if (!found) return std::nullopt;
  return read_figure(*found, range);
}

std::map<std::string, Figure> read_rates(const JsonValue& value) {
  const JsonObject object = value.object();
  std::map<std::string, Figure> rates;
  for (const char* type : {"bf16", "fp16", "fp8", "int8", "fp4"})
    if (const auto found = find_figure(object, type, arithmetic)) rates.emplace(type, *found);
  object.finish();
  return rates;
}

std::vector<Price> read_prices(const JsonValue& value) {
  std::vector<Price> prices;
  for (const JsonValue& item : value.array()) {
    const JsonObject object = item.object();
    prices.push_back({object.number("amount", {1, 1e8}), choice(object, "currency", {"USD", "EUR"}),
                      object.text("date"), object.text("source")});
    object.finish();
  }
  return prices;
}

std::vector<std::string> read_texts(const JsonValue& value) {
  std::vector<std::string> texts;
  for (const JsonValue& item : value.array()) texts.push_back(item.text());
  return texts;
}

template <class Part>
void read_pcie(const JsonObject& object, Part& part) {
  part.pcie_generation = static_cast<int>(object.integer("pcie_generation", generations));
  part.pcie_lanes = static_cast<int>(object.integer("pcie_lanes", lane_counts));
  if ((part.pcie_generation == 0) != (part.pcie_lanes == 0))
    object.fail("found only one of pcie_generation and pcie_lanes at 0, expected both or neither");
}

}  // namespace

Gpu read_gpu(const JsonValue& value) {
  const JsonObject object = value.object();
  Gpu gpu;
  gpu.name = object.text("name");
  gpu.full_name = object.text("full_name");
  gpu.form_factor = choice(object, "form_factor", form_factors);
  gpu.memory_bytes = read_figure(object.at("memory_mib"), memory_mib);
  gpu.memory_bytes.value *= 1 << 20;
  gpu.memory_gbps = find_figure(object, "memory_gbps", bandwidths);
  gpu.dense_tflops = read_rates(object.at("dense_tflops"));
  if (const auto sparse = object.find("sparse_tflops")) gpu.sparse_tflops = read_rates(*sparse);
  gpu.streaming_multiprocessors = find_figure(object, "streaming_multiprocessors", {1, 1024});
  gpu.l2_bytes = find_figure(object, "l2_bytes", {1 << 20, 1 << 30});
  gpu.power_watts = find_figure(object, "power_watts", watts);
  gpu.lowest_power_watts = find_figure(object, "lowest_power_watts", watts);
  gpu.highest_power_watts = find_figure(object, "highest_power_watts", watts);
  gpu.highest_clock_mhz = find_figure(object, "highest_clock_mhz", clocks);
  gpu.compute_capability = object.text("compute_capability");
  read_pcie(object, gpu);
  gpu.nvlink_gbps = find_figure(object, "nvlink_gbps", bandwidths);
  gpu.host_gbps = find_figure(object, "host_gbps", bandwidths);
  gpu.gpudirect_rdma = object.boolean_or("gpudirect_rdma", true);
  gpu.prices = read_prices(object.at("prices"));
  gpu.notes = read_texts(object.at("notes"));
  gpu.sources = read_texts(object.at("sources"));
  object.finish();
  const bool limits = gpu.power_watts && gpu.lowest_power_watts && gpu.highest_power_watts;
  if (!limits && (gpu.lowest_power_watts || gpu.highest_power_watts))
    object.fail("expected lowest_power_watts, power_watts and highest_power_watts together");
  if (limits && (gpu.lowest_power_watts->value > gpu.power_watts->value ||
                 gpu.power_watts->value > gpu.highest_power_watts->value))
    object.fail("expected lowest_power_watts <= power_watts <= highest_power_watts");
  if ((gpu.pcie_generation == 0) != gpu.host_gbps.has_value())
    object.fail("expected either a pcie link or host_gbps, so that the gpu reaches its host one way");
  if ((gpu.form_factor == "sxm" || gpu.form_factor == "superchip") && !gpu.nvlink_gbps)
    object.fail("expected nvlink_gbps, which every sxm gpu and superchip has");
  return gpu;
}

Nic read_nic(const JsonValue& value) {
  const JsonObject object = value.object();
  Nic nic;
  nic.name = object.text("name");
  nic.full_name = object.text("full_name");
  nic.rate_gbits = read_figure(object.at("rate_gbits"), network_rates);
  nic.ports = static_cast<int>(object.integer("ports", {1, 8}));
  read_pcie(object, nic);
  if (nic.pcie_generation == 0) object.fail("found no pcie link, expected one");
  if (const auto prices = object.find("prices")) nic.prices = read_prices(*prices);
  object.finish();
  return nic;
}

Switch read_switch(const JsonValue& value) {
  const JsonObject object = value.object();
  Switch result;
  result.name = object.text("name");
  result.full_name = object.text("full_name");
  result.capacity_gbits = read_figure(object.at("capacity_gbits"), network_rates);
  result.latency_us = find_figure(object, "latency_us", latencies);
  result.power_watts = find_figure(object, "power_watts", watts);
  if (const auto ports = object.find("ports")) {
    for (const JsonValue& item : ports->array()) {
      const JsonObject port = item.object();
      result.ports.push_back({port.number("gbits", network_rates),
                              static_cast<int>(port.integer("count", {1, 1024})),
                              static_cast<int>(port.integer_or("splits", 1, {1, 8}))});
      port.finish();
    }
  }
  result.prices = read_prices(object.at("prices"));
  object.finish();
  return result;
}

NodeType read_node_type(const JsonValue& value) {
  const JsonObject object = value.object();
  NodeType type;
  type.name = object.text("name");
  type.description = object.text("description");
  type.gpu_link = choice(object, "gpu_link", {"nvlink", "pcie"});
  for (const JsonValue& item : object.at("form_factors").array()) {
    const std::string word = item.text();
    if (std::find(form_factors.begin(), form_factors.end(), word) == form_factors.end())
      item.fail(fmt::format("found \"{}\", expected one of {}", word, fmt::join(form_factors, ", ")));
    type.form_factors.push_back(word);
  }
  type.peer_to_peer = object.boolean("peer_to_peer");
  type.max_gpus = static_cast<int>(object.integer("max_gpus", {1, 1024}));
  read_pcie(object, type);
  if (type.pcie_generation == 0) object.fail("found no pcie link, expected one");
  type.link_latency_us = read_figure(object.at("link_latency_us"), latencies);
  type.source = object.text("source");
  object.finish();
  return type;
}

}  // namespace sextant
