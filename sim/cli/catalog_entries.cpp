#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "reports/number_text.hpp"
#include "reports/terminal.hpp"
#include "sim/cli/catalog_profiles.hpp"
#include "sim/cli/catalog_text.hpp"

namespace sextant {
namespace {

/// An entry as lines: a title, plain fields, figures with grade and source, notes.
class EntryText {
 public:
  EntryText(const std::string& name, const std::string& full_name, TextStyle style) : style_(style) {
    text_ = paint(printable(name), Tone::strong, style) +
            (full_name.empty() ? "" : "  " + printable(full_name)) + "\n";
  }
  void field(const std::string& label, const std::string& value) {
    if (!value.empty()) text_ += wrapped(value, fmt::format("  {:<26}", label), style_.width);
  }
  void figure(const std::string& label, const Figure& figure, const std::string& value) {
    field(label, fmt::format("{}, {}", value, to_string(figure.grade)));
    text_ += wrapped("source: " + figure.source, "      ", style_.width);
    if (!figure.note.empty()) text_ += wrapped("note: " + figure.note, "      ", style_.width);
  }
  void figure(const std::string& label, const std::optional<Figure>& figure_or_none,
              const std::string& unit) {
    if (figure_or_none)
      figure(label, *figure_or_none, number_text(figure_or_none->value) + (unit.empty() ? "" : " ") + unit);
  }
  void prices(const std::vector<Price>& prices) {
    for (const Price& price : prices)
      field("price", fmt::format("{} {}, {}: {}", number_text(price.amount), price.currency, price.date,
                                 price.source));
  }
  std::string text() const { return text_; }

