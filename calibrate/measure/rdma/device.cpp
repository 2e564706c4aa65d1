#include "calibrate/measure/rdma/device.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "calibrate/measure/rdma/plan/operation.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"

namespace sextant::rdma {
namespace {

constexpr int least_mtu = 256;

int mtu_bytes(ibv_mtu code) {
  return (least_mtu / 2) << static_cast<int>(code);
}

ibv_context* open(const std::string& wanted, std::string& opened) {
  int count = 0;
  ibv_device** const list = ibv_get_device_list(&count);
  if (list == nullptr || count == 0) {
    if (list != nullptr) ibv_free_device_list(list);
    throw InputError("found no RDMA device, expected one (ibv_devices lists them): is the driver loaded?");
  }
  const std::unique_ptr<ibv_device*, Released<ibv_free_device_list>> owner(list);
  std::vector<std::string> names;
  ibv_device* chosen = nullptr;
  for (int i = 0; i < count; ++i) {
    names.emplace_back(ibv_get_device_name(list[i]));
    if (names.back() == wanted || (wanted.empty() && count == 1)) chosen = list[i];
  }
  if (chosen == nullptr)
    throw InputError(wanted.empty() ? fmt::format("found {} devices, expected -d with one of {}", count,
                                                  fmt::join(names, ", "))
                                    : fmt::format("found no device \"{}\" (-d), expected one of {}{}", wanted,
                                                  fmt::join(names, ", "), did_you_mean(wanted, names)));
  opened = ibv_get_device_name(chosen);
  ibv_context* const context = ibv_open_device(chosen);
  if (context == nullptr)
    throw Error(ExitCode::failure, fmt::format("{}: cannot open: {}", opened, std::strerror(errno)));
  return context;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

Device::Device(const std::string& name, int port) : port_number_(port), context_(open(name, name_)) {
  if (ibv_query_device(context(), &limits_) != 0)
    throw Error(ExitCode::failure,
                fmt::format("{}: does not say what it can: {}", name_, std::strerror(errno)));
  if (port > limits_.phys_port_cnt)
    throw InputError(
        fmt::format("{}: found port {} (-i), expected 1 to {}", name_, port, limits_.phys_port_cnt));
  if (ibv_query_port(context(), static_cast<std::uint8_t>(port), &port_) != 0)
    throw Error(ExitCode::failure, fmt::format("{}: port {}: {}", name_, port, std::strerror(errno)));
  if (port_.state != IBV_PORT_ACTIVE)
    throw Error(ExitCode::failure, fmt::format("{}: port {} is {}, expected PORT_ACTIVE: is its link up?",
                                               name_, port, ibv_port_state_str(port_.state)));
  domain_.reset(ibv_alloc_pd(context()));
  if (!domain_)
    throw Error(ExitCode::failure, fmt::format("{}: no protection domain: {}", name_, std::strerror(errno)));
}

int Device::active_mtu() const {
  return mtu_bytes(port_.active_mtu);
}

std::string Device::attribute(const std::string& path) const {
  return first_line(fmt::format("/sys/class/infiniband/{}/{}", name_, path));
}

double Device::rate_gbps() const {
  // "100 Gb/sec (4X EDR)"
  const std::string text = attribute(fmt::format("ports/{}/rate", port_number_));
  const double rate = std::strtod(text.c_str(), nullptr);
  if (!(rate > 0))
    throw Error(ExitCode::failure,
                fmt::format("{}: found the rate \"{}\" in sysfs, expected such as 100 Gb/sec", name_, text));
  return rate;
}

std::vector<Gid> Device::gids() const {
  std::vector<ibv_gid_entry> entries(static_cast<std::size_t>(std::max(port_.gid_tbl_len, 1)));
  const ssize_t found = ibv_query_gid_table(context(), entries.data(), entries.size(), 0);
  if (found < 0)
    throw Error(ExitCode::failure,
                fmt::format("{}: cannot read its GIDs: {}", name_, std::strerror(static_cast<int>(-found))));
  std::vector<Gid> table;
  for (ssize_t i = 0; i < found; ++i) {
    const ibv_gid_entry& entry = entries[static_cast<std::size_t>(i)];
    if (entry.port_num != static_cast<std::uint32_t>(port_number_)) continue;
    Gid gid;
    gid.index = static_cast<int>(entry.gid_index);
    gid.type = entry.gid_type == IBV_GID_TYPE_ROCE_V2   ? GidType::roce_v2
               : entry.gid_type == IBV_GID_TYPE_ROCE_V1 ? GidType::roce_v1
                                                        : GidType::infiniband;
    std::copy(std::begin(entry.gid.raw), std::end(entry.gid.raw), gid.bytes.begin());
    table.push_back(gid);
  }
  return table;
}

std::map<std::string, std::string> Device::details() const {
  std::map<std::string, std::string> result;
  result["rdma_device"] = name_;
  result["rdma_port"] = std::to_string(port_number_);
  result["rdma_rate"] = attribute(fmt::format("ports/{}/rate", port_number_));
  result["rdma_link_layer"] = ethernet() ? "Ethernet" : "InfiniBand";
  result["rdma_firmware"] = limits_.fw_ver;
  for (const auto& [key, path] : {std::pair{"rdma_board", "board_id"},
                                  {"rdma_numa_node", "device/numa_node"},
                                  {"rdma_pcie_speed", "device/current_link_speed"},
                                  {"rdma_pcie_width", "device/current_link_width"}})
    if (const std::string value = attribute(path); !value.empty()) result[key] = value;
  return result;
}

ibv_mtu mtu_code(int bytes) {
  for (std::size_t i = 0; i < path_mtus().size(); ++i)
    if (path_mtus()[i] == bytes) return static_cast<ibv_mtu>(IBV_MTU_256 + i);
  throw InputError(fmt::format("found an MTU of {}, expected 256, 512, 1024, 2048 or 4096", bytes));
}

}  // namespace sextant::rdma
