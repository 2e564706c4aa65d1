#pragma once
#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// A number nobody measured here, with the bounds it is believed to lie in.
struct BoundedFigure {
  Figure figure;
  double low = 0;
  double high = 0;
};

/// Rules for operators that no kernel table holds, each relative to one that the tables do hold.
struct Assumptions {
  /// Dense GEMM with 4-bit weights dequantised to 16 bit on the way (Marlin class), relative to the bf16
  /// GEMM.
  BoundedFigure
      w4a16_memory;  ///< share of the bf16 GEMM's reached memory rate at which packed weights stream
  BoundedFigure w4a16_tensor;     ///< share of the bf16 GEMM's reached arithmetic rate
  Figure w4a16_bytes_per_weight;  ///< scales and zeros included
  /// What no operator's interval covers (overlap, jitter, order of batches), as a ratio of any time of a run.
  BoundedFigure structural;
};

/// {"format": "sextant assumptions", "version": 1, …}; strict. Throws InputError.
Assumptions read_assumptions(const JsonValue&);
/// The shipped rules, calibrate/profiles/assumptions.json.
Assumptions shipped_assumptions();

/// The w4a16 GEMM of a GPU whose bf16 GEMM is known. Its interval is the wider of both rules' on each side.
OperatorModel assumed_w4a16(const OperatorModel& bf16, const Assumptions&);

}  // namespace sextant
