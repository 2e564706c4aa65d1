#include "sim/cli/table_origin.hpp"

#include "models/cost/nccl_tuning.hpp"

namespace sextant {

TableOrigin table_origin(const Gpu& gpu) {
  if (!gpu.nvlink_gbps) return {gpu.name, "pcie", 0};
  const double capability = compute_capability_number(gpu.compute_capability);
  return {gpu.name, "nvlink",
          gpu.nvlink_gbps->value * shipped_nccl_tuning().generation(capability).nvlink_share};
}

}  // namespace sextant
