#include "tests/simgrid/platform.hpp"

#include "sim/fabric/flow_schedule.hpp"
#include "sim/kernel/random.hpp"

namespace sextant::test {

std::vector<double> sextant_ends(const FlowWork& work) {
  std::vector<double> capacities;
  for (const double bytes_per_s : work.capacities_bytes_per_s) capacities.push_back(bytes_per_s * 1e-9);
  std::vector<ScheduledFlow> flows;
  for (const FlowWork::Flow& flow : work.flows) {
    ScheduledFlow scheduled{Time::seconds(flow.start_s), flow.path, flow.bytes};
    if (flow.limit_bytes_per_s > 0) scheduled.limit_gbps = flow.limit_bytes_per_s * 1e-9;
    flows.push_back(std::move(scheduled));
  }
  std::vector<double> ends;
  for (const Time end : run_schedule(FlowEngine(capacities), flows)) ends.push_back(end.seconds());
  return ends;
}

FlowWork random_work(std::uint64_t seed) {
  RandomStream random(seed, "platform");
  FlowWork work;
  const std::uint64_t links = 2 + random.below(39), flows = 5 + random.below(56);
  for (std::uint64_t i = 0; i < links; ++i)
    work.capacities_bytes_per_s.push_back(1e9 * (1 + 24 * random.uniform()));
  for (std::uint64_t i = 0; i < flows; ++i) {
    FlowWork::Flow flow;
    while (flow.path.empty())
      for (std::uint64_t link = 0; link < links; ++link)
        if (random.below(links) < 4) flow.path.push_back(static_cast<int>(link));
    flow.start_s = random.uniform();
    flow.bytes = random.lognormal(1e9, 1);
    if (random.below(3) == 0) flow.limit_bytes_per_s = 1e9 * (0.5 + 5 * random.uniform());
    work.flows.push_back(std::move(flow));
  }
  return work;
}

FlowWork star_work(int hosts, int flows) {
  RandomStream random(1, "star");
  FlowWork work;
  work.one_path_between_ends = true;
  work.capacities_bytes_per_s.assign(2 * static_cast<std::size_t>(hosts), 25e9);
  const auto count = static_cast<std::uint64_t>(hosts);
  for (int i = 0; i < flows; ++i) {
    const std::uint64_t from = random.below(count), to = (from + 1 + random.below(count - 1)) % count;
    work.flows.push_back(
        {{static_cast<int>(2 * from), static_cast<int>(2 * to + 1)}, 0, random.lognormal(1e9, 1), 0});
  }
  return work;
}

}  // namespace sextant::test
