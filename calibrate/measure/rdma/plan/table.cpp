#include "calibrate/measure/rdma/plan/table.hpp"

#include <fmt/core.h>

namespace sextant::rdma {
namespace {

constexpr double bits_per_byte = 8, giga = 1e9, mega = 1e6;

std::string perftest_name(Operation operation) {
  switch (operation) {
    case Operation::send:
      return "Send";
    case Operation::write:
      return "RDMA_Write";
    case Operation::read:
      return "RDMA_Read";
  }
  return {};
}

}  // namespace

double PointFigures::gbps() const {
  return messages_per_second * static_cast<double>(bytes) * bits_per_byte / giga;
}

double PointFigures::best_gbps() const {
  return best_messages_per_second * static_cast<double>(bytes) * bits_per_byte / giga;
}

std::string table_heading(const Block& block, const RowContext& context) {
  const bool bandwidth = block.test == Test::bandwidth;
  std::string text = fmt::format("# {} {}{} Test, {} on {}, MTU {}, {}\n", perftest_name(block.operation),
                                 block.both_ways ? "Bidirectional " : "", bandwidth ? "BW" : "Latency",
                                 block.text(), context.device, context.mtu,
                                 block.gpu ? "GPU memory by " + context.gpu_path : "host memory");
  return text + (bandwidth
                     ? " #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n"
                     : " #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    "
                       "t_stdev[usec]   99% percentile[usec]   99.9% percentile[usec]\n");
}

std::string table_line(const Block& block, const PointFigures& figures) {
  if (block.test == Test::bandwidth)
    return fmt::format(" {:<10} {:<14.0f} {:<18.6f} {:<20.6f} {:.6f}\n", figures.bytes, figures.iterations,
                       figures.best_gbps(), figures.gbps(), figures.messages_per_second / mega);
  const SampleStatistics& t = figures.latency;
  return fmt::format(" {:<7} {:<14} {:<14.2f} {:<12.2f} {:<16.2f} {:<14.2f} {:<15.2f} {:<22.2f} {:.2f}\n",
                     figures.bytes, t.samples, t.least, t.most, t.median, t.mean, t.deviation, t.p99, t.p999);
}

Measurement row_of(const Block& block, std::int64_t bytes, const RowContext& context) {
  RdmaRow row;
  row.op = name(block.operation);
  row.test = name(block.test);
  row.bytes = static_cast<double>(bytes);
  row.qps = block.qps;
  row.device = context.device;
  row.mtu = context.mtu;
  row.rate_gbps = context.rate_gbps;
  row.gdr = block.gpu;
  if (block.both_ways) row.both_ways = true;
  row.pair = context.pair;
  return {"", context.source, "", row};
}

Measurement row_of(const Block& block, const PointFigures& figures, const RowContext& context) {
  Measurement measurement = row_of(block, figures.bytes, context);
  auto& row = std::get<RdmaRow>(measurement.row);
  if (block.test == Test::bandwidth) {
    row.gbps = figures.gbps();
    measurement.note =
        fmt::format("{:.0f} messages, best tenth {:.4g} Gbit/s", figures.iterations, figures.best_gbps());
  } else {
    row.us = figures.latency.median;
    measurement.note = (block.operation == Operation::read ? "request and data, " : "half the round trip, ") +
                       figures.latency.note();
  }
  if (block.gpu) measurement.note += ", GPU memory by " + context.gpu_path;
  return measurement;
}

}  // namespace sextant::rdma
