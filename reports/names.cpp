#include "reports/names.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace sextant {
namespace {

/// "node-a/gpu12" -> ("node-a/gpu", 12); number -1 where the name does not end in digits.
struct NumberedName {
  std::string stem;
  long number = -1;
};

NumberedName numbered(const std::string& name) {
  const std::size_t last = name.find_last_not_of("0123456789");
  const std::size_t digits = last == std::string::npos ? 0 : last + 1;
  if (digits == name.size() || name.size() - digits > 9) return {name, -1};
  return {name.substr(0, digits), std::stol(name.substr(digits))};
}

}  // namespace

std::string metric_label(const std::string& metric) {
  static const std::map<std::string, std::string> labels = {
      {"request_throughput", "Request throughput (req/s)"},
      {"output_throughput", "Output token throughput (tok/s)"},
      {"total_token_throughput", "Total token throughput (tok/s)"},
      {"request_goodput", "Request goodput (req/s)"},
      {"goodput_fraction", "Share of requests that are good"},
  };
  if (const auto found = labels.find(metric); found != labels.end()) return found->second;
  const std::size_t first = metric.find('_'), last = metric.rfind("_ms");
  if (first == std::string::npos || last == std::string::npos || last <= first) return metric;
  std::string statistic = metric.substr(0, first), quantity = metric.substr(first + 1, last - first - 1);
  statistic.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(statistic.front())));
  for (char& c : quantity) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return fmt::format("{} {} (ms)", statistic, quantity);
}

std::string device_list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t begin = 0; begin < names.size();) {
    const NumberedName first = numbered(names[begin]);
    std::size_t end = begin + 1;
    for (; first.number >= 0 && end < names.size(); ++end) {
      const NumberedName next = numbered(names[end]);
      if (next.stem != first.stem || next.number != first.number + static_cast<long>(end - begin)) break;
    }
    if (!text.empty()) text += ", ";
    text += names[begin];
    if (end > begin + 1) text += fmt::format("-{}", first.number + static_cast<long>(end - begin) - 1);
    begin = end;
  }
  return text;
}

std::string device_name(const Cluster& cluster, int device) {
  const bool exists = device >= 0 && static_cast<std::size_t>(device) < cluster.devices.size();
  return exists ? cluster.devices[static_cast<std::size_t>(device)].name : fmt::format("device {}", device);
}

std::string layout_gpus(const Cluster& cluster, const Layout& layout) {
  std::string text;
  for (const auto& replica : layout.replicas) {
    std::vector<std::string> names;
    for (const StagePlacement& stage : replica)
      for (const int gpu : stage.gpus) names.push_back(device_name(cluster, gpu));
    if (!text.empty()) text += "; ";
    text += device_list(names);
  }
  return text;
}

std::string split_text(const Layout& layout) {
  constexpr std::size_t many_stages = 6;
  if (layout.replicas.empty()) return "";
  const std::vector<StagePlacement>& stages = layout.replicas.front();
  if (stages.size() <= many_stages) return layout.split();
  std::string text;
  for (std::size_t begin = 0; begin < stages.size();) {
    std::size_t end = begin;
    while (end < stages.size() && stages[end].layers.size() == stages[begin].layers.size()) ++end;
    if (!text.empty()) text += '/';
    text += std::to_string(stages[begin].layers.size());
    if (end - begin > 1) text += fmt::format(" x{}", end - begin);
    begin = end;
  }
  return text;
}

}  // namespace sextant
