#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/base/text_file.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

/// A folder with the toy GPU under the name of an L40S, its element-wise kernels fitted up to 10^8 bytes.
std::string folder_of_profiles() {
  namespace fs = std::filesystem;
  const fs::path source = fs::path(SEXTANT_SOURCE_DIR) / "tests/fixtures";
  const fs::path folder = fs::path(testing::TempDir()) / "extrapolation_profiles";
  fs::create_directories(folder);
  auto toy = nlohmann::json::parse(read_text_file((source / "gpu.toy.json").string()));
  toy["gpu"] = "l40s";
  toy["elementwise"]["efficiency"] = {{"axes", {{1, 1e8}}}, {"values", {1, 1}}};
  write_text_file((folder / "gpu.l40s.json").string(), toy.dump());
  fs::copy_file(source / "profiles/engine.bare.json", folder / "engine.bare.json",
                fs::copy_options::overwrite_existing);
  return folder.string();
}

/// Whether a plan for nine prompts of 100 tokens and one of `longest` went beyond what was fitted.
bool extrapolated(std::int64_t longest) {
  Scenario s = read_scenario(JsonValue::parse(R"({"name": "t",
    "cluster": {"nodes": [{"node": "server-pcie", "gpus": {"l40s": 1}}]}, "model": {"name": "llama-3.1-8b"},
    "deployment": {"tp": 1}, "engine": {"profile": "bare", "max_num_seqs": 1, "max_num_batched_tokens": 8192},
    "workload": {"request_rate": 1, "num_prompts": 10, "prompt": {"fixed": 100}, "output": {"fixed": 5}}})",
                                              "t.json"));
  std::vector<Request> requests(10, {Time{}, 100, 5, {}});
  requests.back().prompt_tokens = longest;
  s.workload.arrival = Workload::Arrival::trace;
  s.workload.trace = "in memory";
  s.workload.trace_requests = std::make_shared<const std::vector<Request>>(std::move(requests));
  PlanOptions options;
  options.intervals = false;
  return make_plan(s, options).candidates.front().extrapolated;
}

// The widest element-wise kernel of the 8B reads two and writes one vector of 14,336 16-bit numbers: 86,016 B
// a token. The mean prompt of 890 tokens moves 77 MB, inside the 10^8 fitted; the one of 8,000 tokens moves
// 688 MB, beyond it by more than the factor of 2 that is allowed. Only the run meets it.
TEST(Extrapolation, IsWhatTheRunMet) {
  setenv("SEXTANT_PROFILES", folder_of_profiles().c_str(), 1);
  EXPECT_FALSE(extrapolated(100));
  EXPECT_TRUE(extrapolated(8000));
  unsetenv("SEXTANT_PROFILES");
}

}  // namespace
}  // namespace sextant
