#pragma once
#include <infiniband/verbs.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/measure/rdma/plan/gid_choice.hpp"

namespace sextant::rdma {

/// Calls the verbs library's own function to release what it gave.
template <auto Release>
struct Released {
  template <class Thing>
  void operator()(Thing* thing) const {
    Release(thing);
  }
};

/// An opened RDMA device with one of its ports and a protection domain.
class Device {
 public:
  /// An empty name takes the only device there is. Throws InputError listing the devices for a name that is
  /// not among them, a port that is not there, and a port that is not active.
  Device(const std::string& name, int port);

  const std::string& name() const { return name_; }
  int port() const { return port_number_; }
  ibv_context* context() const { return context_.get(); }
  ibv_pd* domain() const { return domain_.get(); }
  const ibv_device_attr& limits() const { return limits_; }
  std::uint32_t lid() const { return port_.lid; }
  bool ethernet() const { return port_.link_layer == IBV_LINK_LAYER_ETHERNET; }
  int active_mtu() const;    ///< bytes
  double rate_gbps() const;  ///< of the port, as the kernel says
  std::vector<Gid> gids() const;
  /// Firmware, link layer, PCIe link, NUMA node: for the file's header.
  std::map<std::string, std::string> details() const;

 private:
  std::string attribute(const std::string& path) const;
  std::string name_;
  int port_number_;
  std::unique_ptr<ibv_context, Released<ibv_close_device>> context_;
  std::unique_ptr<ibv_pd, Released<ibv_dealloc_pd>> domain_;
  ibv_device_attr limits_{};
  ibv_port_attr port_{};
};

/// verbs' word for a path MTU of so many bytes. Throws InputError for any other number.
ibv_mtu mtu_code(int bytes);

}  // namespace sextant::rdma
