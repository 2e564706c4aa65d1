#include "models/hardware/congestion.hpp"

#include <fmt/core.h>

#include <array>
#include <vector>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr auto shipped_path = "models/hardware/catalogue/congestion.json";
constexpr Range bytes{1, 1e12};
constexpr Range positive{1e-9, 1e12};
constexpr Range share{1e-6, 1};

const std::vector<std::string>& names() {
  static const std::vector<std::string> all = {"none", "pfc", "ecn"};
  return all;
}

Congestion shipped_congestion() {
  const auto files = embedded_files(shipped_path);
  if (files.empty()) throw InputError(fmt::format("found no embedded file {}", shipped_path));
  const JsonObject object = JsonValue::parse(files.front().content, shipped_path).object();
  Congestion congestion;
  const double port_gbits = object.number("port_gbits", {1, 1e6});
  const auto read = [&](const char* key, Range range) { return read_figure(object.at(key), range); };
  const auto queue = [&](const char* key) { return QueueBytes{read(key, bytes), port_gbits}; };
  congestion.buffer_bytes = queue("buffer_bytes");
  congestion.pause_threshold_bytes = queue("pause_threshold_bytes");
  congestion.headroom_bytes = queue("headroom_bytes");
  congestion.mark_from_bytes = queue("mark_from_bytes");
  congestion.mark_all_bytes = queue("mark_all_bytes");
  congestion.most_marked = read("most_marked", share);
  congestion.raise_gbits = read("raise_gbits", positive);
  congestion.raise_us = read("raise_us", positive);
  congestion.raise_bytes = read("raise_bytes", bytes);
  congestion.decay_us = read("decay_us", positive);
  congestion.marked_efficiency = read("marked_efficiency", share);
  object.finish();
  return congestion;
}

CongestionControl control_named(const JsonValue& value, const std::string& transport) {
  const std::string name = value.text();
  for (std::size_t i = 0; i < names().size(); ++i) {
    if (names()[i] != name) continue;
    if (i > 0 && transport != "roce")
      value.fail(
          fmt::format("found '{}' over {}, expected none: pauses and marks are roce's", name, transport));
    return static_cast<CongestionControl>(i);
  }
  value.fail(fmt::format("found '{}', expected none, pfc or ecn", name));
}

}  // namespace

std::string to_string(CongestionControl control) {
  return names()[static_cast<std::size_t>(control)];
}

Congestion read_congestion(const JsonValue& value, const std::string& transport) {
  Congestion congestion = shipped_congestion();
  if (!value.is_object()) {
    congestion.control = control_named(value, transport);
    return congestion;
  }
  const JsonObject object = value.object();
  congestion.control = control_named(object.at("control"), transport);
  const auto replace = [&](const char* key, QueueBytes& queue) {
    if (object.has(key)) queue = {{object.number(key, bytes), Grade::assumed, "the scenario", ""}, 0};
  };
  replace("buffer_bytes", congestion.buffer_bytes);
  replace("pause_threshold_bytes", congestion.pause_threshold_bytes);
  replace("headroom_bytes", congestion.headroom_bytes);
  object.finish();
  return congestion;
}

}  // namespace sextant
