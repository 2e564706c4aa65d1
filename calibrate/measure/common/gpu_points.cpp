#include "calibrate/measure/common/gpu_points.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "calibrate/measure/common/gpu_shapes.hpp"
#include "calibrate/measure/common/grid.hpp"
#include "models/base/error.hpp"
#include "models/hardware/catalogue.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant::measure {
namespace {

using Rows = std::vector<MeasurementRow>;
using Counts = std::vector<std::int64_t>;

/// The choice of a depth.
template <class Value>
const Value& at(Depth depth, const Value& quick, const Value& standard, const Value& thorough) {
  return depth == Depth::quick ? quick : depth == Depth::standard ? standard : thorough;
}

Rows gemm_rows(Depth depth, const std::string& dtype) {
  const Counts quick = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 4096};
  const Counts standard = {1,   2,   4,   8,   16,   24,   32,   48,   64,   96,   128,  192,
                           256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 8192, 16384};
  const Counts thorough = {1,    2,    4,    8,    12,   16,   17,   24,   32,   33,    48,   64,
                           65,   80,   96,   112,  128,  129,  160,  192,  224,  256,   257,  320,
                           384,  448,  512,  513,  640,  768,  896,  1024, 1025, 1280,  1536, 1792,
                           2048, 2560, 3072, 3584, 4096, 4352, 5120, 6144, 8192, 12288, 16384};
  Rows rows;
  const bool main_type = dtype == "bf16" || dtype == "fp8";
  const std::vector<MatrixShape> shapes =
      catalogue_matrices(dtype == "bf16", !main_type && depth == Depth::quick);
  for (const MatrixShape& shape : shapes)
    for (const std::int64_t m : at(depth, quick, standard, thorough))
      rows.push_back(GemmRow{dtype, m, shape.outputs, shape.inputs, 0});
  constexpr std::int64_t least_width = 256, most_width = 32768, width_step = 128, most_tokens = 16384;
  const std::size_t extra =
      main_type ? at<std::size_t>(depth, 48, 400, 2000) : at<std::size_t>(depth, 8, 100, 500);
  for (std::size_t i = 0; i < extra; ++i) {
    const std::vector<double> share = halton(i, 3);
    rows.push_back(GemmRow{dtype, log_between(1, most_tokens, share[0], 1),
                           log_between(least_width, most_width, share[1], width_step),
                           log_between(least_width, most_width, share[2], width_step), 0});
  }
  return rows;
}

Rows decode_rows(Depth depth, const std::string& kv_dtype) {
  const Counts batches = at<Counts>(depth, {1, 8, 32, 128, 256}, {1, 2, 4, 8, 16, 32, 64, 128, 256},
                                    {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512});
  const Counts contexts = at<Counts>(
      depth, {128, 1024, 8192, 131072}, {128, 512, 1024, 2048, 4096, 8192, 32768, 131072},
      {16, 64, 128, 256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384, 32768, 65536, 131072});
  constexpr std::int64_t most_cached_values = std::int64_t{1} << 33;  // of a layer: 16 GiB in 16 bit
  Rows rows;
  for (const HeadShape& shape : catalogue_heads(depth == Depth::quick))
    for (const std::int64_t context : contexts)
      for (const std::int64_t batch : batches)
        if (2 * batch * context * shape.kv_heads * shape.head_dim <= most_cached_values)
          rows.push_back(AttentionDecodeRow{shape.heads, shape.kv_heads, shape.head_dim, batch, context,
                                            "bf16", kv_dtype, 0, 0});
  return rows;
}

Rows prefill_rows(Depth depth) {
  const Counts fresh =
      at<Counts>(depth, {128, 512, 2048, 8192}, {64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384},
                 {64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384, 32768});
  const Counts past = at<Counts>(depth, {0, 4096, 32768}, {0, 512, 2048, 8192, 32768, 122880},
                                 {0, 128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 122880});
  Rows rows;
  const auto add = [&](const HeadShape& shape, std::int64_t batch, std::int64_t new_tokens,
                       std::int64_t past_tokens) {
    rows.push_back(AttentionPrefillRow{shape.heads, shape.kv_heads, shape.head_dim, batch, new_tokens,
                                       past_tokens, "bf16", "bf16", 0, 0});
  };
  for (const HeadShape& shape : catalogue_heads(depth == Depth::quick)) {
    for (const std::int64_t new_tokens : fresh)
      for (const std::int64_t past_tokens : past)
        if (new_tokens * (past_tokens + new_tokens) * shape.heads <= std::int64_t{1} << 36)
          add(shape, 1, new_tokens, past_tokens);
    if (depth != Depth::quick)
      for (const std::int64_t batch : {4, 16}) add(shape, batch, 512, 0);
  }
  return rows;
}

