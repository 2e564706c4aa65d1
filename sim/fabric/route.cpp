#include "sim/fabric/route.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "models/base/error.hpp"

namespace sextant {
namespace {

bool staged(RouteKind kind) {
  return kind == RouteKind::pcie_staged || kind == RouteKind::network_staged;
}

const TransferCurve& curve(const Route& route) {
  if (!staged(route.kind)) return route.profile.send;
  if (!route.profile.staged)
    throw InputError(fmt::format(
        "link profile {}: found no curve 'staged', expected one: the route goes through host memory",
        route.profile.name));
  return *route.profile.staged;
}

}  // namespace

std::string to_string(RouteKind kind) {
  constexpr std::array names = {"same_gpu",          "nvlink",        "pcie_peer", "pcie_staged",
                                "network_gpudirect", "network_staged"};
  return names[static_cast<std::size_t>(kind)];
}

double Route::seconds(double bytes, double level) const {
  if (kind == RouteKind::same_gpu) return 0;
  const TransferCurve& transfer = curve(*this);
  const double factor =
      level >= 0 ? std::pow(transfer.spread.high, level) : std::pow(transfer.spread.low, -level);
  return std::max(transfer.time_us(bytes) * 1e-6 * factor, bytes / (bottleneck_gbps * 1e9)) + queue_us * 1e-6;
}

Grade Route::grade() const {
  return kind == RouteKind::same_gpu ? Grade::measured : curve(*this).grade;
}

std::string Route::describe() const {
  switch (kind) {
    case RouteKind::same_gpu:
      return "the same GPU";
    case RouteKind::nvlink:
      return medium;
    case RouteKind::pcie_peer:
      return medium + ", peer to peer";
    case RouteKind::network_gpudirect:
      return medium + ", GPUDirect RDMA";
    case RouteKind::pcie_staged:
    case RouteKind::network_staged:
      break;
  }
  return medium + ", staged through host memory";
}

}  // namespace sextant
