#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>

#include "calibrate/doctor/doctor.hpp"

namespace sextant {
namespace {

/// How far apart, nearest first; NV# counts as nearest.
int distance(const std::string& connection) {
  constexpr std::array<const char*, 5> order = {"PIX", "PXB", "PHB", "NODE", "SYS"};
  for (std::size_t i = 0; i < order.size(); ++i)
    if (connection == order[i]) return static_cast<int>(i) + 1;
  return 0;
}
constexpr int farthest_by_itself = 2;  // PXB: NCCL's own limit for GPUDirect RDMA
constexpr int across_sockets = 5;

struct Nearest {
  std::string nic, connection;
  int distance = across_sockets + 1;
};

}  // namespace

void Doctor::look_at_topology(const JsonValue& context, const std::string& where) {
  const JsonObject object = context.object();
  std::map<std::string, std::string> names;
  if (const auto nics = object.find("nics"))
    for (const auto& [number, name] : nics->object().entries()) names[number] = name.text();
  std::map<std::string, Nearest> nearest;
  std::string split_pair;
  for (const JsonValue& device : object.at("devices").array())
    if (device.text().starts_with("GPU")) nearest[device.text()];
  bool has_nic = false;
  for (const JsonValue& value : object.at("pairs").array()) {
    const JsonObject pair = value.object();
    const std::string a = pair.text("a"), b = pair.text("b"), connection = pair.text("connection");
    const bool gpu_a = a.starts_with("GPU"), gpu_b = b.starts_with("GPU");
    if (gpu_a && gpu_b && distance(connection) == across_sockets && split_pair.empty())
      split_pair = a + " and " + b;
    if (gpu_a == gpu_b) continue;
    has_nic = true;
    const std::string& nic = gpu_a ? b : a;
    Nearest& best = nearest[gpu_a ? a : b];
    if (distance(connection) < best.distance)
      best = {names.count(nic) > 0 ? names[nic] : nic, connection, distance(connection)};
  }
  if (!has_nic) could_not_check("distance of GPUs and NICs", where + " names no NIC");
  for (const auto& [gpu, best] : nearest) {
    if (best.nic.empty()) continue;
    const std::string found = fmt::format("{} to {}, its nearest NIC ({})", best.connection, best.nic, where);
    if (best.distance == across_sockets)
      find("sys-between", gpu, found, {{"gpu", gpu}}, {{"cluster.network.gpudirect", "false"}});
    else if (best.distance > farthest_by_itself && expectation_.gpudirect_possible)
      find("far-nic", gpu, found);
    else
      pass(fmt::format("{}: {}", gpu, found));
  }
  if (!split_pair.empty()) find("gpus-across-sockets", split_pair, fmt::format("SYS ({})", where));
}

}  // namespace sextant
