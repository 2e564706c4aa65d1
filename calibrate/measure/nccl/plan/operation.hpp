#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace sextant::nccl {

/// What is timed. `send` goes one way between two GPUs, `sendrecv` both ways at once; the others are
/// collectives.
enum class Operation { all_reduce, all_gather, reduce_scatter, broadcast, all_to_all, send, sendrecv };

/// Element types, with nccl-tests' names on the command line and in the table.
enum class DataType { int8, uint8, int32, uint32, int64, uint64, half, float32, float64, bfloat16 };

/// How a reducing operation combines elements.
enum class Reduction { sum, prod, max, min, avg };

/// Names in measurement files (collectives) and on the command line.
std::string name(Operation);
/// Also takes the names of nccl-tests' programs: all_reduce_perf, alltoall_perf, sendrecv_perf.
std::optional<Operation> operation_named(const std::string&);
const std::vector<Operation>& collective_operations();
bool is_between_two(Operation);  ///< send and sendrecv
bool reduces(Operation);
bool has_root(Operation);

/// nccl-tests' name: float, bfloat16, half, ...
std::string name(DataType);
/// The word in measurement files: fp32, bf16, fp16, ...
std::string row_name(DataType);
std::optional<DataType> data_type_named(const std::string&);
const std::vector<DataType>& data_types();
std::size_t bytes_of(DataType);
bool is_floating(DataType);

std::string name(Reduction);
std::optional<Reduction> reduction_named(const std::string&);
const std::vector<Reduction>& reductions();

/// Element counts of one operation, as nccl-tests derives them from a size on the command line: gathers,
/// scatters and all-to-all round each rank's share down to 16 bytes.
struct Layout {
  std::size_t send_count = 0, recv_count = 0;
  std::size_t count = 0;  ///< NCCL's argument, and the table's `count`
  /// In place, both buffers are one: rank r sends from r * send_offset and receives at r * recv_offset.
  std::size_t in_place_send_offset = 0, in_place_recv_offset = 0;
};
Layout layout(Operation, std::size_t bytes, std::size_t element_bytes, int ranks);

/// The `size` column and the `bytes` of a row: the larger of both buffers.
std::size_t size_bytes(const Layout&, std::size_t element_bytes);

/// 10^9 B/s. busbw is algbw times what a rank must move for each byte of `size`: 2 (n-1)/n for all_reduce,
/// (n-1)/n for all_gather, reduce_scatter and all_to_all, 1 otherwise (nccl-tests, doc/PERFORMANCE.md).
struct Bandwidth {
  double algbw = 0, busbw = 0;
};
Bandwidth bandwidth(Operation, double size_bytes, double seconds, int ranks);

}  // namespace sextant::nccl
