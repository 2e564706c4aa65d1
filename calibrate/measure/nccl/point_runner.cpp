#include "calibrate/measure/nccl/point_runner.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "calibrate/measure/nccl/cuda_call.hpp"

namespace sextant::nccl {
namespace {

constexpr std::size_t most_slots = 128;      // buffers to rotate among
constexpr std::size_t slot_alignment = 512;  // bytes
constexpr double batch_seconds = 1e-3;       // a batch this long dwarfs the events around it
constexpr int most_iterations = 100;         // of a batch
constexpr int poison_byte = 0xff;            // NaN in every floating type, -1 in integers
constexpr double slow_seconds = 0.1;         // operations slower than this get fewer warm-ups and samples

std::size_t aligned(std::size_t bytes) {
  return (bytes + slot_alignment - 1) / slot_alignment * slot_alignment;
}

}  // namespace

/// Destroys a point's graphs when the point is done.
struct PointRunner::GraphsOf {
  Point& point;
  ~GraphsOf() {
    for (cudaGraphExec_t& graph : point.graphs)
      if (graph) cudaGraphExecDestroy(graph);
  }
};

PointRunner::PointRunner(World& world, const Options& options, const EffortLimits& limits,
                         std::size_t pool_bytes)
    : world_(world), options_(options), limits_(limits), pool_bytes_(pool_bytes) {}

bool PointRunner::fits(const Block& block, std::uint64_t bytes) const {
  const std::size_t element = bytes_of(block.type);
  const Layout counts = layout(block.operation, bytes, element, static_cast<int>(block.members.size()));
  return counts.count > 0 && aligned(size_bytes(counts, element)) <= pool_bytes_;
}

PointRunner::Point PointRunner::prepare(const Block& block, std::uint64_t bytes, bool in_place) {
  Point point;
  point.block = &block;
  point.element_bytes = bytes_of(block.type);
  point.counts = layout(block.operation, bytes, point.element_bytes, static_cast<int>(block.members.size()));
  point.stride_bytes = aligned(size_bytes(point.counts, point.element_bytes));
  point.slots = std::clamp<std::size_t>(pool_bytes_ / point.stride_bytes, 1, most_slots);
  point.in_place = in_place;
  point.ping_pong = block.operation == Operation::send && bytes <= ping_pong_limit && options_.aggregate == 1;
  std::vector<int> everybody(static_cast<std::size_t>(world_.size()));
  std::iota(everybody.begin(), everybody.end(), 0);
  // A pair talks over the communicator of all: connecting 28 pairs of 8 GPUs by communicators of their own
  // takes long.
  point.comms = &world_.group(is_between_two(block.operation) ? everybody : block.members);
  return point;
}

PointResult PointRunner::measure(const Block& block, std::uint64_t bytes, bool in_place) {
  Point point = prepare(block, bytes, in_place);
  const GraphsOf destroyed_at_the_end{point};
  fill_inputs(block.type);
  warm_up(point);
  point.iterations = choose_iterations(point);
  if (block.graph) capture(point);
  long long wrong = 0;
  for (int check = 0; check < options_.check && wrong == 0; ++check) {
    if (in_place) {
      // Reductions in place feed on their results: one operation on fresh inputs.
      Point once = point;
      once.iterations = 1;
      once.graphs.clear();
      refill_in_place(once);
      world_.on_threads([&](const std::vector<int>& mine) {
        issue(once, mine, 1, 0);
        for (const int i : members_among(once, mine))
          world_.finish(world_.local()[static_cast<std::size_t>(i)]);
      });
      wrong += wrong_elements(once);
    } else {
      poison(point);
      timed_batch(point, 0);
      wrong += wrong_elements(point);
    }
  }
  PointResult result;
  result.counts = point.counts;
  result.ping_pong = point.ping_pong;
  result.us = sample(point);
  // Once more what the timed runs left behind.
  if (options_.check > 0 && !in_place && wrong == 0) wrong += wrong_elements(point);
  if (options_.check > 0) result.wrong = wrong;
  return result;
}

void PointRunner::fill_inputs(DataType type) {
  if (filled_ == type) return;
  for (const LocalRank& local : world_.local()) {
    cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
    fill_random(local.send_pool, type, pool_bytes_ / bytes_of(type), local.rank, 0, local.stream);
    cuda_check(cudaGetLastError(), "fill_random");
  }
  for (const LocalRank& local : world_.local()) world_.finish(local);
  filled_ = type;
}

void PointRunner::warm_up(const Point& point) {
  Point once = point;
  once.iterations = 1;
  const auto run = [&](int times) {
    for (int i = 0; i < times; ++i) timed_batch(once, 0);
  };
  if (options_.warm_up) return run(*options_.warm_up);
  constexpr int usual = 3;
  const std::vector<double> first = timed_batch(once, 0);
  run(*std::max_element(first.begin(), first.end()) * 1e-6 > slow_seconds ? 0 : usual);
}

int PointRunner::choose_iterations(const Point& point) {
  if (options_.iterations) return *options_.iterations;
  Point few = point;
  few.iterations = 2;
  const std::vector<double> us = timed_batch(few, 0);
  const double each = *std::max_element(us.begin(), us.end()) * 1e-6 / few.iterations;
  return std::clamp(static_cast<int>(std::ceil(batch_seconds / std::max(each, 1e-9))), 1, most_iterations);
}

void PointRunner::capture(Point& point) {
  point.graphs.assign(world_.local().size(), nullptr);
  world_.on_threads([&](const std::vector<int>& mine) {
    const std::vector<int> members = members_among(point, mine);
    for (const int i : members) {
      const LocalRank& local = world_.local()[static_cast<std::size_t>(i)];
      cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
      cuda_check(cudaStreamBeginCapture(local.stream, cudaStreamCaptureModeThreadLocal),
                 "cudaStreamBeginCapture");
    }
    issue(point, mine, point.iterations, 0);
    for (const int i : members) {
      const LocalRank& local = world_.local()[static_cast<std::size_t>(i)];
      cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
      cudaGraph_t graph = nullptr;
      cuda_check(cudaStreamEndCapture(local.stream, &graph), "cudaStreamEndCapture");
      const cudaError_t instantiated =
          cudaGraphInstantiate(&point.graphs[static_cast<std::size_t>(i)], graph, 0);
      cudaGraphDestroy(graph);
      cuda_check(instantiated, "cudaGraphInstantiate");
    }
  });
}

std::vector<double> PointRunner::timed_batch(const Point& point, std::size_t first_slot) {
  const int launches = std::max(1, options_.graph_launches.value_or(1));
  std::vector<double> us(point.block->members.size());
  world_.on_threads([&](const std::vector<int>& mine) {
    const std::vector<int> members = members_among(point, mine);
    const auto each = [&](const auto& action) {
      for (const int i : members) {
        const LocalRank& local = world_.local()[static_cast<std::size_t>(i)];
        cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
        action(local, i);
      }
    };
    const auto launch = [&](const LocalRank& local, int i) {
      cuda_check(cudaGraphLaunch(point.graphs[static_cast<std::size_t>(i)], local.stream), "cudaGraphLaunch");
    };
    const bool replay = !point.graphs.empty();
    // The lead-in lines the ranks up, so that none times its wait for the others to start; a graph's hides
    // its launch.
    if (replay)
      each(launch);
    else
      issue(point, mine, 1, first_slot);
    each([](const LocalRank& local, int) {
      cuda_check(cudaEventRecord(local.start, local.stream), "cudaEventRecord");
    });
    if (replay)
      for (int i = 0; i < launches; ++i) each(launch);
    else
      issue(point, mine, point.iterations, first_slot);
    each([](const LocalRank& local, int) {
      cuda_check(cudaEventRecord(local.stop, local.stream), "cudaEventRecord");
    });
    each([&](const LocalRank& local, int i) {
      world_.finish(local);
      float milliseconds = 0;
      cuda_check(cudaEventElapsedTime(&milliseconds, local.start, local.stop), "cudaEventElapsedTime");
      us[static_cast<std::size_t>(member_of(point, i))] = static_cast<double>(milliseconds) * 1e3;
    });
  });
  return world_.most(us);
}

double PointRunner::operations_per_batch(const Point& point) const {
  const int launches = point.graphs.empty() ? 1 : std::max(1, options_.graph_launches.value_or(1));
  return static_cast<double>(point.iterations) * options_.aggregate * launches * (point.ping_pong ? 2 : 1);
}

double PointRunner::combine(const Point& point, const std::vector<double>& member_us) const {
  const double most = *std::max_element(member_us.begin(), member_us.end());
  // One way, the sender is done before the receiver: the later one tells.
  if (is_between_two(point.block->operation)) return most / operations_per_batch(point);
  double us = most;
  if (options_.average == 0) us = member_us.front();
  if (options_.average == 1)
    us = std::accumulate(member_us.begin(), member_us.end(), 0.0) / static_cast<double>(member_us.size());
  if (options_.average == 2) us = *std::min_element(member_us.begin(), member_us.end());
  return us / operations_per_batch(point);
}

measure::SampleSummary PointRunner::sample(const Point& point) {
  measure::StoppingRule rule;
  rule.least_samples = static_cast<std::size_t>(limits_.least_samples);
  rule.most_seconds = limits_.seconds_per_point;
  rule.relative_half_width = limits_.spread;
  constexpr std::size_t samples_when_slow = 3;
  std::optional<measure::Sampler> sampler;
  for (std::size_t taken = 0; !sampler || !sampler->done(); ++taken) {
    if (point.in_place && reduces(point.block->operation)) refill_in_place(point);
    const std::size_t batch = static_cast<std::size_t>(point.iterations * options_.aggregate);
    const std::vector<double> us = timed_batch(point, point.graphs.empty() ? taken * batch % point.slots : 0);
    const double spent = *std::max_element(us.begin(), us.end()) * 1e-6;
    if (!sampler) {
      if (spent > slow_seconds) rule.least_samples = std::min(rule.least_samples, samples_when_slow);
      sampler.emplace(rule);
    }
    sampler->add(combine(point, us), spent);
  }
  return sampler->summary();
}

std::size_t PointRunner::used_slots(const Point& point) const {
  return std::min(point.slots, static_cast<std::size_t>(point.iterations * options_.aggregate));
}

void PointRunner::poison(const Point& point) {
  world_.on_threads([&](const std::vector<int>& mine) {
    for (const int i : members_among(point, mine)) {
      const LocalRank& local = world_.local()[static_cast<std::size_t>(i)];
      cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
      cuda_check(
          cudaMemsetAsync(local.recv_pool, poison_byte, used_slots(point) * point.stride_bytes, local.stream),
          "cudaMemsetAsync");
      world_.finish(local);
    }
  });
}

void PointRunner::refill_in_place(const Point& point) {
  const Block& block = *point.block;
  poison(point);
  world_.on_threads([&](const std::vector<int>& mine) {
    for (const int i : members_among(point, mine)) {
      const LocalRank& local = world_.local()[static_cast<std::size_t>(i)];
      const int member = member_of(point, i);
      if (has_root(block.operation) && member != block.root) continue;
      cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
      const std::size_t offset = static_cast<std::size_t>(member) * point.counts.in_place_send_offset;
      for (std::size_t slot = 0; slot < used_slots(point); ++slot)
        fill_random(local.recv_pool + slot * point.stride_bytes + offset * point.element_bytes, block.type,
                    point.counts.send_count, local.rank, slot * point.stride_bytes / point.element_bytes,
                    local.stream);
      cuda_check(cudaGetLastError(), "fill_random");
      world_.finish(local);
    }
  });
}

Expectation PointRunner::expectation(const Point& point, int member, std::size_t slot) const {
  const Block& block = *point.block;
  Expectation expected;
  expected.operation = block.operation;
  expected.type = block.type;
  expected.reduction = block.reduction;
  expected.first_rank = block.members.front();
  expected.rank_stride = block.members.size() > 1 ? block.members[1] - block.members[0] : 1;
  expected.members = static_cast<int>(block.members.size());
  expected.member = member;
  expected.source = is_between_two(block.operation) ? 1 - member : block.root;
  expected.base = slot * point.stride_bytes / point.element_bytes;
  expected.share = point.counts.count;
  return expected;
}

long long PointRunner::wrong_elements(const Point& point) {
  std::vector<double> wrong(point.block->members.size());
  const bool one_way = point.block->operation == Operation::send && !point.ping_pong;
  world_.on_threads([&](const std::vector<int>& mine) {
    for (const int i : members_among(point, mine)) {
      const int member = member_of(point, i);
      if (one_way && member == 0) continue;  // receives nothing
      const LocalRank& local = world_.local()[static_cast<std::size_t>(i)];
      cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
      cuda_check(cudaMemsetAsync(local.wrong, 0, sizeof *local.wrong, local.stream), "cudaMemsetAsync");
      const std::size_t offset =
          point.in_place ? static_cast<std::size_t>(member) * point.counts.in_place_recv_offset : 0;
      for (std::size_t slot = 0; slot < used_slots(point); ++slot)
        count_wrong(local.recv_pool + slot * point.stride_bytes + offset * point.element_bytes,
                    point.counts.recv_count, expectation(point, member, slot), local.wrong, local.stream);
      cuda_check(cudaGetLastError(), "count_wrong");
      world_.finish(local);
      unsigned long long found = 0;
      cuda_check(cudaMemcpy(&found, local.wrong, sizeof found, cudaMemcpyDeviceToHost), "cudaMemcpy");
      wrong[static_cast<std::size_t>(member)] = static_cast<double>(found);
    }
  });
  const std::vector<double> agreed = world_.most(wrong);
  return static_cast<long long>(std::accumulate(agreed.begin(), agreed.end(), 0.0));
}

int PointRunner::member_of(const Point& point, int local_index) const {
  const std::vector<int>& members = point.block->members;
  const int rank = world_.local()[static_cast<std::size_t>(local_index)].rank;
  const auto found = std::find(members.begin(), members.end(), rank);
  return found == members.end() ? -1 : static_cast<int>(found - members.begin());
}

std::vector<int> PointRunner::members_among(const Point& point, const std::vector<int>& mine) const {
  std::vector<int> members;
  for (const int i : mine)
    if (member_of(point, i) >= 0) members.push_back(i);
  return members;
}

}  // namespace sextant::nccl
