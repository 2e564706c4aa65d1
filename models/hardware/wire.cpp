#include "models/hardware/wire.hpp"

#include <fmt/core.h>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr auto shipped_path = "models/hardware/catalogue/transports.json";
constexpr Range bytes{0, 1e5};

Transport read_transport(const JsonValue& value) {
  const JsonObject object = value.object();
  Transport transport;
  transport.name = object.text("name");
  for (const double size : object.at("payloads").numbers({1, 1e5}))
    transport.payloads.push_back(static_cast<int>(size));
  transport.inside_mtu = read_figure(object.at("inside_mtu"), bytes);
  transport.around_mtu = read_figure(object.at("around_mtu"), bytes);
  object.finish();
  return transport;
}

std::vector<Transport> read_transports() {
  const auto files = embedded_files(shipped_path);
  if (files.empty()) throw InputError(fmt::format("found no embedded file {}", shipped_path));
  const JsonObject object = JsonValue::parse(files.front().content, shipped_path).object();
  std::vector<Transport> transports;
  for (const JsonValue& item : object.at("transports").array()) transports.push_back(read_transport(item));
  object.finish();
  return transports;
}

}  // namespace

const Transport& find_transport(const std::string& name) {
  static const std::vector<Transport> transports = read_transports();
  for (const Transport& transport : transports)
    if (transport.name == name) return transport;
  throw InputError(fmt::format("transport: found '{}', expected roce, ib or tcp", name));
}

int packet_payload(const Transport& transport, int mtu) {
  const int room = mtu - static_cast<int>(transport.inside_mtu.value);
  if (transport.payloads.empty() && room > 0) return room;
  int payload = 0;
  for (const int size : transport.payloads)
    if (size <= room) payload = size;
  if (payload == 0)
    throw InputError(
        fmt::format("network: found an MTU of {} bytes, expected room for {} bytes of headers and the "
                    "smallest payload of {}",
                    mtu, transport.inside_mtu.value, transport.name));
  return payload;
}

double wire_efficiency(const std::string& name, int mtu) {
  const Transport& transport = find_transport(name);
  const double payload = packet_payload(transport, mtu);
  return payload / (payload + transport.inside_mtu.value + transport.around_mtu.value);
}

}  // namespace sextant
