#include "models/profile/assumptions.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

constexpr auto shipped_path = "calibrate/profiles/assumptions.json";

/// A rate r known as value in [low, high] leaves a time between value / high and value / low of the nominal.
Spread time_spread(const BoundedFigure& rate) {
  return {rate.figure.value / rate.high, rate.figure.value / rate.low};
}

constexpr Range any_positive{1e-9, 1e15};

ElementwiseRule read_elementwise(const JsonObject& object) {
  ElementwiseRule rule{read_figure(object.at("kernel_us"), any_positive),
                       read_bounded_figure(object.at("time"))};
  object.finish();
  return rule;
}

TableRows read_table_rows(const JsonObject& object) {
  TableRows rows{read_figure(object.at("attention_alone_us"), {0, 1e3}),
                 read_figure(object.at("gemm_alone_us"), {0, 1e3})};
  object.finish();
  return rows;
}

LinkRules read_link(const JsonObject& object) {
  LinkRules rules{read_bounded_figure(object.at("curve")),
                  read_bounded_figure(object.at("send_from_both_ways")),
                  read_figure(object.at("thinning"), {0, 0.1}),
                  read_figure(object.at("outlier_ratio"), {1, any_positive.high})};
  object.finish();
  return rules;
}

CustomAllReduceRules read_custom_all_reduce(const JsonObject& object) {
  CustomAllReduceRules rules{read_figure(object.at("largest_bytes"), any_positive),
                             read_figure(object.at("most_pcie_ranks"), {1, 8})};
  object.finish();
  return rules;
}

GemmLeftOut read_gemm_left_out(const JsonObject& object) {
  GemmLeftOut rules{read_figure(object.at("share_of_rows"), {0, 1}),
                    read_figure(object.at("times_fastest"), {1, any_positive.high})};
  object.finish();
  return rules;
}

HarnessKernels read_harness_kernels(const JsonObject& object) {
  HarnessKernels kernels{object.text("name"), {}};
  for (const auto& [family, why] : object.at("families").object().entries()) {
    why.text();
    kernels.families.push_back(family);
  }
  object.finish();
  return kernels;
}

}  // namespace

BoundedFigure read_bounded_figure(const JsonValue& value) {
  const JsonObject object = value.object();
  BoundedFigure bounded;
  bounded.figure.value = positive(object.at("value"));
  bounded.low = object.number("low", {0, bounded.figure.value});
  bounded.high = object.number("high", {bounded.figure.value});
  if (!(bounded.low > 0)) object.at("low").fail("found 0, expected a number above 0");
  bounded.figure.grade = read_grade(object);
  bounded.figure.source = object.text("source");
  bounded.figure.note = object.text_or("note", "");
  object.finish();
  return bounded;
}

Assumptions read_assumptions(const JsonValue& value) {
  const JsonObject object = value.object();
  expect_format(object, "sextant assumptions", 1);
  const JsonObject w4a16 = object.at("w4a16").object();
  Assumptions assumptions;
  assumptions.w4a16_memory = read_bounded_figure(w4a16.at("memory"));
  assumptions.w4a16_tensor = read_bounded_figure(w4a16.at("tensor"));
  assumptions.w4a16_bytes_per_weight = read_figure(w4a16.at("bytes_per_weight"), {0.5, 2});
  w4a16.finish();
  assumptions.elementwise = read_elementwise(object.at("elementwise").object());
  assumptions.table_rows = read_table_rows(object.at("table_rows").object());
  assumptions.link = read_link(object.at("link").object());
  assumptions.custom_all_reduce = read_custom_all_reduce(object.at("custom_all_reduce").object());
  assumptions.gemm_left_out = read_gemm_left_out(object.at("gemm_left_out").object());
  assumptions.harness_kernels = read_harness_kernels(object.at("harness_kernels").object());
  assumptions.structural = read_bounded_figure(object.at("structural"));
  assumptions.power_window = read_figure(object.at("power_window"), {0, 10});
  object.finish();
  return assumptions;
}

Assumptions shipped_assumptions() {
  const auto files = embedded_files(shipped_path);
  if (files.empty()) throw InputError(fmt::format("found no embedded file {}", shipped_path));
  return read_assumptions(JsonValue::parse(files.front().content, shipped_path));
}

Spread spread_of(const BoundedFigure& time_ratio) {
  return {time_ratio.low / time_ratio.figure.value, time_ratio.high / time_ratio.figure.value};
}

OperatorModel assumed_w4a16(const OperatorModel& bf16, const Assumptions& assumptions) {
  OperatorModel model = bf16;
  model.grade = weakest(
      bf16.grade, weakest(assumptions.w4a16_memory.figure.grade, assumptions.w4a16_tensor.figure.grade));
  model.source = fmt::format("{}; bf16: {}", assumptions.w4a16_memory.figure.source, bf16.source);
  model.roofline.memory_gbps *= assumptions.w4a16_memory.figure.value;
  model.roofline.tflops *= assumptions.w4a16_tensor.figure.value;
  model.bytes_per_weight = assumptions.w4a16_bytes_per_weight.value;
  const Spread memory = time_spread(assumptions.w4a16_memory), tensor = time_spread(assumptions.w4a16_tensor);
  model.spread = {std::min(memory.low, tensor.low), std::max(memory.high, tensor.high)};
  model.median_error.reset();
  return model;
}

}  // namespace sextant
