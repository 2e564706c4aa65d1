#include <fmt/core.h>

#include <algorithm>
#include <exception>

#include "calibrate/measure/device/commands.hpp"
#include "calibrate/measure/nccl/nccl_command.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {

std::string measure_source() {
  return "sextant-measure " SEXTANT_VERSION;
}

namespace {

int run(const Arguments& words) {
  const Arguments rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (!words.empty() && words[0] == "gpu") return run_gpu(rest);
  if (!words.empty() && words[0] == "step") return run_step(rest);
  if (!words.empty() && words[0] == "nccl") return nccl::run_nccl_command(rest, SEXTANT_VERSION);
  throw InputError(
      fmt::format("found '{}', expected gpu, step or nccl", words.empty() ? "no verb" : words[0]));
}

}  // namespace
}  // namespace sextant::measure

int main(int count, char** words) {
  using namespace sextant;
  try {
    return measure::run(measure::Arguments(words + std::min(count, 1), words + count));
  } catch (const Error& error) {
    fmt::print(stderr, "sextant-measure: {}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "sextant-measure: internal error: {}\n", error.what());
    return static_cast<int>(ExitCode::failure);
  }
}
