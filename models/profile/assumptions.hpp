#pragma once
#include <string>
#include <vector>

#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// A number nobody measured here, with the bounds it is believed to lie in.
struct BoundedFigure {
  Figure figure;
  double low = 0;
  double high = 0;
};

/// The rule of small kernels, which no kernel table holds.
struct ElementwiseRule {
  Figure kernel_us;    ///< of the smallest kernel within a CUDA graph
  BoundedFigure time;  ///< true over predicted
};

/// How far measured link curves are believed: true over predicted time.
struct LinkRules {
  BoundedFigure curve;                ///< of a curve measured as it is used
  BoundedFigure send_from_both_ways;  ///< of one message whose time is half of a two-rank all-to-all's
  Figure thinning;                    ///< points are left out while the others meet them within this share
  Figure outlier_ratio;               ///< a time so many times that of a larger size is left out; 0: none is
};

/// Where an engine uses its own all-reduce kernel instead of NCCL's.
struct CustomAllReduceRules {
  Figure largest_bytes;
  Figure most_pcie_ranks;  ///< without NVLink
};

/// Which GEMM types of a table are too poor to fit.
struct GemmLeftOut {
  Figure share_of_rows;  ///< fewer rows than this share of the broadest type's
  Figure times_fastest;  ///< smallest shapes slower than so many times those of the fastest type
};

/// Kernels of our measuring harness that serving engines do not run.
struct HarnessKernels {
  std::string name;                   ///< of the set in a GPU profile
  std::vector<std::string> families;  ///< "attention_decode", "gemm/fp8"
};

/// What rows of published kernel tables hold beside the kernel: their graphs are replayed alone.
struct TableRows {
  Figure attention_alone_us;
  Figure gemm_alone_us;
};

/// {"value", "low", "high", "grade", "source", "note"?}. Throws InputError.
BoundedFigure read_bounded_figure(const JsonValue&);

/// Rules for what no kernel table tells: operators relative to others, and how far figures are believed.
struct Assumptions {
  /// Dense GEMM with 4-bit weights dequantised to 16 bit on the way (Marlin class), relative to the bf16
  /// GEMM.
  BoundedFigure
      w4a16_memory;  ///< share of the bf16 GEMM's reached memory rate at which packed weights stream
  BoundedFigure w4a16_tensor;     ///< share of the bf16 GEMM's reached arithmetic rate
  Figure w4a16_bytes_per_weight;  ///< scales and zeros included
  ElementwiseRule elementwise;
  TableRows table_rows;
  LinkRules link;
  CustomAllReduceRules custom_all_reduce;
  GemmLeftOut gemm_left_out;
  HarnessKernels harness_kernels;
  /// What no operator's interval covers (overlap, jitter, order of batches), as a ratio of any time of a run.
  BoundedFigure structural;
  Figure power_window;  ///< seconds of waiting work at the full clock before a card's power limit acts
};

/// {"format": "sextant assumptions", "version": 1, …}; strict. Throws InputError.
Assumptions read_assumptions(const JsonValue&);
/// The shipped rules, calibrate/profiles/assumptions.json.
Assumptions shipped_assumptions();

/// The interval of a bounded ratio of times.
Spread spread_of(const BoundedFigure& time_ratio);

/// The w4a16 GEMM of a GPU whose bf16 GEMM is known. Its interval is the wider of both rules' on each side.
OperatorModel assumed_w4a16(const OperatorModel& bf16, const Assumptions&);

}  // namespace sextant
