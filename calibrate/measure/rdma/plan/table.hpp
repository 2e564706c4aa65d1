#pragma once
#include <cstdint>
#include <string>

#include "calibrate/measure/rdma/plan/operation.hpp"
#include "calibrate/measure/rdma/plan/samples.hpp"
#include "models/profile/measurement.hpp"

namespace sextant::rdma {

/// What was measured at one size.
struct PointFigures {
  std::int64_t bytes = 0;
  double iterations = 0;  ///< messages, of all queue pairs and directions
  double messages_per_second = 0, best_messages_per_second = 0;
  SampleStatistics latency;  ///< us; of a latency test
  double gbps() const;       ///< 10^9 bit/s of payload
  double best_gbps() const;
};

/// The port and the conditions that a run's rows share.
struct RowContext {
  std::string device, source, pair, gpu_path;  ///< how GPU memory was registered
  int mtu = 0;
  double rate_gbps = 0;
};

/// perftest's heading over a block's table.
std::string table_heading(const Block&, const RowContext&);
/// perftest's line for one size.
std::string table_line(const Block&, const PointFigures&);

/// The row without its figures, and with them.
Measurement row_of(const Block&, std::int64_t bytes, const RowContext&);
Measurement row_of(const Block&, const PointFigures&, const RowContext&);

}  // namespace sextant::rdma
