#include "calibrate/measure/nccl/plan/operation.hpp"

#include <algorithm>
#include <array>

namespace sextant::nccl {
namespace {

struct OperationWords {
  Operation operation;
  const char* name;
  const char* program;  ///< of nccl-tests, without "_perf"
};
constexpr std::array operation_words = {
    OperationWords{Operation::all_reduce, "all_reduce", "all_reduce"},
    OperationWords{Operation::all_gather, "all_gather", "all_gather"},
    OperationWords{Operation::reduce_scatter, "reduce_scatter", "reduce_scatter"},
    OperationWords{Operation::broadcast, "broadcast", "broadcast"},
    OperationWords{Operation::all_to_all, "all_to_all", "alltoall"},
    OperationWords{Operation::send, "send", "send"},
    OperationWords{Operation::sendrecv, "sendrecv", "sendrecv"},
};

struct TypeWords {
  DataType type;
  const char* name;
  const char* row_name;
  std::size_t bytes;
};
constexpr std::array type_words = {
    TypeWords{DataType::int8, "int8", "int8", 1},      TypeWords{DataType::uint8, "uint8", "uint8", 1},
    TypeWords{DataType::int32, "int32", "int32", 4},   TypeWords{DataType::uint32, "uint32", "uint32", 4},
    TypeWords{DataType::int64, "int64", "int64", 8},   TypeWords{DataType::uint64, "uint64", "uint64", 8},
    TypeWords{DataType::half, "half", "fp16", 2},      TypeWords{DataType::float32, "float", "fp32", 4},
    TypeWords{DataType::float64, "double", "fp64", 8}, TypeWords{DataType::bfloat16, "bfloat16", "bf16", 2},
};

constexpr std::array<const char*, 5> reduction_names = {"sum", "prod", "max", "min", "avg"};

const OperationWords& words(Operation operation) {
  return *std::find_if(operation_words.begin(), operation_words.end(),
                       [&](const OperationWords& each) { return each.operation == operation; });
}

const TypeWords& words(DataType type) {
  return *std::find_if(type_words.begin(), type_words.end(),
                       [&](const TypeWords& each) { return each.type == type; });
}

}  // namespace

std::string name(Operation operation) {
  return words(operation).name;
}

std::optional<Operation> operation_named(const std::string& text) {
  constexpr std::string_view suffix = "_perf";
  const std::string bare = text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
  for (const OperationWords& each : operation_words)
    if (bare == each.name || bare == each.program) return each.operation;
  return std::nullopt;
}

const std::vector<Operation>& collective_operations() {
  static const std::vector<Operation> all = {Operation::all_reduce, Operation::all_gather,
                                             Operation::reduce_scatter, Operation::broadcast,
                                             Operation::all_to_all};
  return all;
}

bool is_between_two(Operation operation) {
  return operation == Operation::send || operation == Operation::sendrecv;
}
bool reduces(Operation operation) {
  return operation == Operation::all_reduce || operation == Operation::reduce_scatter;
}
bool has_root(Operation operation) {
  return operation == Operation::broadcast;
}

std::string name(DataType type) {
  return words(type).name;
}
std::string row_name(DataType type) {
  return words(type).row_name;
}

std::optional<DataType> data_type_named(const std::string& text) {
  for (const TypeWords& each : type_words)
    if (text == each.name) return each.type;
  return std::nullopt;
}

const std::vector<DataType>& data_types() {
  static const std::vector<DataType> all = [] {
    std::vector<DataType> types;
    for (const TypeWords& each : type_words) types.push_back(each.type);
    return types;
  }();
  return all;
}

std::size_t bytes_of(DataType type) {
  return words(type).bytes;
}

bool is_floating(DataType type) {
  return type == DataType::half || type == DataType::float32 || type == DataType::float64 ||
         type == DataType::bfloat16;
}

std::string name(Reduction reduction) {
  return reduction_names[static_cast<std::size_t>(reduction)];
}

std::optional<Reduction> reduction_named(const std::string& text) {
  for (std::size_t i = 0; i < reduction_names.size(); ++i)
    if (text == reduction_names[i]) return static_cast<Reduction>(i);
  return std::nullopt;
}

const std::vector<Reduction>& reductions() {
  static const std::vector<Reduction> all = {Reduction::sum, Reduction::prod, Reduction::max, Reduction::min,
                                             Reduction::avg};
  return all;
}

Layout layout(Operation operation, std::size_t bytes, std::size_t element_bytes, int ranks) {
  const auto all = static_cast<std::size_t>(ranks);
  const std::size_t count = bytes / element_bytes;
  const std::size_t alignment = 16 / element_bytes;  // elements in 16 bytes
  const std::size_t share = count / all / alignment * alignment;
  switch (operation) {
    case Operation::all_gather:
      return {share, share * all, share, share, 0};
    case Operation::reduce_scatter:
      return {share * all, share, share, 0, share};
    case Operation::all_to_all:
      return {share * all, share * all, share, 0, 0};
    default:
      return {count, count, count, 0, 0};
  }
}

std::size_t size_bytes(const Layout& counts, std::size_t element_bytes) {
  return std::max(counts.send_count, counts.recv_count) * element_bytes;
}

Bandwidth bandwidth(Operation operation, double bytes, double seconds, int ranks) {
  const double algbw = bytes / 1e9 / seconds;
  const double others = static_cast<double>(ranks - 1) / ranks;
  switch (operation) {
    case Operation::all_reduce:
      return {algbw, algbw * 2 * others};
    case Operation::all_gather:
    case Operation::reduce_scatter:
    case Operation::all_to_all:
      return {algbw, algbw * others};
    default:
      return {algbw, algbw};
  }
}

}  // namespace sextant::nccl
