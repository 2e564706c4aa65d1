#include "calibrate/measure/device/bench.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {

Bench::Result bench_moe(Bench&, const MoeRow&) {
  throw Error(ExitCode::failure, "skipped: no grouped GEMM is built yet");
}

}  // namespace sextant::measure
