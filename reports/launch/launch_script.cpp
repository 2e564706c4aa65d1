#include "reports/launch/launch_script.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "models/base/error.hpp"
#include "reports/launch/quoting.hpp"
#include "reports/launch/shares.hpp"

namespace sextant {
namespace {

using Words = std::vector<std::string>;

constexpr int ray_port = 6379, master_port = 29500;
/// vLLM's own number for the handshakes of its NIXL connector; each server of a node needs one of its own.
constexpr int nixl_port = 5600;

/// What a candidate's replicas are where prefill and decode are apart, as comments name them; empty: whole.
struct Pool {
  std::string name;
  int first = 0;  ///< replicas of the pool before it, which have the ports before its own
};

/// One replica's part on one node.
struct Part {
  const ReplicaShares& replica;
  std::size_t number;  ///< of the replica
  std::size_t rank;    ///< of the node within it
  const NodeShare& share() const { return replica.nodes[rank]; }
  bool head() const { return rank == 0; }
};

class ScriptWriter {
 public:
  ScriptWriter(const Scenario& scenario, const Candidate& candidate, ServingEngine engine,
               LaunchBackend backend, const LaunchChoices& choices, Pool pool = {})
      : scenario_(scenario),
        pool_(std::move(pool)),
        layout_(candidate.layout),
        engine_(engine),
        backend_(backend),
        choices_(choices),
        replicas_(replica_shares(scenario.cluster, candidate.layout)) {}

  /// What the node does for these replicas.
  std::string on_node(int node) const {
    std::string text;
    for (std::size_t r = 0; r < replicas_.size(); ++r)
      for (std::size_t rank = 0; rank < replicas_[r].nodes.size(); ++rank)
        if (replicas_[r].nodes[rank].node == node) text += part({replicas_[r], r, rank});
    return text;
  }

  /// Names of the nodes with each replica's server, and the servers' ports.
  Words servers() const {
    Words nodes;
    for (const ReplicaShares& replica : replicas_)
      nodes.push_back(
          shell_word(scenario_.cluster.nodes[static_cast<std::size_t>(replica.nodes.front().node)].name));
    return nodes;
  }
  Words ports() const {
    Words all;
    for (std::size_t r = 0; r < replicas_.size(); ++r)
      all.push_back(number(choices_.port + pool_.first + static_cast<int>(r)));
    return all;
  }

 private:
  std::string part(const Part& part) const {
    const Layout& layout = layout_;
    std::string text = indented(shell_comment(
        fmt::format("{}replica {} of {}, {} of its {} GPUs{}", pool_.name, part.number, replicas_.size(),
                    part.share().gpus.size(), layout.tp * layout.pp * layout.sharing_ranks(),
                    part.replica.in_order ? "" : "; its ranks alternate between nodes")));
    for (const std::string& nic : nics_of(scenario_.cluster, part.share()))
      text += indented(shell_comment(nic));
    text += indented("(\n");
    text += inner(fmt::format("export CUDA_VISIBLE_DEVICES={}\n", fmt::join(part.share().gpus, ",")));
    for (const EngineVariable& variable : engine_variables(engine_, layout)) {
      text += inner(shell_comment(variable.reason));
      text += inner(fmt::format("export {}={}\n", variable.name, shell_word(variable.value)));
    }
    if (!pool_.name.empty()) text += nixl_environment(part);
    text += part.replica.nodes.size() == 1 ? serve(part, {}) : over_nodes(part);
    return text + indented(") &\n");
  }

  /// The decode pool's servers fetch KV from the prefill pool's, whose addresses the proxy passes on.
  std::string nixl_environment(const Part& part) const {
    return inner(shell_comment("NIXL moves the KV over UCX, which knows nothing of NCCL's variables: "
                               "UCX_NET_DEVICES chooses its ports")) +
           inner("export VLLM_NIXL_SIDE_CHANNEL_HOST=\"$own\"\n") +
           inner(fmt::format("export VLLM_NIXL_SIDE_CHANNEL_PORT={}\n", port(nixl_port, part)));
  }

