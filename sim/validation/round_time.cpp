#include "sim/validation/round_time.hpp"

#include <algorithm>

namespace sextant {

double round_seconds(const WayRound& way, int microbatches) {
  double busiest = 0, around = way.host;
  for (std::size_t s = 0; s < way.passes.size(); ++s) {
    const double pass = way.passes[s].total();
    busiest = std::max({busiest, pass + (s == 0 ? way.host : 0), way.hops[s]});
    around += pass + way.hops[s];
  }
  return std::max(microbatches * busiest, around);
}

WayRound with_family(WayRound way, Family family, const WayRound& other) {
  if (family == Family::host) way.host = other.host;
  if (family == Family::point_to_point) way.hops = other.hops;
  for (std::size_t s = 0; s < way.passes.size(); ++s) way.passes[s][family] = other.passes[s][family];
  return way;
}

}  // namespace sextant