Rows elementwise_rows(Depth depth) {
  const Counts tokens =
      at<Counts>(depth, {1, 16, 128, 1024, 8192}, {1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192},
                 {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384});
  constexpr std::int64_t most_values = std::int64_t{1} << 30;
  Rows rows;
  for (const ElementwiseWidth& item : elementwise_widths())
    for (const std::int64_t count : tokens)
      if (count * item.width <= most_values && (item.op != "sampling" || count <= 512))
        rows.push_back(ElementwiseRow{item.op, count, item.width, 0});
  return rows;
}

Rows launch_rows() {
  Rows rows;
  for (const char* op : {"launch_kernel", "graph_kernel", "graph_launch"})
    rows.push_back(ElementwiseRow{op, 1, 1, 0});
  return rows;
}

Rows copy_rows(Depth depth) {
  const std::int64_t factor = at<std::int64_t>(depth, 16, 4, 2);
  constexpr std::int64_t least = 4096, most = std::int64_t{1} << 30;
  Rows rows;
  for (const char* direction : {"d2d", "h2d", "d2h"})
    for (std::int64_t bytes = least; bytes <= most; bytes *= factor)
      rows.push_back(CopyRow{direction, static_cast<double>(bytes), 0});
  return rows;
}

Rows power_rows(Depth depth) {
  Rows rows;
  if (depth == Depth::quick) return rows;  // each takes seconds
  const auto add = [&](const std::string& work, const Counts& tokens) {
    for (const std::int64_t count : tokens) {
      PowerRow row;
      row.work = work;
      row.tokens = count;
      rows.push_back(row);
    }
  };
  add("idle", {0});
  add("gemm/bf16", {1, 16, 32, 64, 128, 256, 512, 2048, 8192});
  add("gemm/fp8", {1, 16, 32, 64, 128, 256, 512, 2048, 8192});
  add("moe/bf16", {1, 64, 512, 4096});
  add("attention_prefill", {1024, 8192});
  add("attention_decode/bf16", {2048});
  add("attention_decode/fp8", {2048});
  add("elementwise", {64, 8192});
  return rows;
}

struct Family {
  std::string name;
  std::function<Rows(Depth)> rows;
};

std::vector<Family> families() {
  std::vector<Family> list;
  for (const char* dtype : {"bf16", "fp8", "fp16", "int8", "nvfp4", "w4a16"})
    list.push_back({std::string("gemm/") + dtype, [dtype](Depth depth) { return gemm_rows(depth, dtype); }});
  for (const char* kv : {"bf16", "fp8"})
    list.push_back(
        {std::string("attention_decode/") + kv, [kv](Depth depth) { return decode_rows(depth, kv); }});
  list.push_back({"attention_prefill", prefill_rows});
  list.push_back({"moe/bf16", [](Depth depth) { return moe_rows(depth == Depth::quick); }});
  list.push_back({"elementwise", elementwise_rows});
  list.push_back({"launch", [](Depth) { return launch_rows(); }});
  list.push_back({"copy", copy_rows});
  list.push_back({"copy/pageable", copy_rows});
  list.push_back({"power", power_rows});
  return list;
}

bool wanted(const std::string& family, const std::vector<std::string>& asked) {
  return asked.empty() || std::any_of(asked.begin(), asked.end(), [&](const std::string& word) {
           return family == word || family.starts_with(word + "/");
         });
}

void check_known(const std::vector<std::string>& asked) {
  const std::vector<std::string> known = gpu_families();
  for (const std::string& word : asked)
    if (std::none_of(known.begin(), known.end(),
                     [&](const std::string& name) { return wanted(name, {word}); }))
      throw InputError(fmt::format("--families: found '{}', expected some of {}{}", word,
                                   fmt::join(known, ", "), did_you_mean(word, known)));
}

/// Setting up a point (heuristics, capture, first runs) and its least samples.
double point_seconds(const MeasurementRow& row, const RoughRates& rates) {
  constexpr double set_up = 0.006, sample = 0.0015, runs = 9;
  constexpr double plan_of_fused_attention = 0.15, load = 3.8;
  if (std::holds_alternative<PowerRow>(row)) return load;
  const bool prefill = std::holds_alternative<AttentionPrefillRow>(row);
  return set_up + (prefill ? plan_of_fused_attention : 0) +
         runs * std::max(sample, rough_seconds(row, rates));
}

}  // namespace

RoughRates rough_rates(const std::string& gpu) {
  for (const Gpu& entry : hardware_catalogue().gpus)
    if (entry.name == gpu && entry.memory_gbps && entry.dense_tflops.contains("bf16"))
      return {entry.dense_tflops.at("bf16").value, entry.memory_gbps->value};
  return {500, 2000};
}

