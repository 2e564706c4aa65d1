#include <fmt/core.h>

#include "reports/csv_text.hpp"
#include "reports/names.hpp"
#include "reports/plan_json.hpp"
#include "reports/terminal.hpp"

namespace sextant {
std::string plan_csv(const Scenario& scenario, const Plan& plan) {
  std::string text =
      "rank,tp,pp,dp,ep,split,gpus,kv_tokens,estimate,simulated,meets_slo,missed,grade,extrapolated";
  for (const auto& [name, unused] : named_metrics(ServingMetrics{})) text.append(",").append(name);
  text +=
      ",kv_occupancy_peak,usd_per_million_output_tokens,events,fingerprint,choice,highest_load,joules_per_"
      "output_token,on_front\n";
  for (std::size_t i = 0; i < plan.candidates.size(); ++i) {
    const Candidate& c = plan.candidates[i];
    text +=
        fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}", i + 1, c.layout.tp, c.layout.pp, c.layout.dp,
                    c.layout.ep, c.layout.split(), csv_field(layout_gpus(scenario.cluster, c.layout)),
                    c.kv_tokens, csv_number(c.estimate), c.simulated, c.meets_slo,
                    csv_field(csv_list(c.missed)), to_string(c.grade), c.extrapolated);
    for (const auto& [unused, value] : named_metrics(c.metrics)) text.append(",").append(csv_number(value));
    text += fmt::format(",{},{},{},{},{},{},{},{}\n", csv_number(c.metrics.kv_occupancy_peak),
                        c.usd_per_million_output_tokens ? csv_number(*c.usd_per_million_output_tokens) : "",
                        c.metrics.events, c.metrics.fingerprint, csv_field(c.choice_name),
                        c.load ? csv_number(c.load->highest) : "",
                        c.energy ? csv_number(c.energy->joules_per_output_token) : "", c.on_front);
  }
  return text;
}

}  // namespace sextant
