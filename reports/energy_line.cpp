#include <fmt/core.h>

#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"

namespace sextant::detail {

std::string energy_line(const Candidate& candidate, TextStyle style) {
  if (!candidate.energy) return wrapped("power: not known of these GPUs", "  ", style.width);
  const Energy& energy = *candidate.energy;
  return wrapped(
      fmt::format("power: {}{} W of its GPUs on average, {}{} J per output token ({}; {})",
                  energy.upper_bound ? "at most " : "", number_text(energy.gpu_watts),
                  energy.upper_bound ? "at most " : "", number_text(energy.joules_per_output_token),
                  to_string(energy.grade), energy.basis),
      "  ", style.width);
}

}  // namespace sextant::detail
