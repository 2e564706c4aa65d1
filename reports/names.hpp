#pragma once
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace sextant {

/// A metric as `vllm bench serve` prints it: "p99_ttft_ms" -> "P99 TTFT (ms)". An unknown name stays as it
/// is.
std::string metric_label(const std::string& metric);

/// Device names with runs folded: node-a/gpu0, node-a/gpu1, node-b/gpu0 -> "node-a/gpu0-1, node-b/gpu0".
std::string device_list(const std::vector<std::string>& names);

/// Name of a device; "device 7" if the cluster has none of that index.
std::string device_name(const Cluster&, int device);

/// The GPUs of a layout, stage by stage, replicas separated by "; ".
std::string layout_gpus(const Cluster&, const Layout&);

/// "42/42/42"; runs of equal counts are folded where there are many stages: "8 x16".
std::string split_text(const Layout&);

}  // namespace sextant
