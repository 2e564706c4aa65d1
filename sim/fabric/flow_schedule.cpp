#include "sim/fabric/flow_schedule.hpp"

#include <utility>

#include "sim/kernel/event_queue.hpp"

namespace sextant {
namespace {

enum Kind : std::uint32_t { flows_change, flow_begins, look_ahead };

// Of one instant: what ends, what begins, and only then, once for all of it, a look at what comes next.
constexpr std::uint8_t priorities[] = {100, 128, 255};

/// Flows, their engine and the queue that moves them.
class Schedule {
 public:
  Schedule(FlowEngine engine, std::span<const ScheduledFlow> flows)
      : engine_(std::move(engine)), flows_(flows), ends_(flows.size()) {
    for (std::size_t i = 0; i < flows.size(); ++i) schedule(flows[i].start, flow_begins, i);
  }

  std::vector<Time> run() {
    while (!queue_.empty()) {
      const Event event = queue_.pop();
      if (event.kind == flows_change) end_flows();
      if (event.kind == flow_begins) begin(event.data);
      if (event.kind == look_ahead) foresee();
    }
    return std::move(ends_);
  }

 private:
  void schedule(Time time, Kind kind, std::uint64_t data = 0) {
    queue_.schedule({time, kind, 0, data}, priorities[kind]);
  }

  void look_ahead_once() {
    if (!looks_ahead_) schedule(queue_.now(), look_ahead);
    looks_ahead_ = true;
  }

  void end_flows() {
    if (engine_.next_change() != queue_.now()) return;  // foreseen before something else changed it
    for (const FlowId id : engine_.advance(queue_.now())) ends_[index_of_[id]] = queue_.now();
    look_ahead_once();
  }

  void begin(std::size_t index) {
    const ScheduledFlow& flow = flows_[index];
    const FlowId id = engine_.start(queue_.now(), flow.path, flow.bytes, flow.limit_gbps, flow.latency);
    if (id >= index_of_.size()) index_of_.resize(id + 1);
    index_of_[id] = index;
    look_ahead_once();
  }

  void foresee() {
    looks_ahead_ = false;
    if (const Time next = engine_.next_change(); next != Time::max()) schedule(next, flows_change);
  }

  FlowEngine engine_;
  std::span<const ScheduledFlow> flows_;
  EventQueue queue_;
  std::vector<Time> ends_;
  std::vector<std::size_t> index_of_;  ///< by the engine's name of a flow
  bool looks_ahead_ = false;
};

}  // namespace

std::vector<Time> run_schedule(FlowEngine engine, std::span<const ScheduledFlow> flows) {
  return Schedule(std::move(engine), flows).run();
}

}  // namespace sextant
