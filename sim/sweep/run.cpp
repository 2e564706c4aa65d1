#include "sim/sweep/run.hpp"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include "models/base/error.hpp"
#include "sim/sweep/point.hpp"

namespace sextant {
namespace {

/// Calls task(i) for i in [0, count) on the threads that the options ask for; the first exception ends it.
void over_threads(std::uint64_t count, const SweepOptions& options,
                  const std::function<void(std::uint64_t)>& task) {
  tbb::task_arena arena(options.threads > 0 ? options.threads : tbb::task_arena::automatic);
  arena.execute([&] {
    using Points = tbb::blocked_range<std::uint64_t>;
    tbb::parallel_for(
        Points(0, count, 1),
        [&](const Points& points) {
          for (std::uint64_t i = points.begin(); i != points.end(); ++i) {
            if (options.stop != nullptr && options.stop->load()) throw Interrupted();
            task(i);
          }
        },
        tbb::auto_partitioner());
  });
}

/// Counts points as they end.
class Count {
 public:
  Count(const SweepOptions& options, std::uint64_t total, std::uint64_t done)
      : options_(options), total_(total), done_(done) {}
  void one_more() {
    const std::uint64_t done = ++done_;
    if (options_.progress) options_.progress(done, total_);
  }

 private:
  const SweepOptions& options_;
  std::uint64_t total_;
  std::atomic<std::uint64_t> done_;
};

}  // namespace

std::vector<std::string> run_sweep(const SweepGrid& grid, const SweepOptions& options) {
  std::vector<std::string> rows(static_cast<std::size_t>(grid.points()));
  Count count(options, grid.points(), 0);
  SharedProfiles profiles;
  over_threads(grid.points(), options, [&](std::uint64_t point) {
    rows[static_cast<std::size_t>(point)] = run_point(grid, point, profiles, options.stop);
    count.one_more();
  });
  return rows;
}

void run_shard(const SweepGrid& grid, const Shard& shard, ShardFile& file, const SweepOptions& options) {
  const std::uint64_t total = shard.size(grid.points());
  Count count(options, total, file.rows());
  SharedProfiles profiles;
  over_threads(total, options, [&](std::uint64_t i) {
    if (file.has(i)) return;
    file.append(run_point(grid, shard.point(i), profiles, options.stop));
    count.one_more();
  });
}

}  // namespace sextant
