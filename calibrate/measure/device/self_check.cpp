#include "calibrate/measure/device/self_check.hpp"

#include <fmt/core.h>

#include <array>
#include <cstdio>

#include "calibrate/measure/device/check_support.hpp"
#include "calibrate/measure/device/guarded.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

struct Check {
  const char* family;
  void (*run)(Bench&, CheckList&);
};
constexpr std::array checks = {Check{"elementwise", check_elementwise},
                               Check{"attention_decode", check_decode}, Check{"gemm", check_gemm},
                               Check{"attention_prefill", check_prefill}, Check{"moe", check_moe}};

bool wanted(const char* family, const std::vector<std::string>& families) {
  if (families.empty()) return true;
  for (const std::string& asked : families)
    if (asked.starts_with(family)) return true;
  return false;
}

}  // namespace

int self_check(int device, const std::vector<std::string>& families) {
  constexpr double most_silent_seconds = 90;
  return run_guarded(most_silent_seconds, [&](const std::set<std::string>& left_out, int attempt,
                                              const Heartbeat& heartbeat) {
    try {
      Bench bench(device, {});
      if (attempt == 0)
        for (const auto& [key, value] : bench.details()) fmt::print("{}: {}\n", key, value);
      CheckList list;
      for (const Check& check : checks) {
        if (left_out.contains(check.family) || !wanted(check.family, families)) continue;
        heartbeat.working_on(check.family);
        check.run(bench, list);
        if (context_is_lost()) return context_lost;
      }
      fmt::print("self-check: {}\n",
                 list.failed() == 0 ? "all passed" : fmt::format("{} FAILED", list.failed()));
      return list.failed() == 0 ? 0 : 1;
    } catch (const Error& error) {
      fmt::print(stderr, "sextant-measure: {}\n", error.what());
      return static_cast<int>(error.code());
    } catch (const std::exception& error) {
      fmt::print(stderr, "sextant-measure: internal error: {}\n", error.what());
      return 1;
    }
  });
}

}  // namespace sextant::measure
