#include <fmt/core.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>

#include "models/base/error.hpp"
#include "reports/launch/launch_script.hpp"
#include "reports/launch/quoting.hpp"
#include "reports/launch/shares.hpp"
#include "reports/launch/yaml.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto node_label = "sextant.dev/node";
constexpr int ray_port = 6379, master_port = 29500;

/// Writes the manifests of one plan. LeaderWorkerSet's own variables (LWS_LEADER_ADDRESS, LWS_GROUP_SIZE,
/// LWS_WORKER_INDEX) are what the pods of a group know of each other.
class ManifestWriter {
 public:
  ManifestWriter(const Scenario& scenario, const Candidate& candidate, const LaunchChoices& choices)
      : scenario_(scenario),
        candidate_(candidate),
        choices_(choices),
        name_(kubernetes_name(scenario.name)),
        replicas_(replica_shares(scenario.cluster, candidate.layout)),
        nccl_(detail::launch_nccl(scenario, candidate)) {
    std::set<std::string> taken;
    for (const Node& node : scenario.cluster.nodes) {
      std::string label = kubernetes_name(node.name);
      while (!taken.insert(label).second)
        label += "-x";  // two names may differ in signs that a label cannot have
      labels_.push_back(label);
    }
  }

  std::string comments() const {
    std::string text = detail::launch_comments(scenario_, candidate_, ServingEngine::vllm);
    text += shell_comment(
        "needs LeaderWorkerSet (leaderworkerset.x-k8s.io/v1) and NVIDIA's device plugin; a token for the "
        "checkpoint, "
        "if it needs one, belongs into a Secret of your own");
    for (std::size_t n = 0; n < labels_.size(); ++n)
      text += shell_comment(fmt::format("label the node that is {}: kubectl label node NODE {}={}",
                                        shell_word(scenario_.cluster.nodes[n].name), node_label, labels_[n]));
    for (const ReplicaShares& replica : replicas_)
      for (const NodeShare& share : replica.nodes)
        if (share.gpus.size() < scenario_.cluster.nodes[static_cast<std::size_t>(share.node)].gpus.size())
          text += shell_comment(fmt::format("planned on GPUs {} of {}; the device plugin chooses them itself",
                                            fmt::join(share.gpus, ", "),
                                            labels_[static_cast<std::size_t>(share.node)]));
    for (const EngineVariable& variable : engine_variables(ServingEngine::vllm, candidate_.layout))
      text += shell_comment(variable.name + ": " + variable.reason);
    for (const NcclVariable& variable : nccl_) {
      if (variable.value)
        text += shell_comment(variable.name + ": " + variable.reason);
      else if (variable.must_be_filled_in())
        text += shell_comment(variable.name + " is to be added to env for each node: " + variable.reason +
                              "; look up: " + variable.look_up);
    }
    return text;
  }

  Json leader_worker_set(std::size_t number) const {
    const ReplicaShares& replica = replicas_[number];
    for (std::size_t n = 2; n < replica.nodes.size(); ++n)
      if (replica.nodes[n].gpus.size() != replica.nodes[1].gpus.size())
        throw InputError(
            fmt::format("export: found workers of {} and {} GPUs in replica {}, expected as many in each: a "
                        "LeaderWorkerSet has one "
                        "template for its workers; use --format ray",
                        replica.nodes[1].gpus.size(), replica.nodes[n].gpus.size(), number));
    Json groups = {{"size", replica.nodes.size()},
                   {"restartPolicy", "RecreateGroupOnPodRestart"},
                   {"leaderTemplate", pod_template(number, replica, {0}, leader_command(replica))}};
    std::vector<std::size_t> workers;
    for (std::size_t n = 1; n < replica.nodes.size(); ++n) workers.push_back(n);
    groups["workerTemplate"] = workers.empty()
                                   ? pod_template(number, replica, {0}, leader_command(replica))
                                   : pod_template(number, replica, workers, worker_command(replica));
    return {{"apiVersion", "leaderworkerset.x-k8s.io/v1"},
            {"kind", "LeaderWorkerSet"},
            {"metadata", {{"name", object_name(number)}, {"annotations", annotations(replica)}}},
            {"spec", {{"replicas", 1}, {"leaderWorkerTemplate", groups}}}};
  }

