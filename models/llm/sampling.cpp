#include "models/llm/sampling.hpp"

#include <algorithm>

namespace sextant {

SamplingParameters SamplingOverrides::over(SamplingParameters result) const {
  result.temperature = temperature.value_or(result.temperature);
  result.top_p = top_p.value_or(result.top_p);
  result.top_k = top_k.value_or(result.top_k);
  result.repetition_penalty = repetition_penalty.value_or(result.repetition_penalty);
  return result;
}

SamplingOverrides read_sampling(const JsonObject& object) {
  SamplingOverrides result;
  if (const auto value = object.find("temperature")) result.temperature = value->number({0, 100});
  if (const auto value = object.find("top_p")) result.top_p = value->number({1e-9, 1});
  if (const auto value = object.find("top_k"))
    result.top_k = std::max<std::int64_t>(0, value->integer({-1, 1e9}));
  if (const auto value = object.find("repetition_penalty"))
    result.repetition_penalty = value->number({1e-3, 100});
  return result;
}

}  // namespace sextant
