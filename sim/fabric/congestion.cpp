#include "sim/fabric/congestion.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"
#include "models/hardware/wire.hpp"

namespace sextant {
namespace {

constexpr double bits_per_byte = 8, ns_per_us = 1e3;

const Device& device(const Cluster& cluster, int index) {
  return cluster.devices[static_cast<std::size_t>(index)];
}

bool of_network(const Cluster& cluster, const Link& link) {
  const int a = device(cluster, link.from).node, b = device(cluster, link.to).node;
  return a != b || a < 0;
}

/// What still arrives after a pause was sent: a round trip at full rate, and a packet under way at either end
/// (IEEE 802.1Q, annex N).
double needed_headroom(const Network& network, double gbps, double latency_us) {
  constexpr double trips = 2, packets = 2;
  const double packet = packet_payload(find_transport(network.transport), network.mtu) /
                        wire_efficiency(network.transport, network.mtu);
  return trips * latency_us * ns_per_us * gbps + packets * packet;
}

CongestionRules::Port port_of(const Network& network, double gbps, double latency_us, bool of_switch) {
  const Congestion& congestion = network.congestion;
  const double gbits = gbps * bits_per_byte;
  const double headroom = congestion.headroom_bytes.of(gbits),
               needed = needed_headroom(network, gbps, latency_us);
  const bool given = congestion.headroom_bytes.port_gbits == 0;  // else whoever set the switch up saw to it
  if (given && headroom < needed)
    throw InputError(
        fmt::format("cluster.network.congestion: found a headroom of {:.0f} bytes on ports of {:.0f} Gbit/s, "
                    "expected {:.0f} or "
                    "more: two packets and what arrives in twice {} us",
                    headroom, gbits, std::ceil(needed), latency_us));
  return {true,
          of_switch,
          congestion.buffer_bytes.of(gbits),
          congestion.pause_threshold_bytes.of(gbits),
          congestion.mark_from_bytes.of(gbits),
          congestion.mark_all_bytes.of(gbits)};
}

CongestionRules rules_of(const Network& network) {
  const Congestion& congestion = network.congestion;
  CongestionRules rules;
  rules.marks = congestion.control == CongestionControl::ecn;
  if (rules.marks) rules.marked_efficiency = congestion.marked_efficiency.value;
  rules.senders = {congestion.most_marked.value,
                   congestion.raise_gbits.value / bits_per_byte,
                   congestion.raise_us.value * ns_per_us,
                   congestion.raise_bytes.value,
                   congestion.decay_us.value * ns_per_us,
                   static_cast<double>(packet_payload(find_transport(network.transport), network.mtu))};
  return rules;
}

}  // namespace

double CongestionRules::marked_queue_bytes(std::size_t direction, std::size_t flows, double capacity) const {
  // CoNEXT 2016, the fixed point: p^3 = R_AI N^2 / (tau' C^2) (1/B + N / (T C))^2, in packets.
  const double n = static_cast<double>(flows), packets = capacity / senders.packet;
  const double raises = senders.packet / senders.raise_bytes + n / (senders.raise_ns * packets);
  const double marked = std::cbrt(senders.raise_rate / senders.packet * n * n /
                                  (senders.decay_ns * packets * packets) * raises * raises);
  const Port& port = ports[direction];
  return port.mark_from + std::min(1.0, marked / senders.most_marked) * (port.mark_all - port.mark_from);
}

double CongestionRules::capacity_of(std::size_t direction, const Meeting& meeting, double capacity) const {
  return marks && ports[direction].of_switch && congested(meeting, capacity) ? capacity * marked_efficiency
                                                                             : capacity;
}

bool CongestionRules::pauses(std::size_t direction, const Meeting& meeting, double capacity) const {
  const Port& port = ports[direction];
  if (!marks || !port.of_switch) return true;
  if (!congested(meeting, capacity)) return false;
  const double room = std::min(static_cast<double>(meeting.ingresses) * port.pause_threshold, port.buffer);
  return marked_queue_bytes(direction, meeting.flows, capacity) > room;
}

double CongestionRules::queue_bytes(std::size_t direction, const Meeting& meeting, double capacity) const {
  const Port& port = ports[direction];
  if (!port.of_switch || !congested(meeting, capacity)) return 0;
  const double paused = std::min(static_cast<double>(meeting.ingresses) * port.pause_threshold, port.buffer);
  return marks ? std::min(paused, marked_queue_bytes(direction, meeting.flows, capacity)) : paused;
}

CongestionRules congestion_rules(const Cluster& cluster) {
  if (cluster.network.congestion.control == CongestionControl::none) return {};
  CongestionRules rules = rules_of(cluster.network);
  const auto is_switch = [&](int end) { return device(cluster, end).kind == DeviceKind::network_switch; };
  for (const Link& link : cluster.links)
    for (const int sender : {link.from, link.to})
      rules.ports.push_back(of_network(cluster, link)
                                ? port_of(cluster.network, link.gbps, link.latency_us, is_switch(sender))
                                : CongestionRules::Port{});
  return rules;
}

PortState incast(const Network& network, int senders, double gbits, double latency_us) {
  const double capacity = gbits / bits_per_byte;
  const Meeting meeting{static_cast<std::size_t>(senders), static_cast<std::size_t>(senders),
                        senders * capacity};
  const double data = capacity * wire_efficiency(network.transport, network.mtu);
  CongestionRules rules = rules_of(network);
  if (network.congestion.control == CongestionControl::none || !rules.congested(meeting, capacity))
    return {data, 0, 0, false};
  rules.ports = {port_of(network, capacity, latency_us, true)};
  const double queue = rules.queue_bytes(0, meeting, capacity);
  return {rules.capacity_of(0, meeting, data), queue, queue / (capacity * ns_per_us),
          rules.pauses(0, meeting, capacity)};
}

}  // namespace sextant
