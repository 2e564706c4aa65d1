#include "sim/fabric/collective_shapes.hpp"

namespace sextant {
namespace {

Transfer transfer(int from, int to, double bytes, double limit_gbps, std::size_t label) {
  Transfer result{from, to, bytes, limit_gbps};
  result.label.flow = label;
  result.waits_for_links = false;
  return result;
}

}  // namespace

std::vector<Transfer> ring_transfers(const std::vector<int>& gpus, double bytes, double limit_gbps) {
  std::vector<Transfer> transfers;
  for (std::size_t i = 0; i < gpus.size(); ++i)
    transfers.push_back(transfer(gpus[i], gpus[(i + 1) % gpus.size()], bytes, limit_gbps, i));
  return transfers;
}

std::vector<Transfer> pairwise_transfers(const std::vector<int>& gpus, double bytes, double limit_gbps) {
  std::vector<Transfer> transfers;
  for (const int from : gpus)
    for (const int to : gpus)
      if (from != to) transfers.push_back(transfer(from, to, bytes, limit_gbps, transfers.size()));
  return transfers;
}

std::vector<Transfer> tree_transfers(const std::vector<std::vector<int>>& nodes, double bytes,
                                     double limit_gbps) {
  std::vector<Transfer> transfers;
  const auto both_ways = [&](int a, int b, double size) {
    transfers.push_back(transfer(a, b, size, limit_gbps, transfers.size()));
    transfers.push_back(transfer(b, a, size, limit_gbps, transfers.size()));
  };
  for (const std::vector<int>& gpus : nodes)
    for (std::size_t i = 1; i < gpus.size(); ++i) both_ways(gpus[i - 1], gpus[i], bytes);
  const std::size_t count = nodes.size();
  for (std::size_t i = 1; i < count; ++i) {
    const std::size_t parent = (i - 1) / 2;
    both_ways(nodes[i].front(), nodes[parent].front(), bytes / 2);
    both_ways(nodes[count - 1 - i].front(), nodes[count - 1 - parent].front(), bytes / 2);
  }
  return transfers;
}

}  // namespace sextant