double rough_seconds(const MeasurementRow& row, const RoughRates& rates) {
  constexpr double overhead = 3e-6, reached = 0.7;
  double flops = 0, bytes = 0;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  if (const auto* gemm = std::get_if<GemmRow>(&row)) {
    flops = 2 * real(gemm->m) * real(gemm->n) * real(gemm->k);
    bytes = (real(gemm->n) * real(gemm->k) + real(gemm->m) * real(gemm->k)) *
                element_bytes(gemm->dtype == "w4a16" ? "nvfp4" : gemm->dtype) +
            real(gemm->m) * real(gemm->n) * output_bytes;
  } else if (const auto* decode = std::get_if<AttentionDecodeRow>(&row)) {
    bytes = 2 * real(decode->batch) * real(decode->context) * real(decode->kv_heads) *
            real(decode->head_dim) * element_bytes(decode->kv_dtype);
  } else if (const auto* prefill = std::get_if<AttentionPrefillRow>(&row)) {
    const double fresh = real(prefill->new_tokens), past = real(prefill->past_tokens);
    flops = 4 * real(prefill->batch) * real(prefill->heads) * real(prefill->head_dim) * fresh *
            (past + fresh / 2);
  } else if (const auto* moe = std::get_if<MoeRow>(&row)) {
    const double used = std::min(real(moe->experts), real(moe->tokens) * real(moe->topk));
    flops = 6 * real(moe->tokens) * real(moe->topk) * real(moe->hidden) * real(moe->intermediate);
    bytes = 6 * used * real(moe->hidden) * real(moe->intermediate);
  } else if (const auto* elementwise = std::get_if<ElementwiseRow>(&row)) {
    bytes = 8 * real(elementwise->tokens) * real(elementwise->width);
  } else if (const auto* copy = std::get_if<CopyRow>(&row)) {
    constexpr double host_gbps = 20;
    if (copy->direction != "d2d") return overhead + copy->bytes / (host_gbps * 1e9);
    bytes = 2 * copy->bytes;
  }
  return overhead + std::max(flops / (rates.tflops * 1e12), bytes / (rates.memory_gbps * 1e9)) / reached;
}

MeasurementRow power_work(const std::string& work, std::int64_t tokens) {
  // Heads, experts and widths of Llama 3.1 and Mixtral 8x7B.
  constexpr std::int64_t width = 8192, heads = 32, kv_heads = 8, head_dim = 128, batch = 64,
                         activated = 28672;
  const std::string type = work.substr(work.find('/') + 1);
  if (work.starts_with("gemm/")) return GemmRow{type, tokens, width, width, 0};
  if (work == "attention_prefill")
    return AttentionPrefillRow{heads, kv_heads, head_dim, 1, tokens, 0, "bf16", "bf16", 0, 0};
  if (work.starts_with("attention_decode/"))
    return AttentionDecodeRow{heads, kv_heads, head_dim, batch, tokens, "bf16", type, 0, 0};
  if (work == "elementwise") return ElementwiseRow{"activation", tokens, activated, 0};
  if (work.starts_with("moe/")) {
    MoeRow row;
    row.dtype = type;
    row.tokens = tokens;
    row.hidden = 4096;
    row.intermediate = 14336;
    row.experts = 8;
    row.topk = 2;
    row.distribution = "balanced";
    return row;
  }
  throw InputError(
      fmt::format("found work '{}', expected gemm/TYPE, moe/TYPE, attention_prefill, "
                  "attention_decode/TYPE or elementwise",
                  work));
}

std::vector<std::string> gpu_families() {
  std::vector<std::string> names;
  for (const Family& family : families()) names.push_back(family.name);
  return names;
}

std::vector<Point> gpu_points(Depth depth, const std::string& gpu, const std::vector<std::string>& asked) {
  check_known(asked);
  const RoughRates rates = rough_rates(gpu);
  struct Placed {
    double position;
    Point point;
  };
  std::vector<Placed> placed;
  for (const Family& family : families()) {
    if (!wanted(family.name, asked)) continue;
    const Rows rows = family.rows(depth);
    const std::vector<std::size_t> order = coarse_to_fine(rows.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      const MeasurementRow& row = rows[order[i]];
      const std::string note = family.name == "copy/pageable" ? "pageable" : "";
      placed.push_back({(static_cast<double>(i) + 0.5) / static_cast<double>(order.size()),
                        {family.name, {gpu, "", note, row}, point_seconds(row, rates)}});
    }
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed& a, const Placed& b) { return a.position < b.position; });
  std::vector<Point> points;
  for (Placed& item : placed) points.push_back(std::move(item.point));
  return points;
}

}  // namespace sextant::measure
