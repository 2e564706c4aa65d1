#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>

namespace sextant::measure {

/// What the driver's management library says of one GPU at one moment; zeros where it says nothing.
struct GpuState {
  unsigned sm_mhz = 0;
  unsigned memory_mhz = 0;
  double watts = 0;          ///< an average: over the last second on recent data-centre cards
  double instant_watts = 0;  ///< of the last 0.1 s or less; `watts` where the driver has none
  unsigned celsius = 0;
  std::uint64_t clock_reasons = 0;  ///< NVML's clocks event reasons, a bit set
  /// A slow-down that no serving run should have: heat or the power brake; not the ordinary power limit.
  bool throttled() const;
  bool power_capped() const;
};

/// NVML, loaded at run time (its header is not part of every CUDA installation). Never fails: without the
/// library everything reads zero and `available` is false.
class Nvml {
 public:
  /// `bus_id`: as cudaDeviceGetPCIBusId writes it.
  explicit Nvml(const std::string& bus_id);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  bool available() const;
  GpuState state() const;
  /// The limit that the driver holds the card to, in watts; 0 where it says nothing.
  double power_limit() const;
  /// Driver version, power limit, maximum clocks, serial-free identity: for the context line.
  std::map<std::string, std::string> details() const;

 private:
  struct Functions;
  std::unique_ptr<Functions> functions_;
  void* device_ = nullptr;
};

/// Reads a GPU's state twenty times a second in a thread of its own, so that timing need not wait for it.
class GpuMonitor {
 public:
  explicit GpuMonitor(const std::string& bus_id);
  ~GpuMonitor();
  GpuMonitor(const GpuMonitor&) = delete;
  GpuMonitor& operator=(const GpuMonitor&) = delete;
  const Nvml& nvml() const { return nvml_; }
  /// The last state read.
  GpuState state() const;

 private:
  void watch();
  Nvml nvml_;
  std::atomic<bool> stop_{false};
  std::atomic<unsigned> sm_mhz_{0};
  std::atomic<double> watts_{0};
  std::atomic<std::uint64_t> reasons_{0};
  std::thread thread_;
};

}  // namespace sextant::measure
