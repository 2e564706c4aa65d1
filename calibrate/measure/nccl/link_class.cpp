#include "calibrate/measure/nccl/link_class.hpp"

#include <dlfcn.h>
#include <fmt/core.h>

#include <filesystem>
#include <fstream>

#include "calibrate/measure/nccl/plan/launcher.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

/// The few functions of NVML that are needed, loaded at run time; values from nvml.h.
class Nvml {
 public:
  using Device = struct nvml_device*;

  Nvml() : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (!library_)
      throw InputError(
          "nccl: found no NVML (libnvidia-ml.so.1) to tell how the GPUs are linked, expected --link");
    bind("nvmlInit_v2", init_);
    bind("nvmlShutdown", shutdown_);
    bind("nvmlDeviceGetHandleByPciBusId_v2", by_bus_id_);
    bind("nvmlDeviceGetP2PStatus", p2p_status_);
    bind("nvmlDeviceGetNvLinkState", link_state_);
    bind("nvmlDeviceGetNvLinkRemoteDeviceType", remote_type_);
    if (const int code = init_(); code != success)
      throw InputError(
          fmt::format("nccl: nvmlInit gives {}, expected 0, or --link to say how the GPUs are linked", code));
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml() { shutdown_(); }

  Device device(const std::string& bus_id) const {
    Device handle = nullptr;
    if (const int code = by_bus_id_(bus_id.c_str(), &handle); code != success)
      throw InputError(
          fmt::format("nccl: NVML does not know the GPU at {} ({}), expected --link to say how it is linked",
                      bus_id, code));
    return handle;
  }
  bool joined_by_nvlink(Device first, Device second) const {
    constexpr int capability_nvlink = 2, status_ok = 0;
    int status = -1;
    return p2p_status_(first, second, capability_nvlink, &status) == success && status == status_ok;
  }
  /// An active link whose other end is no GPU: a switch, or one that a virtual machine hides.
  bool on_nvswitch(Device device) const {
    constexpr unsigned most_links = 18;
    constexpr int remote_is_gpu = 0;
    for (unsigned link = 0; link < most_links; ++link) {
      unsigned active = 0;
      int remote = -1;
      if (link_state_(device, link, &active) != success || !active) continue;
      if (remote_type_(device, link, &remote) != success || remote != remote_is_gpu) return true;
    }
    return false;
  }

 private:
  static constexpr int success = 0;

  template <class Function>
  void bind(const char* symbol, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library_, symbol));
    if (!function)
      throw InputError(
          fmt::format("nccl: NVML has no {}, expected --link to say how the GPUs are linked", symbol));
  }

  void* library_;
  int (*init_)() = nullptr;
  int (*shutdown_)() = nullptr;
  int (*by_bus_id_)(const char*, Device*) = nullptr;
  int (*p2p_status_)(Device, Device, int, int*) = nullptr;
  int (*link_state_)(Device, unsigned, unsigned*) = nullptr;
  int (*remote_type_)(Device, unsigned, int*) = nullptr;
};

std::string first_word(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

}  // namespace

std::string link_on_host(const std::vector<std::string>& bus_ids) {
  const Nvml nvml;
  for (std::size_t i = 0; i < bus_ids.size(); ++i)
    for (std::size_t j = i + 1; j < bus_ids.size(); ++j) {
      const auto first = nvml.device(bus_ids[i]), second = nvml.device(bus_ids[j]);
      if (nvml.joined_by_nvlink(first, second)) continue;
      if (nvml.on_nvswitch(first) && nvml.on_nvswitch(second)) continue;
      return "pcie";
    }
  return "nvlink";
}

std::string link_between_hosts() {
  namespace files = std::filesystem;
  const files::path devices = "/sys/class/infiniband";
  if (environment_variable("NCCL_IB_DISABLE").value_or("0") != "0" || !files::exists(devices)) return "tcp";
  std::string found = "tcp";
  for (const auto& device : files::directory_iterator(devices)) {
    if (!files::exists(device.path() / "ports")) continue;
    for (const auto& port : files::directory_iterator(device.path() / "ports")) {
      if (!first_word(port.path() / "state").starts_with("4")) continue;  // "4: ACTIVE"
      const std::string layer = first_word(port.path() / "link_layer");
      if (layer == "InfiniBand") return "ib";
      if (layer == "Ethernet") found = "roce";
    }
  }
  return found;
}

std::string link_of_group(const std::vector<RankPlace>& members) {
  std::vector<std::string> bus_ids;
  for (const RankPlace& member : members) {
    if (member.host != members.front().host) return link_between_hosts();
    bus_ids.push_back(member.bus_id);
  }
  return link_on_host(bus_ids);
}

}  // namespace sextant::nccl
