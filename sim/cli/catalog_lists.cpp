#include <fmt/core.h>

#include <functional>
#include <map>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "models/llm/memory.hpp"
#include "reports/number_text.hpp"
#include "reports/table.hpp"
#include "sim/cli/catalog_profiles.hpp"
#include "sim/cli/catalog_text.hpp"

namespace sextant {
namespace {

using Align = Table::Align;

constexpr double kibibyte = 1024, mebibyte = 1024 * 1024;
constexpr std::int64_t vllm_block_tokens = 16;

std::string figure_text(const std::optional<Figure>& figure) {
  return figure ? number_text(figure->value) : "";
}

std::string rate_text(const std::map<std::string, Figure>& rates, const std::string& type) {
  const auto found = rates.find(type);
  return found == rates.end() ? "" : number_text(found->second.value);
}

/// "1", "1+6w", "1+5s".
std::string groups_text(const KvPool& pool) {
  std::string text = std::to_string(pool.full_groups);
  for (const KvPool::Window& window : pool.windows) text += fmt::format("+{}w", window.groups);
  if (pool.state_groups > 0) text += fmt::format("+{}s", pool.state_groups);
  return text;
}

std::string list_models(TextStyle style) {
  Table table({{"model", Align::left, true},
               {"all\n10^9"},
               {"active\n10^9"},
               {"layers"},
               {"longest"},
               {"KV\nKiB"},
               {"sliding\nKiB"},
               {"state\nMiB"},
               {"KV\ngroups"}});
  for (const std::string& name : model_names()) {
    const Architecture model = find_model(name).architecture;
    const SequenceCache cache =
        sequence_cache(model, kv_format("bf16"), {{0, model.layer_count()}, 1, true, true});
    const KvPool pool = kv_pool(model, kv_format("bf16"), 1, vllm_block_tokens);
    double sliding = 0;
    for (const SequenceCache::Window& window : cache.windows) sliding += window.bytes_per_token;
    table.add({name, number_text(static_cast<double>(model.parameters()) / 1e9),
               number_text(static_cast<double>(model.active_parameters()) / 1e9),
               std::to_string(model.layer_count()), count_text(model.max_position),
               number_text(cache.bytes_per_token / kibibyte),
               sliding > 0 ? number_text(sliding / kibibyte) : "",
               cache.state > 0 ? number_text(cache.state / mebibyte) : "", groups_text(pool)});
  }
  return table.text(style) +
         "  all: parameters; active: those that a token meets; longest: context in tokens. KV in 16 bit, "
         "all\n"
         "  layers, tp 1, for each token: of layers that keep every token, and of those that slide (keep a\n"
         "  window); state of each sequence. KV groups share vLLM's pool of blocks: layers that keep every\n"
         "  token, and + those that slide (w) or keep a state (s)\n";
}

std::string list_gpus(TextStyle style) {
  Table table({{"GPU", Align::left, true},
               {"memory\nGB"},
               {"memory\nGB/s"},
               {"bf16\nTFLOPS"},
               {"fp8\nTFLOPS"},
               {"fp4\nTFLOPS"},
               {"PCIe", Align::left},
               {"NVLink\nGB/s"},
               {"power\nW"}});
  for (const Gpu& gpu : hardware_catalogue().gpus)
    table.add({gpu.name, gigabytes_text(gpu.memory_bytes.value), figure_text(gpu.memory_gbps),
               rate_text(gpu.dense_tflops, "bf16"), rate_text(gpu.dense_tflops, "fp8"),
               rate_text(gpu.dense_tflops, "fp4"),
               gpu.pcie_generation > 0 ? fmt::format("{}.0 x{}", gpu.pcie_generation, gpu.pcie_lanes) : "",
               figure_text(gpu.nvlink_gbps), figure_text(gpu.power_watts)});
  return table.text(style) +
         "  GB = 10^9 bytes as the driver reports them; TFLOPS dense; NVLink GB/s each way\n";
}

std::string list_nics(TextStyle style) {
  Table table({{"NIC", Align::left, true},
               {"Gbit/s"},
               {"ports"},
               {"PCIe", Align::left},
               {"name", Align::left, true}});
  for (const Nic& nic : hardware_catalogue().nics)
    table.add({nic.name, number_text(nic.rate_gbits.value), std::to_string(nic.ports),
               nic.pcie_generation > 0 ? fmt::format("{}.0 x{}", nic.pcie_generation, nic.pcie_lanes) : "",
               nic.full_name});
  return table.text(style);
}

std::string list_switches(TextStyle style) {
  Table table({{"switch", Align::left, true},
               {"Gbit/s"},
               {"latency\nus"},
               {"power\nW"},
               {"name", Align::left, true}});
  for (const Switch& part : hardware_catalogue().switches)
    table.add({part.name, number_text(part.capacity_gbits.value), figure_text(part.latency_us),
               figure_text(part.power_watts), part.full_name});
  return table.text(style);
}

std::string list_nodes(TextStyle style) {
  Table table({{"node", Align::left, true},
               {"GPUs\nat most"},
               {"joined by", Align::left},
               {"description", Align::left, true}});
  for (const NodeType& node : hardware_catalogue().node_types)
    table.add({node.name, std::to_string(node.max_gpus), node.gpu_link, node.description});
  return table.text(style);
}

const std::map<std::string, std::function<std::string(TextStyle)>>& lists() {
  static const std::map<std::string, std::function<std::string(TextStyle)>> all = {
      {"models", list_models},     {"gpus", list_gpus},   {"nics", list_nics},
      {"switches", list_switches}, {"nodes", list_nodes}, {"profiles", list_profiles}};
  return all;
}

}  // namespace

std::vector<std::string> catalog_kinds() {
  return {"models", "gpus", "nics", "switches", "nodes", "profiles"};
}

std::string catalog_list(const std::string& kind, TextStyle style) {
  return lists().at(kind)(style);
}

}  // namespace sextant
