#include "calibrate/measure/common/context.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

namespace sextant::measure {
namespace {

std::string processor_name() {
  std::ifstream input("/proc/cpuinfo");
  for (std::string line; std::getline(input, line);)
    if (line.starts_with("model name"))
      if (const std::size_t colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown";
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "unknown";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::string context_line(const Provenance& provenance) {
  nlohmann::ordered_json json;
  json["kind"] = "context";
  if (!provenance.gpu.empty()) json["gpu"] = provenance.gpu;
  json["source"] = provenance.tool + " " + provenance.version;
  json["arguments"] = provenance.arguments;
  json["date"] = utc_now();
  json["host"] = host_name();
  utsname system{};
  if (uname(&system) == 0) {
    json["kernel"] = std::string(system.sysname) + " " + system.release;
    json["machine"] = system.machine;
  }
  json["processor"] = processor_name();
  json["processors"] = std::thread::hardware_concurrency();
  for (const auto& [key, value] : provenance.details) json[key] = value;
  return json.dump();
}

}  // namespace sextant::measure
