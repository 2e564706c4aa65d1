#include "reports/launch/nccl_environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "models/base/json_reader.hpp"
#include "reports/launch/nccl_traffic.hpp"

namespace sextant {
namespace {

constexpr auto two_workstations = R"({
  "name": "two-workstations",
  "cluster": {"nodes": [
      {"node": "workstation", "name": "a", "gpus": {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200"},
      {"node": "workstation", "name": "b", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"}],
    "network": {"transport": "roce"}},
  "model": {"name": "llama-3.1-405b", "weights": "awq-int4", "kv": "bf16"},
  "deployment": "search",
  "engine": {"profile": "vllm-0.19"},
  "workload": {"max_concurrency": 8, "num_prompts": 8, "prompt": {"fixed": 512}, "output": {"fixed": 16}}})";

constexpr auto one_hgx = R"({
  "name": "one-hgx",
  "cluster": {"nodes": [{"node": "hgx", "name": "a", "gpus": {"h200-sxm": 4}}]},
  "model": {"name": "llama-3.1-70b", "weights": "bf16", "kv": "bf16"},
  "deployment": "search",
  "engine": {"profile": "vllm-0.19"},
  "workload": {"max_concurrency": 8, "num_prompts": 8, "prompt": {"fixed": 512}, "output": {"fixed": 16}}})";

Scenario scenario_of(const char* text, std::vector<std::pair<std::string, std::string>> changes = {}) {
  return read_scenario(with_changes(JsonValue::parse(text, "test"), changes));
}

/// One stage on each of the GPUs; a hop carries hidden state and residual, 16,384 x 2 x 2 B = 64 KiB a token.
Candidate pipeline(const Scenario& scenario) {
  Candidate candidate;
  candidate.layout.pp = static_cast<int>(scenario.cluster.gpus().size());
  candidate.layout.replicas.emplace_back();
  for (const int gpu : scenario.cluster.gpus()) {
    candidate.layout.replicas.back().push_back({{}, {gpu}});
    StageReport stage;
    stage.decode_hop_bytes = 32 * 65536.0;
    stage.chunk_hop_bytes = 2048 * 65536.0;
    candidate.stages.push_back(stage);
  }
  candidate.decode_batch = 32;
  candidate.chunk_tokens = 2048;
  return candidate;
}

Candidate tensor_group(const Scenario& scenario) {
  Candidate candidate;
  candidate.layout.tp = static_cast<int>(scenario.cluster.gpus().size());
  candidate.layout.replicas = {{{{}, scenario.cluster.gpus()}}};
  candidate.stages.emplace_back();
  candidate.decode_batch = 32;
  candidate.chunk_tokens = 2048;
  return candidate;
}

const NcclVariable* find(const std::vector<NcclVariable>& variables, const std::string& name) {
  const auto found = std::find_if(variables.begin(), variables.end(),
                                  [&](const NcclVariable& variable) { return variable.name == name; });
  return found == variables.end() ? nullptr : &*found;
}

std::optional<std::string> value(const std::vector<NcclVariable>& variables, const std::string& name) {
  const NcclVariable* variable = find(variables, name);
  return variable ? variable->value : std::nullopt;
}

// The seven variables of "Distributed Inference on Workstation Blackwell, Part 1" for the cluster it
// describes.
TEST(NcclEnvironment, ThreeCardsOnTwoNodesGetThePapersSeven) {
  const Scenario scenario = scenario_of(two_workstations);
  const auto variables = nccl_environment(scenario, pipeline(scenario));
  EXPECT_EQ(value(variables, "NCCL_IB_DISABLE"), "0");
  EXPECT_EQ(value(variables, "NCCL_NET_GDR_LEVEL"), "SYS");  // the paper's 5
  EXPECT_EQ(value(variables, "NCCL_IB_HCA"), "mlx5_0");
  EXPECT_EQ(value(variables, "NCCL_IB_GID_INDEX"), "3");
  EXPECT_EQ(value(variables, "NCCL_BUFFSIZE"), "8388608");  // a chunk's hop of 134 MB exceeds 4 MiB
  EXPECT_EQ(value(variables, "NCCL_DEBUG"), "INFO");
  ASSERT_NE(find(variables, "NCCL_SOCKET_IFNAME"), nullptr);
  EXPECT_TRUE(find(variables, "NCCL_SOCKET_IFNAME")->must_be_filled_in());
}

TEST(NcclEnvironment, GpudirectCarriesTheModelsFigures) {
  const Scenario scenario = scenario_of(two_workstations);
  const auto variables = nccl_environment(scenario, pipeline(scenario));
  const NcclVariable* level = find(variables, "NCCL_NET_GDR_LEVEL");
  ASSERT_NE(level, nullptr);
  EXPECT_EQ(level->support, NcclSupport::modelled);
  EXPECT_NE(level->evidence.find("134 MB"), std::string::npos) << level->evidence;
  EXPECT_NE(level->evidence.find("staged"), std::string::npos) << level->evidence;
}

TEST(NcclEnvironment, SwitchedRoceNeedsItsTrafficClassAndACableNone) {
  const Scenario cable = scenario_of(two_workstations);
  const bool has_switch = nccl_traffic(cable, pipeline(cable)).through_switch;
  EXPECT_EQ(value(nccl_environment(cable, pipeline(cable)), "NCCL_IB_TC").has_value(), has_switch);
  const Scenario infiniband = scenario_of(two_workstations, {{"cluster.network.transport", "ib"}});
  EXPECT_EQ(find(nccl_environment(infiniband, pipeline(infiniband)), "NCCL_IB_TC"), nullptr);
  EXPECT_EQ(find(nccl_environment(infiniband, pipeline(infiniband)), "NCCL_IB_GID_INDEX"), nullptr);
}

TEST(NcclEnvironment, TcpTurnsRdmaOff) {
  const Scenario scenario = scenario_of(
      two_workstations, {{"cluster.network.transport", "tcp"}, {"cluster.network.gpudirect", "false"}});
  const auto variables = nccl_environment(scenario, pipeline(scenario));
  EXPECT_EQ(value(variables, "NCCL_IB_DISABLE"), "1");
  EXPECT_EQ(find(variables, "NCCL_NET_GDR_LEVEL"), nullptr);
  EXPECT_EQ(find(variables, "NCCL_IB_HCA"), nullptr);
}

TEST(NcclEnvironment, WithoutGpudirectTheLevelIsLeftOutWithAReason) {
  const Scenario scenario = scenario_of(two_workstations, {{"cluster.network.gpudirect", "false"}});
  const NcclVariable level = *find(nccl_environment(scenario, pipeline(scenario)), "NCCL_NET_GDR_LEVEL");
  EXPECT_FALSE(level.value);
  EXPECT_NE(level.reason.find("no GPUDirect"), std::string::npos);
}

// One NVLink node: nothing of the network's variables; ring or tree is a contradiction that measurement
// decides.
TEST(NcclEnvironment, OneNodeResolvesRingAgainstTree) {
  const Scenario scenario = scenario_of(one_hgx);
  const auto variables = nccl_environment(scenario, tensor_group(scenario));
  for (const char* name :
       {"NCCL_IB_HCA", "NCCL_NET_GDR_LEVEL", "NCCL_SOCKET_IFNAME", "NCCL_BUFFSIZE", "NCCL_P2P_LEVEL"})
    EXPECT_EQ(find(variables, name), nullptr) << name;
  const NcclVariable* algorithm = find(variables, "NCCL_ALGO");
  ASSERT_NE(algorithm, nullptr);
  EXPECT_FALSE(algorithm->value);
  EXPECT_FALSE(algorithm->must_be_filled_in());
  EXPECT_EQ(algorithm->support, NcclSupport::contradicted);
  EXPECT_NE(algorithm->evidence.find("NCCL's own tables choose ring"), std::string::npos)
      << algorithm->evidence;
  EXPECT_EQ(find(variables, "NCCL_MAX_NCHANNELS")->support, NcclSupport::contradicted);
}

TEST(NcclEnvironment, LayoutWithoutTrafficNeedsNothing) {
  const Scenario scenario = scenario_of(one_hgx);
  Candidate one_gpu;
  one_gpu.layout.replicas = {{{{}, {scenario.cluster.gpus().front()}}}};
  one_gpu.stages.emplace_back();
  EXPECT_TRUE(nccl_environment(scenario, one_gpu).empty());
}

TEST(NcclEnvironment, ScriptIsExportsAndCommentsOnly) {
  const Scenario scenario = scenario_of(two_workstations);
  const std::string script =
      nccl_environment_script("a\nrm -rf /", nccl_environment(scenario, pipeline(scenario)));
  std::size_t start = 0;
  while (start < script.size()) {
    const std::size_t end = script.find('\n', start);
    const std::string line = script.substr(start, end - start);
    EXPECT_TRUE(line.empty() || line.starts_with("#") || line.starts_with("export NCCL_")) << line;
    start = end + 1;
  }
  EXPECT_NE(script.find("export NCCL_SOCKET_IFNAME=\"${NCCL_SOCKET_IFNAME:?"), std::string::npos);
}

}  // namespace
}  // namespace sextant
