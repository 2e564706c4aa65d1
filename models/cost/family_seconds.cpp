#include <algorithm>
#include <numeric>

#include "models/cost/cost.hpp"

namespace sextant {

double FamilySeconds::total() const {
  return std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

FamilySeconds& FamilySeconds::operator+=(const FamilySeconds& other) {
  for (std::size_t i = 0; i < family_count; ++i) seconds[i] += other.seconds[i];
  return *this;
}

void LoadedSeconds::add(Family family, double seconds, const WorkDraw& draw) {
  at_full_clock[family] += seconds;
  clocked[family] += seconds * draw.clock_share;
  joules += seconds * draw.watts;
}

LoadedSeconds& LoadedSeconds::operator+=(const LoadedSeconds& other) {
  at_full_clock += other.at_full_clock;
  clocked += other.clocked;
  joules += other.joules;
  return *this;
}

FamilySeconds LoadedSeconds::sustained(const LoadModel& load, double duty) const {
  const double seconds = at_full_clock.total();
  if (!(seconds > 0)) return at_full_clock;
  const auto slower = [&](double watts) { return 1 / relative_clock(load, watts) - 1; };
  double added = slower(joules / seconds);
  if (added == 0) return at_full_clock;
  if (duty < 1) {
    const double after_window = std::max(0.0, 1 - load.window_seconds / seconds);
    const double rested = slower(duty * joules / seconds + (1 - duty) * load.idle_watts);
    added = after_window * added + (1 - after_window) * rested;
  }
  FamilySeconds result = at_full_clock;
  for (std::size_t f = 0; f < family_count; ++f) result.seconds[f] += clocked.seconds[f] * added;
  return result;
}

}  // namespace sextant
