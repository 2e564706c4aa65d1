#include "calibrate/measure/rdma/plan/operation.hpp"

#include <fmt/core.h>

#include "calibrate/measure/common/grid.hpp"

namespace sextant::rdma {

std::string name(Operation operation) {
  switch (operation) {
    case Operation::send:
      return "send";
    case Operation::write:
      return "write";
    case Operation::read:
      return "read";
  }
  return {};
}

std::string name(Test test) {
  return test == Test::bandwidth ? "bw" : "lat";
}

std::optional<Operation> operation_named(std::string_view text) {
  for (const Operation each : operations())
    if (text == name(each) || text == "ib_" + name(each) + "_bw" || text == "ib_" + name(each) + "_lat")
      return each;
  return std::nullopt;
}

std::optional<Test> test_named(std::string_view text) {
  for (const Test each : {Test::bandwidth, Test::latency})
    if (text == name(each)) return each;
  return std::nullopt;
}

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = {Operation::send, Operation::write, Operation::read};
  return all;
}

const std::vector<int>& path_mtus() {
  static const std::vector<int> all = {256, 512, 1024, 2048, 4096};
  return all;
}

std::vector<std::int64_t> all_sizes() {
  constexpr std::int64_t least = 2, most = 8 << 20;
  return measure::powers_of_two(least, most);
}

std::string Block::text() const {
  std::string result = fmt::format("{} {}", name(operation), name(test));
  if (qps > 1) result += fmt::format(", {} queue pairs", qps);
  if (both_ways) result += ", both ways";
  if (gpu) result += ", GPU memory";
  return result;
}

}  // namespace sextant::rdma
