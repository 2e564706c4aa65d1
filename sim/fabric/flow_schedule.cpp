#include "sim/fabric/flow_schedule.hpp"

#include "sim/kernel/event_queue.hpp"

namespace sextant {
namespace {

enum Kind : std::uint32_t { flow_begins, flows_change };

}  // namespace

std::vector<Time> run_schedule(FlowEngine engine, std::span<const ScheduledFlow> flows) {
  EventQueue queue;
  for (std::size_t i = 0; i < flows.size(); ++i) queue.schedule({flows[i].start, flow_begins, 0, i});
  std::vector<Time> ends(flows.size());
  std::vector<std::size_t> index_of;  // by the engine's name of a flow
  Time expected = Time::max();
  while (!queue.empty()) {
    const Event event = queue.pop();
    if (event.kind == flow_begins) {
      const ScheduledFlow& flow = flows[event.data];
      if (engine.next_change() == queue.now())  // ends of this instant come before beginnings
        for (const FlowId id : engine.advance(queue.now())) ends[index_of[id]] = queue.now();
      const FlowId id = engine.start(queue.now(), flow.path, flow.bytes, flow.limit_gbps, flow.latency);
      if (id >= index_of.size()) index_of.resize(id + 1);
      index_of[id] = event.data;
    } else if (event.time == engine.next_change()) {
      for (const FlowId id : engine.advance(queue.now())) ends[index_of[id]] = queue.now();
    } else {
      continue;  // foreseen before something else changed it
    }
    const Time next = engine.next_change();
    if (next != Time::max() && (next != expected || event.kind == flows_change))
      queue.schedule({next, flows_change});
    expected = next;
  }
  return ends;
}

}  // namespace sextant
