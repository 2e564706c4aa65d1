#include "models/cost/sampler_time.hpp"

#include <cmath>

namespace sextant {
namespace {

/// The last of the rising list that stands for so many rows; nullptr: none.
const SamplerKernel* kernel_for(const std::vector<SamplerKernel>& kernels, std::int64_t rows, bool top_k) {
  const SamplerKernel* found = nullptr;
  for (const SamplerKernel& kernel : kernels)
    if (kernel.rows_from <= rows && kernel.top_k.value_or(top_k) == top_k) found = &kernel;
  return found;
}

double seconds(const SamplerKernel& kernel, const SamplerWork& work, double memory_gbps, double rows) {
  const auto words = static_cast<double>(work.vocabulary);
  double rounds = 1;
  if (kernel.row_a_multiprocessor) rounds = std::ceil(rows / work.multiprocessors);
  return kernel.launch_us * 1e-6 + kernel.serial_ns_per_word * 1e-9 * words * rounds +
         kernel.bytes_per_logit * words * rows / (memory_gbps * 1e9) +
         kernel.multiprocessor_ns_per_logit * 1e-9 * words * rows / work.multiprocessors;
}

}  // namespace

OperatorTime sampler_time(const SamplerWork& work, const GpuProfile& profile, std::int64_t rows) {
  OperatorTime time;
  time.grade = work.model.grade;
  time.spread = work.model.spread;
  time.memory_bound = true;
  const SamplingParameters& parameters = work.parameters;
  const auto add = [&](const std::vector<SamplerKernel>& kernels) {
    if (const SamplerKernel* kernel = kernel_for(kernels, rows, parameters.top_k > 0))
      time.seconds +=
          seconds(*kernel, work, profile.elementwise.roofline.memory_gbps, static_cast<double>(rows));
  };
  if (parameters.penalises()) add(work.model.penalties);
  if (!parameters.greedy()) add(work.model.random);
  if (parameters.filters()) add(work.model.filter);
  return time;
}

}  // namespace sextant