 private:
  TextStyle style_;
  std::string text_;
};

std::string pcie_text(int generation, int lanes) {
  if (generation == 0) return "";
  return fmt::format("{}.0 x{}, {} GB/s each way", generation, lanes,
                     number_text(pcie_gbps(generation, lanes)));
}

std::string memory_text(double bytes) {
  constexpr double gibibyte = 1024.0 * 1024.0 * 1024.0;
  return fmt::format("{} GB ({:.1f} GiB)", gigabytes_text(bytes), bytes / gibibyte);
}

std::string gpu_entry(const Gpu& gpu, TextStyle style) {
  EntryText entry(gpu.name, gpu.full_name, style);
  entry.figure("memory", gpu.memory_bytes, memory_text(gpu.memory_bytes.value));
  entry.figure("memory rate", gpu.memory_gbps, "GB/s");
  for (const auto& [type, rate] : gpu.dense_tflops)
    entry.figure(type + ", dense", std::optional(rate), "TFLOPS");
  for (const auto& [type, rate] : gpu.sparse_tflops)
    entry.figure(type + ", sparse", std::optional(rate), "TFLOPS");
  entry.figure("multiprocessors", gpu.streaming_multiprocessors, "");
  if (gpu.l2_bytes)
    entry.figure("L2 cache", *gpu.l2_bytes,
                 fmt::format("{:.1f} MiB", gpu.l2_bytes->value / (1024.0 * 1024.0)));
  entry.figure("power limit", gpu.power_watts, "W");
  entry.figure("lowest limit", gpu.lowest_power_watts, "W");
  entry.figure("highest limit", gpu.highest_power_watts, "W");
  entry.figure("highest clock", gpu.highest_clock_mhz, "MHz");
  entry.field("compute capability", gpu.compute_capability);
  entry.field("PCIe", pcie_text(gpu.pcie_generation, gpu.pcie_lanes));
  entry.figure("NVLink, each way", gpu.nvlink_gbps, "GB/s");
  entry.field("GPUDirect RDMA", gpu.gpudirect_rdma ? "yes" : "no");
  entry.prices(gpu.prices);
  for (const std::string& note : gpu.notes) entry.field("note", note);
  for (const std::string& source : gpu.sources) entry.field("source", source);
  return entry.text();
}

std::string nic_entry(const Nic& nic, TextStyle style) {
  EntryText entry(nic.name, nic.full_name, style);
  entry.figure("rate, all ports", std::optional(nic.rate_gbits), "Gbit/s");
  entry.field("ports", std::to_string(nic.ports));
  entry.field("PCIe", pcie_text(nic.pcie_generation, nic.pcie_lanes));
  entry.prices(nic.prices);
  return entry.text();
}

std::string switch_entry(const Switch& part, TextStyle style) {
  EntryText entry(part.name, part.full_name, style);
  entry.figure("capacity, one direction", std::optional(part.capacity_gbits), "Gbit/s");
  entry.figure("latency", part.latency_us, "us");
  entry.figure("power", part.power_watts, "W");
  entry.prices(part.prices);
  return entry.text();
}

std::string node_entry(const NodeType& node, TextStyle style) {
  EntryText entry(node.name, node.description, style);
  entry.field("GPUs at most", std::to_string(node.max_gpus));
  entry.field("GPUs joined by", node.gpu_link);
  if (node.gpu_link == "pcie")
    entry.field("peer to peer", node.peer_to_peer ? "yes" : "no, through host memory");
  entry.field("PCIe", pcie_text(node.pcie_generation, node.pcie_lanes));
  entry.field("source", node.source);
  return entry.text();
}

std::string mixer_text(const std::monostate&) {
  return "no attention";
}

std::string mixer_text(const GroupedQueryAttention& attention) {
  std::string text = fmt::format("{} heads, {} key/value heads of {}", attention.heads, attention.kv_heads,
                                 attention.head_dim);
  if (attention.window) text += fmt::format(", window of {} tokens", count_text(*attention.window));
  if (attention.chunk) text += fmt::format(", chunks of {} tokens", count_text(*attention.chunk));
  return text;
}

std::string mixer_text(const LatentAttention& attention) {
  return fmt::format("latent attention, {} heads, {} + {} values cached", attention.heads, attention.kv_rank,
                     attention.rope_dim);
}

std::string mixer_text(const Mamba2& mamba) {
  return fmt::format("Mamba-2, {} heads of {}, state of {}", mamba.heads, mamba.head_dim, mamba.state);
}

std::string mixer_text(const SquareMatrix&) {
  return "one matrix";
}

std::string forward_text(const std::monostate&) {
  return "no MLP";
}

std::string forward_text(const GatedMlp& mlp) {
  return fmt::format("gated MLP of {}", count_text(mlp.intermediate));
}

std::string forward_text(const PlainMlp& mlp) {
  return fmt::format("MLP of {}", count_text(mlp.intermediate));
}

std::string forward_text(const SquareMatrix&) {
  return "one matrix";
}

std::string forward_text(const MixtureOfExperts& moe) {
  std::string text =
      fmt::format("{} of {} experts of {}", moe.experts_per_token, moe.experts, count_text(moe.intermediate));
  if (moe.latent > 0) text += fmt::format(" in {} values", count_text(moe.latent));
  if (moe.shared_intermediate > 0)
    text += fmt::format(", shared one of {}", count_text(moe.shared_intermediate));
  return text;
}

/// A layer's two parts; of one that has only one, that one.
std::string layer_text(const LayerKind& kind) {
  const std::string mixer = std::visit([](const auto& part) { return mixer_text(part); }, kind.mixer);
  const std::string forward =
      std::visit([](const auto& part) { return forward_text(part); }, kind.feed_forward);
  const bool mixes = !std::holds_alternative<std::monostate>(kind.mixer);
  const bool feeds = !std::holds_alternative<std::monostate>(kind.feed_forward);
  if (mixes == feeds) return mixes ? fmt::format("{}; {}", mixer, forward) : "nothing";
  return mixes ? mixer : forward;
}

std::string model_entry(const ModelEntry& model, TextStyle style) {
  const Architecture& a = model.architecture;
  EntryText entry(a.name, model.hugging_face_id, style);
  entry.field("architecture", a.family);
  entry.field("parameters", count_text(a.parameters()));
  if (model.published_parameters > 0) entry.field("as published", number_text(model.published_parameters));
  entry.field("layers", std::to_string(a.layer_count()));
  for (std::size_t k = 0; k < a.kinds.size(); ++k) {
    const auto of_kind = std::count(a.layers.begin(), a.layers.end(), static_cast<int>(k));
    entry.field("", fmt::format("{} x {}", of_kind, layer_text(a.kinds[k])));
  }
  entry.field("hidden", count_text(a.hidden));
  entry.field("vocabulary",
              count_text(a.vocabulary) + (a.tied_embedding ? ", head tied to the embedding" : ""));
  entry.field("longest context", count_text(a.max_position) + " tokens");
  entry.field("config.json", model.config_source);
  for (const ModelEntry::Checkpoint& checkpoint : model.checkpoints)
    entry.field("checkpoint " + checkpoint.weights,
                fmt::format("{} GB: {}", gigabytes_text(checkpoint.bytes), checkpoint.source));
  return entry.text();
}

}  // namespace

std::string catalog_entry(const std::string& kind, const std::string& name, TextStyle style) {
  if (kind == "models") return model_entry(find_model(name), style);
  if (kind == "gpus") return gpu_entry(find_gpu(name), style);
  if (kind == "nics") return nic_entry(find_nic(name), style);
  if (kind == "switches") return switch_entry(find_switch(name), style);
  if (kind == "nodes") return node_entry(find_node_type(name), style);
  return profile_entry(name, style);
}

}  // namespace sextant
