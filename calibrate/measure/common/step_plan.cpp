#include "calibrate/measure/common/step_plan.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calibrate/measure/common/grid.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/llm/catalogue.hpp"

namespace sextant::measure {
namespace {

void check_words(const char* option, const std::vector<std::string>& words,
                 const std::vector<std::string>& known) {
  for (const std::string& word : words)
    if (std::find(known.begin(), known.end(), word) == known.end())
      throw InputError(fmt::format("{}: found '{}', expected {}{}", option, word, fmt::join(known, " or "),
                                   did_you_mean(word, known)));
}

void check_experts(const std::string& name, const StepPlanOptions& asked) {
  const Architecture model = find_model(name).architecture;
  for (const std::int64_t ep : asked.ep) {
    if (ep == 1) continue;
    if (std::find(asked.tp.begin(), asked.tp.end(), ep) == asked.tp.end())
      throw InputError(
          fmt::format("--ep: found {}, expected 1 or one of --tp, {}", ep, fmt::join(asked.tp, ",")));
    for (const LayerKind& kind : model.kinds) {
      const auto* mixture = std::get_if<MixtureOfExperts>(&kind.feed_forward);
      if (mixture == nullptr)
        throw InputError(
            fmt::format("--ep: found {} for {}, which has layers without experts, expected 1", ep, name));
      if (mixture->experts % ep != 0)
        throw InputError(
            fmt::format("--ep: found {}, expected a divisor of {}'s {} experts", ep, name, mixture->experts));
    }
  }
}

std::vector<StepLayout> usual_layouts(int gpus) {
  struct Usual {
    const char* model;
    const char* weights;
  };
  std::vector<StepLayout> layouts;
  for (const Usual& usual :
       {Usual{"llama-3.1-8b", "bf16"}, Usual{"llama-3.1-70b", "bf16"}, Usual{"llama-3.1-405b", "fp8"}})
    for (int pp = 1; pp <= gpus; ++pp) {
      if (gpus % pp != 0) continue;
      const bool giant = std::string_view(usual.model) == "llama-3.1-405b";
      const bool mixed = pp > 1 && pp < gpus;
      // 405B needs four cards; 8B and 70B are cut one way at a time.
      if (giant ? gpus < 4 : mixed) continue;
      layouts.push_back({usual.model, usual.weights, "bf16", gpus / pp, pp});
    }
  return layouts;
}

std::vector<StepLayout> asked_layouts(const StepPlanOptions& asked, int gpus) {
  std::vector<StepLayout> layouts;
  for (const std::string& model : asked.models)
    for (const std::string& weights : asked.weights)
      for (const std::string& kv : asked.kv)
        for (const std::int64_t tp : asked.tp)
          for (const std::int64_t pp : asked.pp)
            for (const std::int64_t ep : asked.ep)
              if (tp * pp <= gpus && (ep == 1 || ep == tp))
                layouts.push_back(
                    {model, weights, kv, static_cast<int>(tp), static_cast<int>(pp), static_cast<int>(ep)});
  return layouts;
}

std::vector<StepCase> cases_of(const StepPlanOptions& asked, const StepLayout& layout) {
  using Counts = std::vector<std::int64_t>;
  const bool quick = asked.depth == Depth::quick;
  const auto or_usual = [](const Counts& given, const Counts& usual) {
    return given.empty() ? usual : given;
  };
  const Counts batches = or_usual(asked.batches, quick ? Counts{1, 32, 128} : Counts{1, 8, 32, 64, 128});
  const Counts decode_contexts =
      or_usual(asked.contexts, quick ? Counts{512, 8192} : Counts{512, 2048, 8192});
  const Counts prompts =
      or_usual(asked.contexts, quick ? Counts{512, 2048, 8192} : Counts{512, 1024, 2048, 4096, 8192});
  const Counts in_flight = or_usual(asked.microbatches, layout.pp > 1 ? Counts{layout.pp, 1} : Counts{1});
  std::vector<StepCase> decode, prefill;
  for (const std::int64_t microbatches : in_flight) {
    for (const std::int64_t context : decode_contexts)
      for (const std::int64_t batch : batches)
        decode.push_back({false, batch, context, static_cast<int>(microbatches)});
    // A round of several long prompts of a large model takes seconds.
    for (const std::int64_t prompt : prompts)
      if (!quick || microbatches == 1 || prompt <= 2048)
        prefill.push_back({true, 1, prompt, static_cast<int>(microbatches)});
  }
  std::vector<StepCase> cases;
  const auto wants = [&](const char* phase) {
    return std::find(asked.phases.begin(), asked.phases.end(), phase) != asked.phases.end();
  };
  if (wants("decode"))
    for (const std::size_t index : coarse_to_fine(decode.size())) cases.push_back(decode[index]);
  if (wants("prefill"))
    for (const std::size_t index : coarse_to_fine(prefill.size())) cases.push_back(prefill[index]);
  return cases;
}

}  // namespace

std::vector<StepPlan> step_plans(const StepPlanOptions& asked, int gpus) {
  check_words("--weights", asked.weights, {"bf16", "fp8"});
  check_words("--kv", asked.kv, {"bf16", "fp8"});
  check_words("--phase", asked.phases, {"decode", "prefill"});
  for (const std::string& model : asked.models) check_experts(model, asked);
  std::vector<StepPlan> plans;
  for (const StepLayout& layout : asked.models.empty() ? usual_layouts(gpus) : asked_layouts(asked, gpus))
    plans.push_back({layout, cases_of(asked, layout)});
  return plans;
}

double rough_seconds(const StepPlan& plan) {
  constexpr double load = 4, decode_case = 0.8, prefill_case = 1.5;
  double seconds = load;
  for (const StepCase& item : plan.cases) seconds += item.prefill ? prefill_case : decode_case;
  return seconds;
}

}  // namespace sextant::measure
