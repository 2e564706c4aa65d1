#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/rdma_facts.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

constexpr std::size_t most_entries = 4096;  // of a machine; more is no tool's output

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// "Rate: 200" -> ("Rate", "200"); nullopt without a colon.
std::optional<std::pair<std::string_view, std::string_view>> key_and_value(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return std::pair{trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1))};
}

std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value <= 0 || value > 1e9) return std::nullopt;
  return value;
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return result;
}

template <class List>
void refuse_too_many(const List& list, const std::string& path) {
  if (list.size() > most_entries)
    throw InputError(
        fmt::format("{}: found more than {} entries, expected one machine's", path, most_entries));
}

/// "PORT_ACTIVE (4)" -> ACTIVE
std::string port_state(std::string_view text) {
  if (text.starts_with("PORT_")) text.remove_prefix(5);
  return upper(trimmed(text.substr(0, text.find(' '))));
}

/// "4X (2)" -> 4, "16X (8)" -> 16
double width_in(std::string_view text) {
  return number_in(text.substr(0, text.find('X'))).value_or(0);
}

/// "GID[  3]" and "::ffff:10.0.0.1, RoCE v2"
void read_gid(std::string_view key, std::string_view value, RdmaPort& port) {
  const std::size_t open = key.find('['), close = key.find(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return;
  const long long index = detail::whole_number(trimmed(key.substr(open + 1, close - open - 1)));
  if (index < 0 || index > 65535 || port.gids.size() >= most_entries) return;
  const std::size_t comma = value.find(',');
  GidEntry entry;
  entry.index = static_cast<int>(index);
  entry.gid = trimmed(value.substr(0, comma));
  if (comma != std::string_view::npos) entry.type = trimmed(value.substr(comma + 1));
  port.gids.push_back(std::move(entry));
}

/// "Speed 16GT/s (downgraded), Width x8 (downgraded)"
void read_link(std::string_view text, std::optional<double>& speed, std::optional<int>& lanes) {
  if (const std::size_t at = text.find("Speed "); at != std::string_view::npos)
    speed = detail::transfer_rate(text.substr(at + 6));
  if (const std::size_t at = text.find("Width x"); at != std::string_view::npos) {
    const std::string_view digits = text.substr(at + 7);
    const long long width = detail::whole_number(
        digits.substr(0, std::min(digits.find_first_not_of("0123456789"), digits.size())));
    if (width >= 1 && width <= 32) lanes = static_cast<int>(width);
  }
}

bool is_pci_address(std::string_view word) {
  constexpr std::size_t shortest = 7;  // 17:00.0
  return word.size() >= shortest && word.find(':') != std::string_view::npos &&
         word[word.size() - 2] == '.' &&
         word.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

}  // namespace

bool GidEntry::ipv4() const {
  return gid.find("ffff:") != std::string::npos &&
         (gid.starts_with("::ffff:") || gid.starts_with("0000:0000:0000:0000:0000:ffff:"));
}

std::optional<double> detail::transfer_rate(std::string_view text) {
  const auto number = number_in(text);
  const std::size_t unit = text.find_first_not_of("0123456789.");
  if (!number || unit == std::string_view::npos || !trimmed(text.substr(unit)).starts_with("GT/s"))
    return std::nullopt;
  return number;
}

std::vector<RdmaPort> read_ibstat(const std::string& path) {
  std::vector<RdmaPort> ports;
  std::string device;
  for_each_line(path, [&](std::string_view raw, std::size_t) {
    const std::string line = detail::plain_line(raw);
    const std::string_view text = trimmed(line);
    if (text.starts_with("CA '")) {
      device = std::string(
          text.substr(4, text.find('\'', 4) == std::string_view::npos ? 0 : text.find('\'', 4) - 4));
      return;
    }
    const auto pair = key_and_value(text);
    if (device.empty() || !pair) return;
    const auto& [key, value] = *pair;
    if (key.starts_with("Port ") && value.empty()) {
      const long long number = detail::whole_number(key.substr(5));
      if (number < 1 || number > 255) return;
      ports.push_back({});
      ports.back().device = device;
      ports.back().port = static_cast<int>(number);
      refuse_too_many(ports, path);
      return;
    }
    if (ports.empty() || ports.back().device != device) return;
    RdmaPort& port = ports.back();
    if (key == "State") port.state = port_state(value);
    if (key == "Physical state") port.physical_state = value;
    if (key == "Rate") port.rate_gbps = number_in(value);
    if (key == "Link layer") port.link_layer = value;
  });
  if (device.empty())
    throw InputError(fmt::format("{}: found no line CA '…', expected ibstat's output", path));
  return ports;
}

std::vector<RdmaPort> read_ibv_devinfo(const std::string& path) {
  std::vector<RdmaPort> ports;
  std::string device;
  double width = 0;
  for_each_line(path, [&](std::string_view raw, std::size_t) {
    const std::string line = detail::plain_line(raw);
    const auto pair = key_and_value(trimmed(line));
    if (!pair) return;
    const auto& [key, value] = *pair;
    if (key == "hca_id") device = value;
    if (device.empty()) return;
    if (key == "port" && detail::whole_number(value) >= 1 && detail::whole_number(value) < 256) {
      ports.push_back({});
      ports.back().device = device;
      ports.back().port = static_cast<int>(detail::whole_number(value));
      refuse_too_many(ports, path);
      width = 0;
      return;
    }
    if (ports.empty() || ports.back().device != device) return;
    RdmaPort& port = ports.back();
    if (key == "state") port.state = port_state(value);
    if (key == "phys_state")
      port.physical_state = upper(value).starts_with("LINK_UP") ? "LinkUp" : std::string(value);
    if (key == "link_layer") port.link_layer = value;
    if (key == "active_mtu")
      if (const auto mtu = number_in(value)) port.mtu = static_cast<int>(*mtu);
    if (key == "active_width") width = width_in(value);
    if (key == "active_speed" && width > 0)
      if (const auto lane = number_in(value)) port.rate_gbps = std::round(width * *lane);
    if (key.starts_with("GID[")) read_gid(key, value, port);
  });
  if (device.empty())
    throw InputError(fmt::format("{}: found no line hca_id: …, expected ibv_devinfo's output", path));
  return ports;
}

QosFacts read_mlnx_qos(const std::string& path) {
  QosFacts facts;
  bool in_pfc = false, seen = false;
  for_each_line(path, [&](std::string_view raw, std::size_t) {
    const std::string line = detail::plain_line(raw);
    const std::string_view text = trimmed(line);
    const auto words = detail::words_of(text);
    if (text.starts_with("Priority trust state:")) {
      facts.trust = trimmed(text.substr(text.find(':') + 1));
      seen = true;
    }
    if (text.starts_with("PFC configuration:")) {
      in_pfc = seen = true;
      return;
    }
    if (in_pfc && !words.empty() && words.front() == "enabled") {
      if (words.size() < 9)
        throw InputError(
            fmt::format("{}: found {} priorities under PFC, expected 8", path, words.size() - 1));
      facts.pfc.emplace();
      for (std::size_t i = 0; i < 8; ++i) (*facts.pfc)[i] = words[i + 1] == "1";
      in_pfc = false;
    }
    // "prio:3 dscp:31,30,29,28,27,26,25,24,"
    if (words.size() == 2 && words[0].starts_with("prio:") && words[1].starts_with("dscp:")) {
      const long long priority = detail::whole_number(words[0].substr(5));
      std::string_view list = words[1].substr(5);
      while (priority >= 0 && priority < 8 && !list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        const long long dscp = detail::whole_number(list.substr(0, comma));
        if (dscp >= 0 && dscp < 64)
          facts.priority_of_dscp[static_cast<int>(dscp)] = static_cast<int>(priority);
        list.remove_prefix(std::min(comma + 1, list.size()));
      }
    }
  });
  if (!seen)
    throw InputError(
        fmt::format("{}: found neither 'Priority trust state' nor 'PFC configuration', expected mlnx_qos -i "
                    "INTERFACE",
                    path));
  return facts;
}

std::vector<PcieLink> read_lspci(const std::string& path) {
  std::vector<PcieLink> all;
  for_each_line(path, [&](std::string_view raw, std::size_t) {
    const std::string line = detail::plain_line(raw);
    if (line.empty()) return;
    const auto words = detail::words_of(line);
    if (words.empty()) return;
    if (line.front() != ' ' && line.front() != '\t' && is_pci_address(words.front())) {
      PcieLink link;
      link.address = words.front();
      link.name = trimmed(std::string_view(line).substr(words.front().size()));
      all.push_back(std::move(link));
      refuse_too_many(all, path);
      return;
    }
    if (all.empty()) return;
    PcieLink& link = all.back();
    if (words.front() == "LnkCap:") read_link(line, link.highest_speed_gts, link.most_lanes);
    if (words.front() == "LnkSta:") read_link(line, link.speed_gts, link.lanes);
  });
  if (all.empty()) throw InputError(fmt::format("{}: found no PCI device, expected lspci -vv", path));
  all.erase(std::remove_if(all.begin(), all.end(),
                           [](const PcieLink& link) { return !link.speed_gts && !link.lanes; }),
            all.end());
  return all;
}

}  // namespace sextant
