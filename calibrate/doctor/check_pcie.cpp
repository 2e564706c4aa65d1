#include <fmt/core.h>

#include <algorithm>

#include "calibrate/doctor/doctor.hpp"

namespace sextant {
namespace {

std::string link_text(std::optional<double> speed, std::optional<int> lanes) {
  return fmt::format("{} x{}", speed ? fmt::format("{:g} GT/s", *speed) : "unknown speed",
                     lanes ? std::to_string(*lanes) : "?");
}

bool is_network_card(const PcieLink& link) {
  return link.name.starts_with("mlx") || link.name.find("Mellanox") != std::string::npos ||
         link.name.find("ConnectX") != std::string::npos;
}

bool is_gpu(const PcieLink& link) {
  return link.name.starts_with("GPU") || (link.name.find("NVIDIA") != std::string::npos &&
                                          (link.name.find("VGA") != std::string::npos ||
                                           link.name.find("3D controller") != std::string::npos));
}

}  // namespace

void Doctor::look_at_pcie(const std::vector<PcieLink>& links, const std::string& where) {
  for (const PcieLink& link : links) {
    const bool network = is_network_card(link), gpu = is_gpu(link);
    if (!network && !gpu) continue;
    const std::string subject = link.address.empty() || link.name.find(link.address) != std::string::npos
                                    ? link.name
                                    : fmt::format("{} ({})", link.name, link.address);
    const std::string found = fmt::format("{} ({})", link_text(link.speed_gts, link.lanes), where);
    const Words words = {
        {"expected", link_text(link.highest_speed_gts, link.most_lanes) + ", of which the device is capable"},
        {"address", link.address.empty() ? "ADDRESS" : link.address}};
    if (!link.lanes || !link.speed_gts) {
      could_not_check("PCIe link of " + subject, where + " does not tell it");
      continue;
    }
    const bool narrow = link.most_lanes && *link.lanes < *link.most_lanes;
    const bool slow = link.highest_speed_gts && *link.speed_gts < *link.highest_speed_gts;
    const double port = network ? port_gbps().value_or(0) : 0;
    const double usable = usable_gbps(link, symptoms_.threshold("pcie_share")).value_or(0);
    if (port > 0 && usable < port) {
      Words needed = words;
      needed["gbps"] = fmt::format("{:g}", port);
      std::vector<ScenarioChange> changes;
      if (const std::string nic = nic_of_rate(usable); !nic.empty())
        changes = {{"cluster.nodes[*].nic", nic}};
      find(narrow || slow ? "pcie-narrow" : "pcie-too-small", subject,
           fmt::format("{}: {:.0f} Gbit/s at best for a port of {:g}", found, usable, port), needed, changes);
    } else if (gpu && slow && !narrow) {
      // GPUs slow their link down when idle; the width stays.
      could_not_check("PCIe speed of " + subject,
                      fmt::format("{}, of {}: an idle GPU lowers it; look again under load",
                                  link_text(link.speed_gts, link.lanes),
                                  link_text(link.highest_speed_gts, link.most_lanes)));
    } else if (narrow || slow) {
      find("pcie-below-best", subject, found, words);
    } else {
      pass(fmt::format("{}: PCIe {}", subject, found));
    }
  }
}

}  // namespace sextant
