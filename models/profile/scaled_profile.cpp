#include "models/profile/scaled_profile.hpp"

#include <fmt/core.h>

#include "models/profile/power.hpp"

namespace sextant {
namespace {

constexpr Range ratio{1e-3, 1e3};

ProfileScale read_scale(const JsonObject& file) {
  ProfileScale scale;
  const JsonObject object = file.at("scale").object();
  scale.tensor = read_figure(object.at("tensor"), ratio);
  scale.memory = read_figure(object.at("memory"), ratio);
  scale.latency = read_figure(object.at("latency"), ratio);
  if (const auto types = object.find("tensor_by_type"))
    for (const auto& [type, value] : types->object().entries())
      scale.tensor_by_type.emplace(type, read_figure(value, ratio));
  object.finish();
  scale.spread_widening = read_figure(file.at("spread_widening"), {1, ratio.high});
  return scale;
}

OperatorModel scaled(OperatorModel model, const ProfileScale& scale, const Figure& tensor,
                     const std::string& origin) {
  model.grade =
      weakest(weakest(model.grade, Grade::scaled), weakest(scale.memory.grade, scale.latency.grade));
  if (model.roofline.tflops > 0) model.grade = weakest(model.grade, tensor.grade);
  model.roofline.tflops *= tensor.value;
  model.roofline.memory_gbps *= scale.memory.value;
  model.roofline.latency_us *= scale.latency.value;
  model.spread.low /= scale.spread_widening.value;
  model.spread.high *= scale.spread_widening.value;
  model.median_error.reset();
  model.source = fmt::format("scaled from {}: {}", origin, model.source);
  return model;
}

}  // namespace

GpuProfile scaled(const GpuProfile& base, const ProfileScale& scale) {
  GpuProfile profile = base;
  profile.scaled_from = base.gpu;
  profile.power.reset();  // a card's power is its own: nothing here says how to scale it
  profile.load.reset();
  for_each_model(profile, [&](const std::string& type, OperatorModel& model) {
    const auto own = scale.tensor_by_type.find(type);
    model = scaled(model, scale, own == scale.tensor_by_type.end() ? scale.tensor : own->second, base.gpu);
  });
  return profile;
}

GpuProfile read_scaled_profile(const JsonObject& object, const GpuProfileFinder& base) {
  const std::string gpu = object.text("gpu");
  const JsonValue origin = object.at("scaled_from");
  if (origin.text() == gpu)
    origin.fail(fmt::format("found \"{}\", expected another profile than its own", gpu));
  const std::string provenance = object.text("provenance");
  const ProfileScale scale = read_scale(object);
  std::optional<PowerModel> power;
  if (const auto own = object.find("power")) power = read_power_model(*own, gpu);
  object.finish();
  GpuProfile profile = scaled(base(origin.text()), scale);
  profile.gpu = gpu;
  profile.scaled_from = origin.text();
  profile.provenance = provenance;
  profile.power = std::move(power);
  return profile;
}

}  // namespace sextant
