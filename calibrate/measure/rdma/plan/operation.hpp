#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sextant::rdma {

/// What a queue pair is asked to do; the words of measurement files.
enum class Operation { send, write, read };
/// Bandwidth of a stream, or the latency of one message.
enum class Test { bandwidth, latency };

std::string name(Operation);
std::string name(Test);  ///< "bw", "lat"
/// Also takes perftest's program names: ib_write_bw is write.
std::optional<Operation> operation_named(std::string_view);
std::optional<Test> test_named(std::string_view);
const std::vector<Operation>& operations();

/// Path MTUs that InfiniBand and RoCE know, bytes.
const std::vector<int>& path_mtus();

/// 2 B, 4 B ... 8 MiB: perftest's -a.
std::vector<std::int64_t> all_sizes();

/// What is measured on one set of connected queue pairs, at several sizes.
struct Block {
  Operation operation = Operation::write;
  Test test = Test::bandwidth;
  int qps = 1;
  bool both_ways = false;
  bool gpu = false;  ///< buffers of both ends in GPU memory
  std::vector<std::int64_t> sizes;
  /// "write bw, 4 queue pairs, both ways, GPU memory".
  std::string text() const;
};

}  // namespace sextant::rdma