  std::string over_nodes(const Part& part) const {
    if (layout_.shares_experts())
      throw InputError(fmt::format(
          "export: found data-parallel ranks that share experts on {} nodes, expected each server's "
          "on one",
          part.replica.nodes.size()));
    if (engine_ == ServingEngine::sglang) {
      expect_equal(part, "SGLang");
      return serve(part, {"--nnodes", number(part.replica.nodes.size()), "--node-rank", number(part.rank),
                          "--dist-init-addr", fmt::format("\"$head:{}\"", port(master_port, part))});
    }
    if (backend_ == LaunchBackend::ray || !part.replica.equal() || !part.replica.in_order)
      return over_ray(part);
    Words words = {"--nnodes",      number(part.replica.nodes.size()),
                   "--node-rank",   number(part.rank),
                   "--master-addr", "\"$head\"",
                   "--master-port", number(port(master_port, part))};
    if (!part.head()) words.emplace_back("--headless");
    return serve(part, words);
  }

  std::string over_ray(const Part& part) const {
    const std::string gpus = number(part.share().gpus.size());
    const std::string at = number(port(ray_port, part));
    if (!part.head())
      return inner("exec " +
                   shell_command(
                       {"ray", "start", "--block", "--address", "\"$head:" + at + "\"", "--num-gpus", gpus}) +
                   "\n");
    std::string text =
        inner(shell_command({"ray", "start", "--head", "--port", at, "--num-gpus", gpus}) + "\n");
    text +=
        inner(fmt::format("until (($(ray list nodes --filter state=ALIVE --format json | grep -c "
                          "'\"node_id\"') >= {})); do sleep 2; done\n",
                          part.replica.nodes.size()));
    text += inner(
        shell_comment("vLLM puts its first stages on this node, the others on nodes in the order of GPUs "
                      "and addresses: compare with the stages above"));
    return text + serve(part, {"--distributed-executor-backend", "ray"});
  }

  std::string serve(const Part& part, const Words& more) const {
    Words words = engine_ == ServingEngine::vllm
                      ? Words{"exec", "vllm", "serve", "\"$model\""}
                      : Words{"exec", "python3", "-m", "sglang.launch_server", "--model-path", "\"$model\""};
    for (const std::string& word : engine_words(engine_, scenario_, layout_))
      words.push_back(shell_word(word));
    if (!pool_.name.empty() && scenario_.prefill && scenario_.prefill->kv_connector != KvConnector::nixl)
      throw InputError(fmt::format(
          "{}: found P2pNcclConnector, expected NixlConnector: its proxy's and ranks' ports are not written",
          scenario_.prefill->where));
    if (!pool_.name.empty())
      words.insert(words.end(), {"--kv-transfer-config",
                                 shell_word(R"({"kv_connector": "NixlConnector", "kv_role": "kv_both"})")});
    words.insert(words.end(), more.begin(), more.end());
    if (part.head()) words.insert(words.end(), {"--port", number(port(choices_.port, part))});
    return inner(shell_command(words) + "\n");
  }

  static void expect_equal(const Part& part, const std::string& engine) {
    if (!part.replica.equal() || !part.replica.in_order)
      throw InputError(
          fmt::format("export: found a replica with different numbers of GPUs on its nodes; {} starts as "
                      "many on each: expected "
                      "--format ray (vLLM), or a layout of equal nodes",
                      engine));
  }

  int port(int first, const Part& part) const { return first + pool_.first + static_cast<int>(part.number); }
  template <class Number>
  static std::string number(Number value) {
    return fmt::format("{}", value);
  }
  static std::string shifted(const std::string& text, const std::string& by) {
    std::string result = by;
    for (std::size_t i = 0; i < text.size(); ++i) {
      result += text[i];
      if (text[i] == '\n' && i + 1 < text.size()) result += by;
    }
    return result;
  }
  static std::string indented(const std::string& text) { return shifted(text, "  "); }
  static std::string inner(const std::string& text) { return shifted(text, "    "); }

