#include <fmt/core.h>

#include <chrono>
#include <map>
#include <set>
#include <simgrid/s4u.hpp>
#include <string>

#include "tests/simgrid/platform.hpp"

namespace sextant::test {
namespace {

namespace sg = simgrid::s4u;

/// One work as a zone of its own: each flow runs between two hosts that nothing else uses, unless links and
/// hosts are one for one.
class Zone {
 public:
  Zone(sg::NetZone* world, const FlowWork& work, std::size_t index, std::vector<double>& ends)
      : ends_(ends), shared_hosts_(work.one_path_between_ends) {
    ends_.assign(work.flows.size(), -1);
    sg::NetZone* zone = sg::create_full_zone(fmt::format("zone{}", index))->set_parent(world);
    std::vector<const sg::Link*> links;
    for (std::size_t l = 0; l < work.capacities_bytes_per_s.size(); ++l)
      links.push_back(zone->create_link(fmt::format("z{}l{}", index, l), work.capacities_bytes_per_s[l])
                          ->set_latency(0)
                          ->seal());
    for (std::size_t f = 0; f < work.flows.size(); ++f) add_flow(zone, work.flows[f], links, index, f);
    zone->seal();
  }

 private:
  void add_flow(sg::NetZone* zone, const FlowWork::Flow& flow, const std::vector<const sg::Link*>& links,
                std::size_t index, std::size_t f) {
    const std::string name = fmt::format("z{}f{}", index, f);
    sg::Host* from = host(zone, shared_hosts_ ? fmt::format("from{}", flow.path.front()) : name + "a");
    sg::Host* to = host(zone, shared_hosts_ ? fmt::format("to{}", flow.path.back()) : name + "b");
    std::vector<sg::LinkInRoute> route;
    for (const int link : flow.path) route.emplace_back(links[static_cast<std::size_t>(link)]);
    if (joined_.insert({from, to}).second)
      zone->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, route, false);
    double* end = &ends_[f];
    // A mailbox rather than sendto, which takes no rate.
    sg::Actor::create(name + "a", from, [name, flow] {
      static int payload = 0;
      sg::this_actor::sleep_until(flow.start_s);
      const sg::CommPtr comm =
          sg::Mailbox::by_name(name)->put_init(&payload, static_cast<std::uint64_t>(flow.bytes));
      if (flow.limit_bytes_per_s > 0) comm->set_rate(flow.limit_bytes_per_s);
      comm->wait();
    });
    sg::Actor::create(name + "b", to, [name, end] {
      sg::Mailbox::by_name(name)->get<int>();
      *end = sg::Engine::get_clock();
    });
  }
  sg::Host* host(sg::NetZone* zone, const std::string& name) {
    sg::Host*& found = hosts_[name];
    if (!found) found = zone->create_host(name, 1e9)->seal();
    return found;
  }

  std::vector<double>& ends_;
  bool shared_hosts_;
  std::map<std::string, sg::Host*> hosts_;
  std::set<std::pair<sg::Host*, sg::Host*>> joined_;
};

}  // namespace

std::vector<std::vector<double>> simgrid_ends(const std::vector<FlowWork>& works, double* run_seconds) {
  int count = 1;
  char name[] = "agreement";
  char* words[] = {name, nullptr};
  sg::Engine engine(&count, words);
  for (const char* setting : {"network/model:CM02", "network/crosstraffic:0", "network/TCP-gamma:0",
                              "cpu/model:Cas01", "contexts/factory:raw", "contexts/stack-size:64"})
    sg::Engine::set_config(std::string(setting));
  sg::NetZone* world = sg::create_empty_zone("world");
  std::vector<std::vector<double>> ends(works.size());
  for (std::size_t w = 0; w < works.size(); ++w) const Zone zone(world, works[w], w, ends[w]);
  world->seal();
  const auto begin = std::chrono::steady_clock::now();
  engine.run();
  if (run_seconds)
    *run_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return ends;
}

}  // namespace sextant::test
