#pragma once
#include <optional>
#include <string>
#include <vector>

#include "calibrate/doctor/finding.hpp"
#include "calibrate/doctor/machine.hpp"
#include "calibrate/doctor/symptoms.hpp"
#include "calibrate/import/nccl_log_facts.hpp"
#include "calibrate/import/rdma_facts.hpp"
#include "models/hardware/cluster.hpp"
#include "models/profile/measurement.hpp"

namespace sextant {

/// What the fabric should be; unset is what nobody said.
struct FabricExpectation {
  std::optional<double> port_gbps;  ///< Gbit/s of one NIC
  std::string port_source;          ///< "the scenario's connectx-7-200", "--rate-gbps"
  std::string transport;            ///< roce, ib, tcp; empty: not said
  bool several_nodes = false;
  bool gpudirect_possible = true;
  bool peers = true;  ///< GPUs of a node reach each other without host memory
};
FabricExpectation expectation_of(const Cluster&);

/// Looks at facts, one kind at a time, and collects what is wrong, what is right and what cannot be told.
class Doctor {
 public:
  Doctor(Symptoms symptoms, FabricExpectation expectation)
      : symptoms_(std::move(symptoms)), expectation_(std::move(expectation)) {}

  void look_at_machine(const MachineFacts&);
  /// `where`: file or "this machine".
  void look_at_ports(const std::vector<RdmaPort>&, const std::string& where);
  void look_at_pcie(const std::vector<PcieLink>&, const std::string& where);
  void look_at_qos(const QosFacts&, const std::string& where);
  void look_at_nccl_log(const NcclLogFacts&, const std::string& where);
  /// The context line that import_topology passes on.
  void look_at_topology(const JsonValue& context, const std::string& where);
  /// rdma, tcp, collective and p2p rows, of one or several files: host and GPU memory, one node and two
  /// belong together.
  void look_at_rows(const std::vector<Measurement>&, const std::string& where);

  /// The line rate a port should have: expected, or that of the fastest port seen; nullopt if neither is
  /// known.
  std::optional<double> port_gbps() const;
  void could_not_check(const std::string& what, const std::string& why) {
    diagnosis_.could_not_check(what, why);
  }
  /// Findings, worst first.
  Diagnosis result() const;

 private:
  using Words = std::map<std::string, std::string>;
  void find(const std::string& symptom, const std::string& subject, const std::string& found,
            const Words& words = {}, std::vector<ScenarioChange> changes = {});
  void pass(std::string text) { diagnosis_.passed.push_back(std::move(text)); }

  // ports
  void look_at_rate(const RdmaPort&, double expected, const std::string& why, const std::string& where);
  void look_at_gids(const RdmaPort&, const std::string& where);
  void look_at_link_layer(const RdmaPort&, const std::string& where);
  void look_at_mtu(const RdmaPort&, std::optional<int> interface_mtu, const std::string& where);
  // machine
  void look_at_modules(const MachineFacts&);
  void look_at_numa(const MachineFacts&);
  void look_at_permissions(const MachineFacts&);
  void look_at_ecn(const MachineFacts&);
  void look_at_adapters(const MachineFacts&);
  void look_at_names(const NcclLogFacts&, const std::string& where);
  // log
  void look_inside_nodes(const NcclLogFacts&, const std::string& where);
  void look_between_nodes(const NcclLogFacts&, const std::string& where);
  void look_at_variables(const NcclLogFacts&, bool gpudirect, const std::string& where);
  // rows
  void look_at_bandwidth(const Measurement&, const RdmaRow&, const std::string& where);
  void look_at_latency(const Measurement&, const RdmaRow&, const std::string& where);
  void look_at_gpu_memory(const std::vector<const RdmaRow*>&, const std::string& where);
  void look_at_tcp(const std::vector<const TcpRow*>&, const std::string& where);
  void look_at_busbw(const std::vector<const CollectiveRow*>&, const std::string& where);
  void look_at_drop(const std::vector<const CollectiveRow*>&, const std::string& where);

  Symptoms symptoms_;
  FabricExpectation expectation_;
  Diagnosis diagnosis_;
  std::optional<MachineFacts> machine_;
  std::vector<RdmaPort> ports_;  ///< all that were seen
};

/// PCIe's raw rate in Gbit/s, less coding and headers as the thresholds say; nullopt if speed or lanes are
/// not known.
std::optional<double> usable_gbps(const PcieLink&, double share);

/// The catalogue's NIC of the fastest line rate that is at most so many Gbit/s; empty if there is none.
std::string nic_of_rate(double gbps);

}  // namespace sextant
