#include "calibrate/measure/device/nvml.hpp"

#include <fmt/core.h>

#include <array>
#include <chrono>

#include "calibrate/measure/device/shared_library.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

// nvml.h's names and values, which are part of its stable interface.
using Device = void*;
using Status = int;
constexpr Status success = 0;
constexpr int clock_sm = 1, clock_memory = 2;
constexpr int temperature_gpu = 0;
constexpr std::uint64_t reason_power_cap = 0x4, reason_hardware_slowdown = 0x8,
                        reason_thermal_software = 0x20, reason_thermal_hardware = 0x40,
                        reason_power_brake = 0x80;
constexpr double milliwatts_per_watt = 1000;

/// nvmlFieldValue_t
struct FieldValue {
  unsigned field = 0, scope = 0;
  long long timestamp = 0, latency_us = 0;
  int type = 0;
  Status status = success;
  union {
    double real;
    unsigned natural;
    unsigned long long wide = 0;
  };
};
constexpr unsigned field_instant_power = 186;
constexpr auto watch_interval = std::chrono::milliseconds(50);  // rare enough not to disturb what is timed

}  // namespace

bool GpuState::throttled() const {
  return (clock_reasons & (reason_hardware_slowdown | reason_thermal_software | reason_thermal_hardware |
                           reason_power_brake)) != 0;
}

bool GpuState::power_capped() const {
  return (clock_reasons & reason_power_cap) != 0;
}

struct Nvml::Functions {
  SharedLibrary library{{"libnvidia-ml.so.1", "libnvidia-ml.so"}};
  Status (*init)() = nullptr;
  Status (*shutdown)() = nullptr;
  Status (*by_bus)(const char*, Device*) = nullptr;
  Status (*clock)(Device, int, unsigned*) = nullptr;
  Status (*max_clock)(Device, int, unsigned*) = nullptr;
  Status (*power)(Device, unsigned*) = nullptr;
  Status (*fields)(Device, int, FieldValue*) = nullptr;
  Status (*power_limit)(Device, unsigned*) = nullptr;
  Status (*temperature)(Device, int, unsigned*) = nullptr;
  Status (*reasons)(Device, unsigned long long*) = nullptr;
  Status (*driver)(char*, unsigned) = nullptr;
  Status (*name)(Device, char*, unsigned) = nullptr;

  Functions() {
    library.find(init, "nvmlInit_v2");
    library.find(shutdown, "nvmlShutdown");
    library.find(by_bus, "nvmlDeviceGetHandleByPciBusId_v2");
    library.find_optional(clock, "nvmlDeviceGetClockInfo");
    library.find_optional(max_clock, "nvmlDeviceGetMaxClockInfo");
    library.find_optional(power, "nvmlDeviceGetPowerUsage");
    library.find_optional(fields, "nvmlDeviceGetFieldValues");
    library.find_optional(power_limit, "nvmlDeviceGetEnforcedPowerLimit");
    library.find_optional(temperature, "nvmlDeviceGetTemperature");
    library.find_optional(reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
    library.find_optional(driver, "nvmlSystemGetDriverVersion");
    library.find_optional(name, "nvmlDeviceGetName");
  }
};

Nvml::Nvml(const std::string& bus_id) {
  try {
    auto functions = std::make_unique<Functions>();
    if (functions->init() != success) return;
    if (functions->by_bus(bus_id.c_str(), &device_) != success) device_ = nullptr;
    functions_ = std::move(functions);
  } catch (const Error&) {
    // No NVML here: states read zero, and the context line says so.
  }
}

Nvml::~Nvml() {
  if (functions_) functions_->shutdown();
}

bool Nvml::available() const {
  return functions_ && device_ != nullptr;
}

GpuState Nvml::state() const {
  GpuState state;
  if (!available()) return state;
  const auto read = [&](auto function, auto... arguments) {
    unsigned value = 0;
    return function != nullptr && function(device_, arguments..., &value) == success ? value : 0U;
  };
  state.sm_mhz = read(functions_->clock, clock_sm);
  state.memory_mhz = read(functions_->clock, clock_memory);
  state.watts = read(functions_->power) / milliwatts_per_watt;
  FieldValue instant;
  instant.field = field_instant_power;
  const bool has_instant = functions_->fields != nullptr &&
                           functions_->fields(device_, 1, &instant) == success && instant.status == success;
  state.instant_watts = has_instant ? instant.natural / milliwatts_per_watt : state.watts;
  state.celsius = read(functions_->temperature, temperature_gpu);
  unsigned long long reasons = 0;
  if (functions_->reasons != nullptr && functions_->reasons(device_, &reasons) == success)
    state.clock_reasons = reasons;
  return state;
}

double Nvml::power_limit() const {
  unsigned value = 0;
  const bool known = available() && functions_->power_limit != nullptr &&
                     functions_->power_limit(device_, &value) == success;
  return known ? value / milliwatts_per_watt : 0;
}

std::map<std::string, std::string> Nvml::details() const {
  if (!available()) return {{"nvml", "not available"}};
  std::map<std::string, std::string> details;
  std::array<char, 128> text{};
  if (functions_->driver != nullptr && functions_->driver(text.data(), text.size()) == success)
    details["driver"] = text.data();
  if (functions_->name != nullptr && functions_->name(device_, text.data(), text.size()) == success)
    details["device"] = text.data();
  if (power_limit() > 0) details["power_limit_watts"] = fmt::format("{:.0f}", power_limit());
  unsigned value = 0;
  if (functions_->max_clock != nullptr) {
    if (functions_->max_clock(device_, clock_sm, &value) == success)
      details["max_sm_mhz"] = std::to_string(value);
    if (functions_->max_clock(device_, clock_memory, &value) == success)
      details["max_memory_mhz"] = std::to_string(value);
  }
  const GpuState now = state();
  details["start_celsius"] = std::to_string(now.celsius);
  return details;
}

GpuMonitor::GpuMonitor(const std::string& bus_id) : nvml_(bus_id) {
  if (nvml_.available()) thread_ = std::thread([this] { watch(); });
}

GpuMonitor::~GpuMonitor() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void GpuMonitor::watch() {
  while (!stop_) {
    const GpuState state = nvml_.state();
    sm_mhz_ = state.sm_mhz;
    watts_ = state.watts;
    reasons_ = state.clock_reasons;
    std::this_thread::sleep_for(watch_interval);
  }
}

GpuState GpuMonitor::state() const {
  GpuState state;
  state.sm_mhz = sm_mhz_;
  state.watts = watts_;
  state.clock_reasons = reasons_;
  return state;
}

}  // namespace sextant::measure
