#include "calibrate/measure/nccl/plan/rows.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "calibrate/measure/common/size_text.hpp"

namespace sextant::nccl {
namespace {

using Pair = std::pair<int, int>;

CollectiveRow collective_row(const Block& block, const Variant& variant, double bytes, bool in_place,
                             const RowContext& context) {
  CollectiveRow row;
  row.op = name(block.operation);
  row.ranks = static_cast<int>(block.members.size());
  row.nodes = context.nodes;
  row.link = context.link;
  row.bytes = bytes;
  row.dtype = row_name(block.type);
  row.algo = variant.algorithm;
  row.proto = variant.protocol;
  row.impl = "nccl";
  if (context.multicast_off) row.nvls = false;
  row.channels = variant.channels;
  row.graph = block.graph;
  if (in_place) row.in_place = true;
  return row;
}

PointToPointRow pair_row(const Block& block, const Variant& variant, double bytes,
                         const RowContext& context) {
  PointToPointRow row;
  row.nodes = context.nodes;
  row.link = context.link;
  row.bytes = bytes;
  row.pair = fmt::format("{}-{}", block.members.front(), block.members.back());
  row.channels = variant.channels;
  row.both_ways = block.operation == Operation::sendrecv;
  row.graph = block.graph;
  return row;
}

std::optional<Pair> pair_of(const std::string& text) {
  Pair pair;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, pair.first);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, pair.second);
  if (second.ec != std::errc{} || second.ptr != end) return std::nullopt;
  return pair;
}

std::string matrix(const std::string& title, const std::map<Pair, double>& values, int ranks) {
  std::string text = fmt::format("# {}\n# {:>4}", title, "GPU");
  for (int column = 0; column < ranks; ++column) text += fmt::format("  {:>7}", column);
  text += '\n';
  for (int row = 0; row < ranks; ++row) {
    text += fmt::format("# {:>4}", row);
    for (int column = 0; column < ranks; ++column) {
      const auto found = values.find({row, column});
      text += found == values.end() ? fmt::format("  {:>7}", row == column ? "-" : "")
                                    : fmt::format("  {:7.2f}", found->second);
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::optional<Measurement> row_of(const Block& block, const Variant& variant, double bytes, bool in_place,
                                  const RowContext& context) {
  if (reduces(block.operation) && block.reduction != Reduction::sum) return std::nullopt;
  if (has_root(block.operation) && block.root != 0) return std::nullopt;
  Measurement measurement;
  measurement.gpu = context.gpu;
  measurement.source = context.source;
  if (is_between_two(block.operation))
    measurement.row = pair_row(block, variant, bytes, context);
  else
    measurement.row = collective_row(block, variant, bytes, in_place, context);
  return measurement;
}

void set_time(Measurement& measurement, double us, const std::string& note) {
  if (auto* collective = std::get_if<CollectiveRow>(&measurement.row)) collective->us = us;
  if (auto* pair = std::get_if<PointToPointRow>(&measurement.row)) pair->us = us;
  measurement.note = note;
}

std::string pair_matrices(const std::vector<Measurement>& rows, int ranks) {
  std::map<Pair, double> one_way, both_ways, latency;
  double smallest = std::numeric_limits<double>::max();
  for (const Measurement& measurement : rows)
    if (const auto* row = std::get_if<PointToPointRow>(&measurement.row))
      smallest = std::min(smallest, row->bytes);
  for (const Measurement& measurement : rows) {
    const auto* row = std::get_if<PointToPointRow>(&measurement.row);
    const auto pair = row && row->channels == 0 ? pair_of(row->pair) : std::nullopt;
    if (!pair) continue;
    const double gbps = row->bytes / row->us / 1e3;
    if (row->both_ways.value_or(false)) {
      double& best = both_ways[*pair];
      best = std::max(best, 2 * gbps);
      continue;
    }
    double& best = one_way[*pair];
    best = std::max(best, gbps);
    if (row->bytes != smallest) continue;
    const auto [found, added] = latency.try_emplace(*pair, row->us);
    if (!added) found->second = std::min(found->second, row->us);
  }
  std::string text;
  if (!one_way.empty()) text += matrix("one way, GB/s, the best of all sizes", one_way, ranks);
  if (!both_ways.empty()) text += matrix("both ways at once, GB/s, sum of both", both_ways, ranks);
  if (!latency.empty()) text += matrix("one way, us, of " + measure::bytes_text(smallest), latency, ranks);
  return text;
}

}  // namespace sextant::nccl
