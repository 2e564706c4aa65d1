#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "calibrate/measure/device/bench.hpp"
#include "calibrate/measure/device/check.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

/// Host memory that the copy engines reach directly.
struct Unpin {
  void operator()(void* data) const { cudaFreeHost(data); }
};

/// Every page touched, so that the operating system has given it.
std::unique_ptr<void, Unpin> pinned_memory(std::size_t bytes) {
  void* data = nullptr;
  SEXTANT_CUDA(cudaMallocHost(&data, bytes));
  std::unique_ptr<void, Unpin> memory(data);
  std::memset(data, 0x5a, bytes);
  return memory;
}

constexpr std::size_t most_host_bytes = std::size_t{1} << 30;

}  // namespace

Bench::Result bench_copy(Bench& bench, const CopyRow& row, bool pageable) {
  const auto bytes = static_cast<std::size_t>(row.bytes);
  const cudaStream_t stream = bench.stream();
  Arena reader = bench.reader(Element::bf16), scratch = bench.scratch();
  if (row.direction == "d2d") {
    if (pageable) throw Error(ExitCode::failure, "skipped: d2d has no host memory");
    const Rotation turns = rotation(bench, 2 * bytes, std::min(reader.left(), scratch.left()),
                                    rough_seconds(row, bench.rates()));
    std::vector<std::pair<void*, void*>> pairs;
    for (int i = 0; i < turns.buffers; ++i) {
      void* to = scratch.take(bytes);
      pairs.emplace_back(to, reader.take(bytes));
    }
    const GraphTimer::Result timed = bench.timer().time(
        turns.operations,
        [&](int i) {
          const auto& [to, from] = pairs[static_cast<std::size_t>(i % turns.buffers)];
          SEXTANT_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream));
        },
        bench.options().rule);
    const double us = timed.summary.interval.median;
    return {us, fmt::format("{:.0f} GB/s read and written; {}{}", 2 * row.bytes / us / 1e3, timed.note,
                            turns.note())};
  }
  if (bytes > most_host_bytes) throw Error(ExitCode::failure, "skipped: more host memory than is set aside");
  const bool up = row.direction == "h2d";
  std::vector<char> plain(pageable ? bytes : 0, 'x');
  const std::unique_ptr<void, Unpin> pinned = pageable ? nullptr : pinned_memory(bytes);
  void* host = pageable ? plain.data() : pinned.get();
  void* device = scratch.take(bytes);
  const Event begin, end;
  Sampler sampler(bench.options().rule);
  const int copies = std::clamp(static_cast<int>(0.001 / rough_seconds(row, bench.rates())), 1, 64);
  const auto copy = [&] {
    SEXTANT_CUDA(cudaMemcpyAsync(up ? device : host, up ? host : device, bytes,
                                 up ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, stream));
  };
  copy();
  while (!sampler.done()) {
    begin.record(stream);
    for (int i = 0; i < copies; ++i) copy();
    end.record(stream);
    end.wait();
    const double us = microseconds(begin, end);
    sampler.add(us / copies, us * 1e-6);
  }
  const SampleSummary summary = sampler.summary();
  return {summary.interval.median,
          fmt::format("{}; {:.1f} GB/s; {}", pageable ? "pageable host memory" : "pinned host memory",
                      row.bytes / summary.interval.median / 1e3, summary.note())};
}

}  // namespace sextant::measure
