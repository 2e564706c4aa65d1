#include <fmt/core.h>

#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"

namespace sextant::detail {

std::string prefill_pool_section(const Scenario& scenario, const Candidate& best, TextStyle style) {
  std::string text = heading("The prefill pool (all above is the decode pool's)", style);
  text += stages_section(*best.prefill, style);
  text += hops_section(*best.prefill, style);
  text += memory_section(*best.prefill, scenario.engine.gpu_memory_utilization, style);
  const auto& pools = best.metrics.disaggregation;
  if (!pools || pools->kv.transfers == 0) return text;
  text += heading("From prefill to decode", style);
  text += wrapped(
      fmt::format(
          "{} transfers of {} on average; on the links {} ms (mean), {} (p99); from the end of the prefill, "
          "with the wait for room in the decode pool, {} ms (mean), {} (p99)",
          count_text(pools->kv.transfers),
          bytes_text(pools->kv.bytes / static_cast<double>(pools->kv.transfers)),
          number_text(pools->kv.transfer.mean), number_text(pools->kv.transfer.p99),
          number_text(pools->kv.handover.mean), number_text(pools->kv.handover.p99)),
      "  ", style.width);
  text += wrapped(
      fmt::format("KV blocks in use: prefill pool {} % on average (peak {}), decode pool {} % (peak {})",
                  percent_text(pools->prefill.kv_occupancy_mean),
                  percent_text(pools->prefill.kv_occupancy_peak),
                  percent_text(best.metrics.kv_occupancy_mean), percent_text(best.metrics.kv_occupancy_peak)),
      "  ", style.width);
  return text;
}

}  // namespace sextant::detail