  const Scenario& scenario_;
  Pool pool_;
  const Layout& layout_;
  ServingEngine engine_;
  LaunchBackend backend_;
  const LaunchChoices& choices_;
  std::vector<ReplicaShares> replicas_;
};

/// What every node does for the replicas of one pool or of two.
std::string cases(const Scenario& scenario, const std::vector<ScriptWriter>& pools) {
  std::string text = "case $node in\n";
  for (std::size_t node = 0; node < scenario.cluster.nodes.size(); ++node) {
    std::string own;
    for (const ScriptWriter& pool : pools) own += pool.on_node(static_cast<int>(node));
    if (own.empty()) own = "  echo 'launch: nothing is planned for this node'\n  exit 0\n";
    text += shell_word(scenario.cluster.nodes[node].name) + ")\n" + own + "  ;;\n";
  }
  return text +
         "*)\n  echo \"launch: unknown node $node\" >&2\n  exit 2\n  ;;\nesac\n"
         "# the first server that ends takes the others of this node with it\n"
         "trap 'jobs -p | xargs -r kill' EXIT\nwait -n\n";
}

/// The prefill pool's servers, then the decode pool's.
std::vector<ScriptWriter> pools_of(const Scenario& scenario, const Candidate& candidate, ServingEngine engine,
                                   LaunchBackend backend, const LaunchChoices& choices) {
  if (!candidate.prefill) return {ScriptWriter(scenario, candidate, engine, backend, choices)};
  if (engine != ServingEngine::vllm)
    throw InputError(
        "export: found a prefill and a decode pool, expected --format vllm or ray: SGLang's own "
        "disaggregation is not written");
  return {ScriptWriter(scenario, *candidate.prefill, engine, backend, choices, {"prefill pool, ", 0}),
          ScriptWriter(scenario, candidate, engine, backend, choices,
                       {"decode pool, ", candidate.prefill->layout.dp})};
}

/// How to start what sends each request to a server of either pool.
std::string proxy_comments(const std::vector<ScriptWriter>& pools) {
  const std::string command =
      shell_command({"python3", "tests/v1/kv_connector/nixl_integration/toy_proxy_server.py", "--port",
                     "8192", "--prefiller-hosts", fmt::format("{}", fmt::join(pools[0].servers(), " ")),
                     "--prefiller-ports", fmt::format("{}", fmt::join(pools[0].ports(), " ")),
                     "--decoder-hosts", fmt::format("{}", fmt::join(pools[1].servers(), " ")),
                     "--decoder-ports", fmt::format("{}", fmt::join(pools[1].ports(), " "))});
  return shell_comment(
             "Clients talk to a proxy, started once, which has each prompt computed in the prefill pool and "
             "answered by the decode pool, both in turn; vLLM's own for tests, from its repository, with the "
             "nodes' names as addresses:") +
         shell_comment(command);
}

std::string model_line(const LaunchChoices& choices) {
  if (choices.model.empty())
    return "export model=${MODEL:?set MODEL to the checkpoint: a repository name or a path}\n";
  return fmt::format("export model={}\n", shell_word(choices.model));
}

std::string nccl_part(const Scenario& scenario, const Candidate& candidate) {
  const std::vector<NcclVariable> variables = detail::launch_nccl(scenario, candidate);
  return variables.empty() ? "" : "\n" + nccl_environment_script(scenario.name, variables) + "\n";
}

}  // namespace

namespace detail {

std::vector<NcclVariable> launch_nccl(const Scenario& scenario, const Candidate& candidate) {
  if (candidate.layout.tp * candidate.layout.pp * candidate.layout.sharing_ranks() == 1) return {};
  return nccl_environment(scenario, candidate);
}

std::string launch_comments(const Scenario& scenario, const Candidate& candidate, ServingEngine engine) {
  std::string text = shell_comment(fmt::format("{}: {} with {} on {}", scenario.name,
                                               scenario.model.architecture.name, candidate.layout.describe(),
                                               scenario.cluster.kinds(scenario.cluster.gpus())));
  for (std::size_t s = 0; s < candidate.stages.size(); ++s) {
    const StageReport& stage = candidate.stages[s];
    text += shell_comment(fmt::format("stage {} of replica 0: layers {} to {} on {}", s, stage.layers.begin,
                                      stage.layers.end - 1, fmt::join(stage.gpus, ", ")));
  }
  for (const std::string& note : engine_notes(engine, scenario, candidate.layout))
    text += shell_comment(note);
  return text;
}

std::string node_cases(const Scenario& scenario, const Candidate& candidate, ServingEngine engine,
                       LaunchBackend backend, const LaunchChoices& choices) {
  return cases(scenario, pools_of(scenario, candidate, engine, backend, choices));
}

}  // namespace detail

std::string launch_script(const Scenario& scenario, const Candidate& candidate, ServingEngine engine,
                          LaunchBackend backend, const LaunchChoices& choices) {
  return "#!/usr/bin/env bash\n# shellcheck disable=SC2030,SC2031  # each server has an environment of its "
         "own\n" +
         detail::launch_comments(scenario, candidate, engine) +
         "# usage: bash launch.sh NODE [HEAD_ADDRESS], on every node; HEAD_ADDRESS is the node of a "
         "replica's first\n"
         "# stage\n"
         "set -euo pipefail\n"
         "node=${1:?usage: launch.sh NODE [HEAD_ADDRESS]}\n"
         "# shellcheck disable=SC2034  # used where a replica lies on several nodes\n"
         "head=${2:-127.0.0.1}\n" +
         (candidate.prefill
              ? "# this node's address as the others reach it\nown=${3:-$(hostname -I | cut -d ' ' -f 1)}\n" +
                    proxy_comments(pools_of(scenario, candidate, engine, backend, choices))
              : std::string()) +
         model_line(choices) + nccl_part(scenario, candidate) +
         detail::node_cases(scenario, candidate, engine, backend, choices);
}

std::string slurm_launch(const Scenario& scenario, const Candidate& candidate, const LaunchChoices& choices) {
  std::string names;
  for (const Node& node : scenario.cluster.nodes)
    names += fmt::format("{}{}", names.empty() ? "" : " ", shell_word(node.name));
  if (candidate.prefill)
    throw InputError("export: found a prefill and a decode pool, expected --format vllm or ray for them");
  const std::vector<ReplicaShares> replicas = replica_shares(scenario.cluster, candidate.layout);
  for (const ReplicaShares& replica : replicas)
    if (replica.nodes.size() > 1 && replica.nodes.front().node != replicas.front().nodes.front().node)
      throw InputError(
          "export: found replicas over several nodes with different first nodes, which one Slurm job cannot "
          "address; "
          "expected --format vllm or ray");
  const int head = replicas.front().nodes.front().node;
  return "#!/usr/bin/env bash\n#SBATCH --job-name=sextant-serve\n" +
         fmt::format("#SBATCH --nodes={0}\n#SBATCH --ntasks={0}\n", scenario.cluster.nodes.size()) +
         "#SBATCH --ntasks-per-node=1\n#SBATCH --exclusive\n" +
         detail::launch_comments(scenario, candidate, ServingEngine::vllm) +
         shell_comment(
             "The n-th node of the allocation (by name) is the n-th of the plan; choose them with sbatch "
             "--nodelist where GPUs differ.") +
         "set -euo pipefail\n" + model_line(choices) +
         "mapfile -t hosts < <(scontrol show hostnames \"$SLURM_JOB_NODELIST\")\n" +
         fmt::format("export head=${{hosts[{}]}}\n", head) +
         "script=$(cat <<'END_OF_NODE_SCRIPT'\nset -euo pipefail\nnodes=(" + names +
         ")\nnode=${nodes[$SLURM_PROCID]}\n" + nccl_part(scenario, candidate) +
         detail::node_cases(scenario, candidate, ServingEngine::vllm, LaunchBackend::automatic, choices) +
         "END_OF_NODE_SCRIPT\n)\nsrun --kill-on-bad-exit=1 bash -c \"$script\"\n";
}

}  // namespace sextant
