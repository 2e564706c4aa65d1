#pragma once
#include <optional>
#include <string>
#include <vector>

#include "calibrate/measure/rdma/device.hpp"
#include "calibrate/measure/rdma/plan/options.hpp"
#include "calibrate/measure/rdma/plan/wire.hpp"
#include "calibrate/measure/rdma/queue_pairs.hpp"
#include "calibrate/measure/tcp/control.hpp"

namespace sextant::rdma {

enum class Role { client, server };

/// What one end knows of itself and of the other once both have greeted.
struct Parties {
  Hello own, peer;
};

/// Greets, and compares versions, settings and addresses. Throws InputError for both when they differ.
Parties greet(const Options&, const Device&, tcp::Control&, const std::string& version);

/// One block at one end: buffer and queue pairs, connected and probed.
class Connected {
 public:
  Connected(const Options&, const Device&, tcp::Control&, const Parties&, const BlockRequest&, Role);

  /// What a point gave at this end.
  struct Outcome {
    PointResult own, peer;        ///< streams of a bandwidth test
    std::vector<double> samples;  ///< us, at the client of a latency test
  };
  /// Runs one size. Throws Error when the data that arrived are not those that were sent, here or there.
  Outcome run(const PointRequest&);

  const std::string& memory_path() const { return buffer_.path(); }

 private:
  bool takes_data() const;
  void compare(const PointRequest&, const std::vector<std::uint64_t>& expected);
  const Options& options_;
  tcp::Control& control_;
  Role role_;
  Buffer buffer_;
  QueuePairs pairs_;
};

}  // namespace sextant::rdma
