#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/base/json_reader.hpp"
#include "models/hardware/cluster.hpp"
#include "sim/scenario/faults.hpp"
#include "sim/scenario/search_choices.hpp"
#include "sim/scenario/uplink.hpp"
#include "sim/serving/engine_options.hpp"
#include "sim/serving/kv_handovers.hpp"
#include "sim/serving/layout.hpp"
#include "sim/serving/metrics.hpp"
#include "sim/serving/replica_model.hpp"
#include "sim/serving/router.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {

/// A bound on one metric of the result: {"p99_ttft_ms": "<=2000"}.
struct ServiceLevel {
  std::string metric;
  bool at_most = true;  ///< "<=", else ">="
  double bound = 0;
};

/// The metrics an SLO may name, with their values in a result.
std::vector<std::pair<std::string, double>> named_metrics(const ServingMetrics&);

/// Why the bounds cannot all hold, whatever serves them ("found mean_ttft_ms >=50 and p99_ttft_ms <=10, which
/// exclude each other: …"); nullopt if they can.
std::optional<std::string> contradiction(const std::vector<ServiceLevel>&);

/// What running it costs; all given by the user, nothing invented.
struct Economics {
  double capital_usd = 0;
  double years = 3;        ///< given wherever capital_usd is
  double power_watts = 0;  ///< at the wall, under load; 0: what the GPUs are predicted to draw
  double electricity_usd_per_kwh = 0;
  double utilisation = 1;  ///< share of the time it serves at the simulated rate
  double usd_per_hour(double predicted_gpu_watts = 0) const;
};

/// A named change to a scenario: paths and their new values, as JSON text.
struct Variant {
  std::string name;
  std::vector<std::pair<std::string, std::string>> changes;
};

/// How the deployment is given: nullopt layout means "search".
struct FixedDeployment {
  int tp = 1, pp = 1, dp = 1;
  std::vector<int> layers;  ///< of each stage; empty: even
  std::vector<std::string>
      placement;  ///< GPU names, replica by replica, stage by stage, rank by rank; empty: in order
  int ep = 1;     ///< 1 or tp; above tp, GPUs of ep / tp of the replicas that share experts
  std::string where = "deployment";  ///< file and path, for messages
};

/// Replicas that compute prompts and hand their KV to those of the deployment, which then decode only.
struct PrefillPool {
  FixedDeployment deployment;
  FirstToken first_token = FirstToken::decode;
  KvConnector kv_connector = KvConnector::nixl;
  std::string where = "deployment.kv_connector";  ///< file and path of kv_connector, for messages
};

/// cluster + model + deployment + engine + router + workload + slo + economics + variants.
struct Scenario {
  std::string name;
  std::string description;
  Cluster cluster;
  ServedModel model;
  std::optional<FixedDeployment> deployment;  ///< nullopt: search; with `prefill` the decode pool
  std::optional<PrefillPool> prefill;         ///< prefill and decode apart
  SearchQuestion search;                      ///< what a search looks for and may choose
  EngineOptions engine;
  RouterOptions router;  ///< where dp > 1
  Workload workload;
  std::vector<ServiceLevel> slo;
  RequestBounds goodput;
  std::optional<Economics> economics;
  std::vector<Variant> variants;
  std::optional<Uplink> uplink;
  std::vector<Fault> faults;  ///< that strike during the run
};

/// Reads a scenario document; strict. Throws InputError.
Scenario read_scenario(const JsonValue&);

/// The document with each (path, JSON text) replaced. A path is keys and indices, "cluster.nodes[0].nic";
/// "[*]" stands for every element. A value that is not JSON is taken as a string. The last key may be new;
/// what leads to it must exist. Throws InputError naming the nearest key.
JsonValue with_changes(const JsonValue&, const std::vector<std::pair<std::string, std::string>>& changes);

}  // namespace sextant
