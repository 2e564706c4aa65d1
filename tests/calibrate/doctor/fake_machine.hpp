#pragma once
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

namespace sextant::test {

/// A copy of /sys and /dev in a temporary folder: a machine in order (one GPU and one ConnectX-7 at 200
/// Gbit/s on NUMA node 0, RoCE v2, MTU 9000), of which a test spoils one thing.
class FakeMachine {
 public:
  FakeMachine() {
    static std::atomic<int> number{0};
    root_ = std::filesystem::temp_directory_path() /
            ("sextant-machine-" + std::to_string(getpid()) + "-" + std::to_string(number++));
    put("sys/module/mlx5_ib/refcnt", "1");
    put("sys/module/ib_uverbs/refcnt", "1");
    put("sys/module/nvidia_peermem/refcnt", "1");
    put("sys/class/dmi/id/product_name", "Workstation");
    pci(nic, "0x15b3", "0x020000", 0);
    pci(gpu, "0x10de", "0x030000", 0);
    adapter("mlx5_0", nic, "enp23s0np0");
    put("sys/class/net/enp23s0np0/mtu", "9000");
    put("sys/class/net/enp23s0np0/ecn/roce_np/enable/3", "1");
    put("sys/class/net/enp23s0np0/ecn/roce_rp/enable/3", "1");
    put("sys/class/net/lo/mtu", "65536");
    for (const char* file : {"uverbs0", "rdma_cm"}) {
      put(std::string("dev/infiniband/") + file, "");
      mode(std::string("dev/infiniband/") + file, 0666);
    }
  }
  ~FakeMachine() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;

  static constexpr auto nic = "0000:17:00.0";
  static constexpr auto gpu = "0000:18:00.0";

  std::string root() const { return root_.string(); }
  std::filesystem::path at(const std::string& path) const { return root_ / path; }

  void put(const std::string& path, const std::string& content) {
    std::filesystem::create_directories(at(path).parent_path());
    std::ofstream(at(path), std::ios::binary) << content << (content.empty() ? "" : "\n");
  }
  void remove(const std::string& path) { std::filesystem::remove_all(at(path)); }
  void mode(const std::string& path, mode_t bits) { chmod(at(path).c_str(), bits); }

  void pci(const std::string& address, const std::string& vendor, const std::string& kind, int numa) {
    const std::string folder = "sys/bus/pci/devices/" + address + "/";
    put(folder + "vendor", vendor);
    put(folder + "class", kind);
    put(folder + "numa_node", std::to_string(numa));
    put(folder + "current_link_speed", "32.0 GT/s PCIe");
    put(folder + "max_link_speed", "32.0 GT/s PCIe");
    put(folder + "current_link_width", "16");
    put(folder + "max_link_width", "16");
  }

  void adapter(const std::string& name, const std::string& address, const std::string& interface) {
    const std::string port = "sys/class/infiniband/" + name + "/ports/1/";
    put(port + "state", "4: ACTIVE");
    put(port + "phys_state", "5: LinkUp");
    put(port + "rate", "200 Gb/sec (4X HDR)");
    put(port + "link_layer", "Ethernet");
    gid(name, 0, "fe80:0000:0000:0000:5aa2:e1ff:fe12:3456", "IB/RoCE v1", interface);
    gid(name, 1, "fe80:0000:0000:0000:5aa2:e1ff:fe12:3456", "RoCE v2", interface);
    gid(name, 2, "0000:0000:0000:0000:0000:ffff:c0a8:6401", "IB/RoCE v1", interface);
    gid(name, 3, "0000:0000:0000:0000:0000:ffff:c0a8:6401", "RoCE v2", interface);
    put(port + "gids/4", "0000:0000:0000:0000:0000:0000:0000:0000");
    std::filesystem::create_directory_symlink(at("sys/bus/pci/devices/" + address),
                                              at("sys/class/infiniband/" + name + "/device"));
  }

  void gid(const std::string& device, int index, const std::string& gid, const std::string& type,
           const std::string& interface) {
    const std::string port = "sys/class/infiniband/" + device + "/ports/1/", number = std::to_string(index);
    put(port + "gids/" + number, gid);
    put(port + "gid_attrs/types/" + number, type);
    put(port + "gid_attrs/ndevs/" + number, interface);
  }

 private:
  std::filesystem::path root_;
};

}  // namespace sextant::test
