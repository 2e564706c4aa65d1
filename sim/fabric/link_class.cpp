#include "sim/fabric/link_class.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "models/base/error.hpp"

namespace sextant {

LinkClass nvlink_class(double gbps) {
  struct Generation {
    int number;
    double gbps;
  };
  // The same rates as the catalogue's nvlink_gbps of A100, H100 and B200, where their sources stand.
  constexpr std::array<Generation, 3> generations = {{{3, 300}, {4, 450}, {5, 900}}};
  for (const Generation& generation : generations)
    if (gbps <= generation.gbps)
      return {fmt::format("nvlink{}", generation.number), fmt::format("NVLink, {:.0f} GB/s", gbps)};
  throw InputError(fmt::format("found an nvlink of {:.0f} GB/s each way, expected at most {:.0f}", gbps,
                               generations.back().gbps));
}

LinkClass pcie_class(const Gpu& a, const Gpu& b, const Node& node, double gbps) {
  const int generation =
      std::min({a.pcie_generation, b.pcie_generation, find_node_type(node.type).pcie_generation});
  const std::string profile = fmt::format("pcie-gen{}", generation);
  if (generation < 1) return {profile, "chip to chip"};
  return {profile,
          fmt::format("PCIe Gen{} x{:.0f}", generation, std::round(gbps / pcie_gbps(generation, 1)))};
}

LinkClass network_class(const std::string& transport, const Nic& a, const Nic& b) {
  const double rate = std::min(a.rate_gbits.value, b.rate_gbits.value);
  const char* words = transport == "roce" ? "RoCE" : transport == "ib" ? "InfiniBand" : "TCP";
  const std::string spark = "connectx-7-spark-200";
  const bool sparks = transport == "roce" && a.name == spark && b.name == spark;
  return {sparks ? "roce-spark-200" : fmt::format("{}-{:.0f}", transport, rate),
          fmt::format("{} {:.0f} Gbit/s", words, rate)};
}

}  // namespace sextant
