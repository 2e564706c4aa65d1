#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "sim/fabric/route.hpp"

namespace sextant::test {

/// A curve of t0 + bytes / rate through two points, 1 KB and 1 MB, so that times can be worked out by hand.
inline TransferCurve toy_curve(double t0_us, double gbps) {
  TransferCurve curve;
  curve.grade = Grade::fitted;
  curve.source = "toy";
  curve.bytes = {1e3, 1e6};
  for (const double bytes : curve.bytes) curve.us.push_back(t0_us + bytes / (gbps * 1e3));
  curve.spread = {0.5, 2};
  return curve;
}

/// Writes link profiles into a folder and makes find_link_profile look there first, as a user would.
class ToyProfiles {
 public:
  ToyProfiles() : folder_(testing::TempDir() + "sextant_fabric_profiles_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
    add("pcie-gen4", "pcie", 32, 4, 25, true);
    add("pcie-gen5", "pcie", 64, 4, 50, true);
    add("nvlink4", "nvlink", 450, 3, 300, false);
    add("roce-200", "roce", 25, 20, 20, true);
    add("roce-spark-200", "roce", 25, 25, 16, true);
    add("roce-400", "roce", 50, 20, 40, false);
    add("ib-400", "ib", 50, 10, 40, true);
    add("tcp-200", "tcp", 25, 80, 5, true);
    setenv("SEXTANT_PROFILES", folder_.c_str(), 1);
  }
  ~ToyProfiles() {
    unsetenv("SEXTANT_PROFILES");
    std::filesystem::remove_all(folder_);
  }
  ToyProfiles(const ToyProfiles&) = delete;
  ToyProfiles& operator=(const ToyProfiles&) = delete;

 private:
  /// Staged transfers take twice the latency at a quarter of the rate.
  void add(const std::string& name, const std::string& link, double line, double t0_us, double gbps,
           bool staged) {
    LinkProfile profile;
    profile.name = name;
    profile.link = link;
    profile.provenance = "toy";
    profile.line_gbps = line;
    profile.send = toy_curve(t0_us, gbps);
    if (staged) profile.staged = toy_curve(2 * t0_us, gbps / 4);
    write_text_file(folder_ + "/link." + name + ".json", write_link_profile(profile));
  }
  std::string folder_;
};

/// Builds a cluster device by device, where the scenario's short form cannot.
struct ToyCluster {
  Cluster cluster;

  int node(const std::string& name, bool peer_to_peer = true) {
    cluster.nodes.push_back({name, "workstation", peer_to_peer, {}, {}});
    return static_cast<int>(cluster.nodes.size()) - 1;
  }
  int device(DeviceKind kind, int node, const std::string& name, const std::string& model = "") {
    const int index = static_cast<int>(cluster.devices.size());
    const std::string prefix = node < 0 ? "" : cluster.nodes[static_cast<std::size_t>(node)].name + "/";
    cluster.devices.push_back({prefix + name, kind, node, model});
    if (kind == DeviceKind::gpu) cluster.nodes[static_cast<std::size_t>(node)].gpus.push_back(index);
    if (kind == DeviceKind::nic) cluster.nodes[static_cast<std::size_t>(node)].nics.push_back(index);
    return index;
  }
  int link(int from, int to, const std::string& kind, double gbps, double latency_us = 0.3) {
    cluster.links.push_back({from, to, kind, gbps, latency_us});
    return static_cast<int>(cluster.links.size()) - 1;
  }
};

inline Cluster cluster(const std::string& json) {
  return read_cluster(JsonValue::parse(json, "test"));
}

template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace sextant::test
