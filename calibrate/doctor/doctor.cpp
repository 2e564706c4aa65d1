#include "calibrate/doctor/doctor.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace sextant {

FabricExpectation expectation_of(const Cluster& cluster) {
  FabricExpectation expectation;
  expectation.transport = cluster.network.transport;
  expectation.several_nodes = cluster.nodes.size() > 1;
  for (const Node& node : cluster.nodes) {
    expectation.peers = expectation.peers && node.peer_to_peer;
    for (const int device : node.nics) {
      const Nic& nic = find_nic(cluster.devices[static_cast<std::size_t>(device)].model);
      // One figure is checked on every machine: of unlike NICs the slowest, which each of them should reach.
      const double rate = nic.rate_gbits.value / nic.ports;
      if (expectation.port_gbps && *expectation.port_gbps <= rate) continue;
      expectation.port_gbps = rate;
      expectation.port_source = "the scenario's " + nic.name;
    }
  }
  for (const int gpu : cluster.gpus())
    expectation.gpudirect_possible = expectation.gpudirect_possible && cluster.gpu(gpu).gpudirect_rdma;
  return expectation;
}

std::optional<double> Doctor::port_gbps() const {
  if (expectation_.port_gbps) return expectation_.port_gbps;
  std::optional<double> fastest;
  for (const RdmaPort& port : ports_)
    if (port.state == "ACTIVE" && port.rate_gbps) fastest = std::max(fastest.value_or(0), *port.rate_gbps);
  return fastest;
}

void Doctor::find(const std::string& symptom, const std::string& subject, const std::string& found,
                  const Words& words, std::vector<ScenarioChange> changes) {
  Finding finding = symptoms_.describe(symptom, words);
  finding.subject = subject;
  finding.found = found;
  finding.changes = std::move(changes);
  diagnosis_.findings.push_back(std::move(finding));
}

Diagnosis Doctor::result() const {
  Diagnosis sorted = diagnosis_;
  std::stable_sort(sorted.findings.begin(), sorted.findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return sorted;
}

std::string nic_of_rate(double gbps) {
  const Nic* best = nullptr;
  for (const Nic& nic : hardware_catalogue().nics) {
    const double rate = nic.rate_gbits.value;
    if (nic.ports == 1 && rate <= gbps && (!best || rate > best->rate_gbits.value)) best = &nic;
  }
  return best ? best->name : "";
}

std::optional<double> usable_gbps(const PcieLink& link, double share) {
  constexpr double new_coding_from_gts = 8, new_coding = 128.0 / 130.0, old_coding = 0.8;
  if (!link.speed_gts || !link.lanes) return std::nullopt;
  return *link.speed_gts * *link.lanes * (*link.speed_gts >= new_coding_from_gts ? new_coding : old_coding) *
         share;
}

}  // namespace sextant
