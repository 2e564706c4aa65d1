#include "models/cost/engine_kernels.hpp"

#include <algorithm>
#include <limits>

#include "models/cost/operator_time.hpp"
#include "models/cost/operator_work.hpp"

namespace sextant {
namespace {

Grid padded_where_faster(const OperatorModel& model, const std::string& type) {
  const std::vector<std::vector<double>>& axes = model.efficiency.axes();
  const std::vector<double>&rows = axes[0], &widths = axes[1], &depths = axes[2];
  std::vector<double> values = model.efficiency.values();
  for (std::size_t n = 0; n < widths.size(); ++n)
    for (std::size_t k = 0; k < depths.size(); ++k) {
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t m = rows.size(); m-- > 0;) {
        double& efficiency = values[(m * widths.size() + n) * depths.size() + k];
        const double seconds = roofline_seconds(
            model.roofline, gemm_work(type, model.bytes_per_weight, rows[m], widths[n], depths[k]));
        least = std::min(least, seconds / efficiency);
        efficiency = seconds / least;
      }
    }
  return {axes, std::move(values)};
}

}  // namespace

bool is_of_major(const Gpu& gpu, const std::vector<int>& majors) {
  const std::string major = gpu.compute_capability.substr(0, gpu.compute_capability.find('.'));
  return std::any_of(majors.begin(), majors.end(), [&](int known) { return std::to_string(known) == major; });
}

void pad_gemms_where_faster(GpuProfile& profile) {
  for (auto& [type, model] : profile.gemm)
    if (!model.efficiency.empty()) model.efficiency = padded_where_faster(model, type);
}

void read_fp8_kv_as_16_bit(GpuProfile& profile) {
  const std::string fp8 = "fp8/";
  for (auto& [key, model] : profile.attention_decode) {
    if (key.compare(0, fp8.size(), fp8) != 0) continue;
    const auto wide = profile.attention_decode.find("bf16/" + key.substr(fp8.size()));
    if (wide == profile.attention_decode.end()) continue;
    model = wide->second;
    model.grade = Grade::assumed;
    model.source = "as a 16-bit cache: " + model.source;
  }
}

GpuProfile with_engine_kernels(const GpuProfile& profile, const EngineProfile& engine, const Gpu& gpu) {
  GpuProfile result = with_kernels(profile, engine.kernels);
  if (is_of_major(gpu, engine.fp8_kv_as_16_bit_majors)) read_fp8_kv_as_16_bit(result);
  if (engine.pads_gemms_where_faster) pad_gemms_where_faster(result);
  return result;
}

}  // namespace sextant