  Json service() const {
    return {{"apiVersion", "v1"},
            {"kind", "Service"},
            {"metadata", {{"name", name_}}},
            {"spec",
             {{"selector", {{"app.kubernetes.io/name", name_}, {"sextant.dev/role", "head"}}},
              {"ports",
               Json::array({{{"name", "http"}, {"port", choices_.port}, {"targetPort", choices_.port}}})}}}};
  }

  std::size_t replicas() const { return replicas_.size(); }

 private:
  std::string object_name(std::size_t number) const { return fmt::format("{}-{}", name_, number); }

  bool with_ray(const ReplicaShares& replica) const {
    return replica.nodes.size() > 1 && (!replica.equal() || !replica.in_order);
  }

  /// The GPU-to-NIC mapping of each node, for people and tools.
  Json annotations(const ReplicaShares& replica) const {
    Json notes = {{"sextant.dev/layout", candidate_.layout.describe()}};
    for (const NodeShare& share : replica.nodes) {
      std::vector<std::string> lines = nics_of(scenario_.cluster, share);
      if (lines.empty())
        for (const int gpu : share.gpus) lines.push_back(fmt::format("gpu{}", gpu));
      notes["sextant.dev/gpus." + labels_[static_cast<std::size_t>(share.node)]] =
          fmt::format("{}", fmt::join(lines, ", "));
    }
    return notes;
  }

  std::vector<std::string> serve_words() const {
    std::vector<std::string> words = {"vllm", "serve", choices_.model};
    for (const std::string& word : engine_words(ServingEngine::vllm, scenario_, candidate_.layout))
      words.push_back(word);
    return words;
  }

  /// The words as Kubernetes passes them on; `own` are variables it shall fill in.
  static Json command(const std::vector<std::string>& words, const std::vector<std::string>& own = {}) {
    Json list = Json::array();
    for (const std::string& word : words) list.push_back(kubernetes_text(word));
    for (const std::string& word : own) list.push_back(word);
    return list;
  }

  std::vector<std::string> node_words(const ReplicaShares& replica, const std::string& rank) const {
    return {"--nnodes",      fmt::format("{}", replica.nodes.size()),
            "--node-rank",   rank,
            "--master-addr", "$(LWS_LEADER_ADDRESS)",
            "--master-port", fmt::format("{}", master_port)};
  }

  Json leader_command(const ReplicaShares& replica) const {
    std::vector<std::string> words = serve_words();
    words.insert(words.end(), {"--port", fmt::format("{}", choices_.port)});
    if (replica.nodes.size() == 1) return command(words);
    if (!with_ray(replica)) return command(words, node_words(replica, "0"));
    words.insert(words.end(), {"--distributed-executor-backend", "ray"});
    std::vector<std::string> quoted;
    for (const std::string& word : words) quoted.push_back(shell_word(word));
    return command(
        {"bash", "-c",
         fmt::format(
             "set -euo pipefail\nray start --head --port {} --num-gpus {}\n"
             "until (($(ray list nodes --filter state=ALIVE --format json | grep -c '\"node_id\"') >= "
             "{})); do sleep 2; done\nexec {}\n",
             ray_port, replica.nodes.front().gpus.size(), replica.nodes.size(), shell_command(quoted))});
  }

  Json worker_command(const ReplicaShares& replica) const {
    if (with_ray(replica))
      return command(
          {"ray", "start", "--block", "--num-gpus", fmt::format("{}", replica.nodes[1].gpus.size())},
          {"--address", fmt::format("$(LWS_LEADER_ADDRESS):{}", ray_port)});
    std::vector<std::string> own = node_words(replica, "$(LWS_WORKER_INDEX)");
    own.emplace_back("--headless");
    return command(serve_words(), own);
  }

