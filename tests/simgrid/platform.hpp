#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace sextant::test {

/// Flows over links of one direction, for either simulator.
struct FlowWork {
  struct Flow {
    std::vector<int> path;  ///< indices of capacities
    double start_s = 0, bytes = 0;
    double limit_bytes_per_s = 0;  ///< 0: none
  };
  std::vector<double> capacities_bytes_per_s;
  std::vector<Flow> flows;
  bool one_path_between_ends = false;  ///< the first and the last link of a path say which path it is
};

/// When each flow ends, in seconds, by Sextant's engine.
std::vector<double> sextant_ends(const FlowWork&);

/// The same by SimGrid (CM02; crosstraffic, TCP-gamma and latencies 0), several works side by side in one
/// run: a process can run SimGrid once.
std::vector<std::vector<double>> simgrid_ends(const std::vector<FlowWork>&, double* run_seconds = nullptr);

/// A random platform of 2 to 40 links and 5 to 60 flows, some with a limit of their own.
FlowWork random_work(std::uint64_t seed);

/// `hosts` on one switch, a link up and a link down each, and flows between random pairs, all at once.
FlowWork star_work(int hosts, int flows);

}  // namespace sextant::test
