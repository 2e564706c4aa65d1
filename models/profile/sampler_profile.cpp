#include "models/profile/sampler_profile.hpp"

#include <fmt/core.h>

#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

constexpr Range not_negative{0, 1e9};

std::vector<SamplerKernel> read_kernels(const JsonValue& value) {
  std::vector<SamplerKernel> kernels;
  for (const JsonValue& item : value.array()) {
    const JsonObject object = item.object();
    SamplerKernel kernel;
    kernel.rows_from = object.integer("rows_from", {1, 1e9});
    if (const auto top_k = object.find("top_k")) kernel.top_k = top_k->boolean();
    kernel.launch_us = object.number("launch_us", not_negative);
    kernel.serial_ns_per_word = object.number_or("serial_ns_per_word", 0, not_negative);
    if (const auto waves = object.find("row_a_multiprocessor"))
      kernel.row_a_multiprocessor = waves->boolean();
    kernel.bytes_per_logit = object.number_or("bytes_per_logit", 0, not_negative);
    kernel.multiprocessor_ns_per_logit = object.number_or("multiprocessor_ns_per_logit", 0, not_negative);
    kernel.source = object.text("source");
    object.finish();
    const std::int64_t before = kernels.empty() ? 1 : kernels.back().rows_from;
    if (kernels.empty() ? kernel.rows_from != 1 : kernel.rows_from < before)
      item.fail(fmt::format("found rows_from {}, expected {}", kernel.rows_from,
                            kernels.empty() ? "1 in the first" : fmt::format("at least {}", before)));
    kernels.push_back(std::move(kernel));
  }
  return kernels;
}

}  // namespace

SamplerModel read_sampler(const JsonValue& value) {
  const JsonObject object = value.object();
  SamplerModel sampler;
  sampler.grade = read_grade(object);
  sampler.spread = read_spread(object.at("spread"));
  sampler.random = read_kernels(object.at("random"));
  sampler.filter = read_kernels(object.at("filter"));
  sampler.penalties = read_kernels(object.at("penalties"));
  object.finish();
  return sampler;
}

}  // namespace sextant
