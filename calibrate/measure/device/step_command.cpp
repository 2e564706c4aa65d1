#include "calibrate/measure/device/commands.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {

int run_step(const Arguments&) {
  throw Error(ExitCode::failure, "step: not built yet");
}

}  // namespace sextant::measure
