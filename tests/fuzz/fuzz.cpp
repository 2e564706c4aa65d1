// libFuzzer's entry, one binary for each target: SEXTANT_FUZZ_TARGET is its name.
#include "models/base/error.hpp"
#include "tests/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const sextant::fuzz::Target& target = sextant::fuzz::find_target(SEXTANT_FUZZ_TARGET);
  try {
    target.read({reinterpret_cast<const char*>(data), size});
  } catch (const sextant::InputError&) {
  }
  return 0;
}
