#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/rdma/commands.hpp"
#include "models/base/error.hpp"

namespace {

int run(const std::vector<std::string>& arguments) {
  using namespace sextant::rdma;
  const Options options = parse_options(arguments);
  if (options.help) {
    fmt::print("{}", help_text());
    return 0;
  }
  if (options.list) return list_blocks(options);
  sextant::measure::watch_for_interrupt();
  return options.server ? run_server(options, SEXTANT_VERSION) : run_client(options, SEXTANT_VERSION);
}

}  // namespace

// Started by sextant-measure, which passes its own words: words[1] is the verb.
int main(int count, char** words) {
  try {
    return run(std::vector<std::string>(words + std::min(count, 2), words + count));
  } catch (const sextant::Error& error) {
    fmt::print(stderr, "sextant-measure: {}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "sextant-measure: internal error: {}\n", error.what());
    return 1;
  }
}