  Json environment() const {
    Json list = Json::array();
    for (const EngineVariable& variable : engine_variables(ServingEngine::vllm, candidate_.layout))
      list.push_back({{"name", variable.name}, {"value", kubernetes_text(variable.value)}});
    for (const NcclVariable& variable : nccl_)
      if (variable.value)
        list.push_back({{"name", variable.name}, {"value", kubernetes_text(*variable.value)}});
    return list;
  }

  Json affinity(const ReplicaShares& replica, const std::vector<std::size_t>& nodes) const {
    Json values = Json::array();
    for (const std::size_t n : nodes)
      values.push_back(labels_[static_cast<std::size_t>(replica.nodes[n].node)]);
    const Json here = {
        {"matchExpressions", Json::array({{{"key", node_label}, {"operator", "In"}, {"values", values}}})}};
    return {
        {"nodeAffinity",
         {{"requiredDuringSchedulingIgnoredDuringExecution", {{"nodeSelectorTerms", Json::array({here})}}}}}};
  }

  Json pod_template(std::size_t number, const ReplicaShares& replica, const std::vector<std::size_t>& nodes,
                    const Json& words) const {
    const bool head = nodes.front() == 0, over_network = replica.nodes.size() > 1;
    const bool rdma = over_network && scenario_.cluster.network.transport != "tcp";
    Json container = {
        {"name", "vllm"},
        {"image", choices_.image},
        {"command", words},
        {"env", environment()},
        {"resources",
         {{"limits", {{"nvidia.com/gpu", fmt::format("{}", replica.nodes[nodes.front()].gpus.size())}}}}},
        {"volumeMounts", Json::array({{{"name", "shared-memory"}, {"mountPath", "/dev/shm"}}})}};
    if (rdma) container["securityContext"] = {{"capabilities", {{"add", Json::array({"IPC_LOCK"})}}}};
    if (head) {
      container["ports"] = Json::array({{{"name", "http"}, {"containerPort", choices_.port}}});
      container["readinessProbe"] = {{"httpGet", {{"path", "/health"}, {"port", choices_.port}}},
                                     {"periodSeconds", 10},
                                     {"failureThreshold", 3}};
    }
    Json spec = {
        {"affinity", affinity(replica, nodes)},
        {"containers", Json::array({container})},
        {"volumes", Json::array({{{"name", "shared-memory"}, {"emptyDir", {{"medium", "Memory"}}}}})}};
    if (over_network) {  // NCCL's interfaces and NICs are the host's
      spec["hostNetwork"] = true;
      spec["dnsPolicy"] = "ClusterFirstWithHostNet";
    }
    return {{"metadata",
             {{"labels",
               {{"app.kubernetes.io/name", name_},
                {"app.kubernetes.io/instance", object_name(number)},
                {"sextant.dev/role", head ? "head" : "worker"}}}}},
            {"spec", spec}};
  }

  const Scenario& scenario_;
  const Candidate& candidate_;
  const LaunchChoices& choices_;
  std::string name_;
  std::vector<ReplicaShares> replicas_;
  std::vector<NcclVariable> nccl_;
  std::vector<std::string> labels_;  ///< of each node
};

}  // namespace

std::string kubernetes_launch(const Scenario& scenario, const Candidate& candidate,
                              const LaunchChoices& choices) {
  if (candidate.prefill)
    throw InputError("export: found a prefill and a decode pool, expected --format vllm or ray for them");
  if (choices.model.empty() || choices.image.empty())
    throw InputError(
        "export --format kubernetes: expected --model NAME and --image IMAGE, which no plan has");
  const ManifestWriter writer(scenario, candidate, choices);
  std::string text = writer.comments() + yaml(writer.service());
  for (std::size_t replica = 0; replica < writer.replicas(); ++replica)
    text += "---\n" + yaml(writer.leader_worker_set(replica));
  return text;
}

}  // namespace sextant
