#include "sim/planner/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/kernel/random.hpp"

namespace sextant {
namespace {

/// Of a normal distribution whose 90 % interval ends at +-1.
constexpr double level_deviation = 1 / 1.6448536269514722;
/// Figures that differ by less count as equal, as in the ranking.
constexpr double equal_within = 0.01;
const std::string tie_breaker = "mean_e2el_ms";

double value_at(const std::map<std::string, double>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? NAN : found->second;
}

/// d ln(metric) per unit of level towards the slow and towards the fast end.
struct Slope {
  double slow = 0, fast = 0;
  double at(double level) const { return level > 0 ? level * slow : -level * fast; }
  /// Of the straight line through both ends.
  double mean() const { return (slow - fast) / 2; }
};

Slope slope_of(const ErrorEffects& effects, const FamilyEffect& family, const std::string& metric) {
  const double nominal = value_at(effects.nominal, metric);
  const auto to = [&](double end) {
    return nominal > 0 && end > 0 && std::isfinite(end) ? std::log(end / nominal) : 0.0;
  };
  return {to(value_at(family.slow, metric)), to(value_at(family.fast, metric))};
}

const FamilyEffect* find_family(const ErrorEffects& effects, const std::string& name) {
  const auto found = std::find_if(effects.families.begin(), effects.families.end(),
                                  [&](const FamilyEffect& f) { return f.family == name; });
  return found == effects.families.end() ? nullptr : &*found;
}

/// Every family of either layout, with the correlation of its errors in the two.
struct SharedFamily {
  std::string name;
  double correlation = 0;
};

std::vector<SharedFamily> families_of(const ErrorEffects& a, const ErrorEffects& b) {
  std::vector<SharedFamily> families;
  for (const FamilyEffect& family : a.families) {
    const FamilyEffect* other = find_family(b, family.family);
    families.push_back({family.family, other == nullptr ? 0 : shared_error(family.sources, other->sources)});
  }
  for (const FamilyEffect& family : b.families)
    if (find_family(a, family.family) == nullptr) families.push_back({family.family, 0});
  return families;
}

/// One metric of one layout, as a function of the families' levels.
class Response {
 public:
  Response(const ErrorEffects& effects, const std::string& metric, const std::vector<SharedFamily>& families)
      : nominal_(value_at(effects.nominal, metric)) {
    for (const SharedFamily& shared : families) {
      const FamilyEffect* family = find_family(effects, shared.name);
      slopes_.push_back(family == nullptr ? Slope{} : slope_of(effects, *family, metric));
    }
  }
  double at(const std::vector<double>& levels) const {
    double exponent = 0;
    for (std::size_t f = 0; f < levels.size(); ++f) exponent += slopes_[f].at(levels[f]);
    return nominal_ * std::exp(exponent);
  }
  double nominal() const { return nominal_; }
  const std::vector<Slope>& slopes() const { return slopes_; }

 private:
  double nominal_;
  std::vector<Slope> slopes_;
};

/// What the ranking looks at of one layout.
struct Standing {
  std::vector<Response> bounded;  // in the SLO's order
  Response figure, latency;

  Standing(const ErrorEffects& effects, const std::vector<ServiceLevel>& slo, const std::string& name,
           const std::vector<SharedFamily>& families)
      : figure(effects, name, families), latency(effects, tie_breaker, families) {
    for (const ServiceLevel& level : slo) bounded.emplace_back(effects, level.metric, families);
  }
  bool meets(const std::vector<ServiceLevel>& slo, const std::vector<double>& levels) const {
    for (std::size_t i = 0; i < slo.size(); ++i) {
      const double value = bounded[i].at(levels);
      if (!(slo[i].at_most ? value <= slo[i].bound : value >= slo[i].bound)) return false;
    }
    return true;
  }
};

/// 1 where a wins, 0 where b does, 0.5 where nothing tells.
double outcome(double a, double b, bool more_is_better) {
  if (!std::isfinite(a) || !std::isfinite(b) || a == b) return 0.5;
  return (a > b) == more_is_better ? 1 : 0;
}

double outcome(const Standing& a, const Standing& b, const std::vector<ServiceLevel>& slo,
               const std::vector<double>& of_a, const std::vector<double>& of_b, bool more_is_better) {
  const bool a_meets = a.meets(slo, of_a), b_meets = b.meets(slo, of_b);
  if (a_meets != b_meets) return a_meets ? 1 : 0;
  const double x = a.figure.at(of_a), y = b.figure.at(of_b);
  if (std::abs(std::log(x / y)) < equal_within) return outcome(a.latency.at(of_a), b.latency.at(of_b), false);
  return outcome(x, y, more_is_better);
}

/// Variance of ln(a / b) by family; without `a`, of ln b alone.
std::vector<UncertaintyPart> parts_of(const Response* a, const Response& b,
                                      const std::vector<SharedFamily>& families) {
  std::vector<UncertaintyPart> parts;
  double total = 0;
  for (std::size_t f = 0; f < families.size(); ++f) {
    const double x = a == nullptr ? 0 : a->slopes()[f].mean(), y = b.slopes()[f].mean();
    const double variance = std::max(0.0, x * x + y * y - 2 * families[f].correlation * x * y);
    parts.push_back({families[f].name, variance});
    total += variance;
  }
  std::erase_if(parts, [&](const UncertaintyPart& part) { return !(part.share > 1e-3 * total); });
  for (UncertaintyPart& part : parts) part.share /= total;
  std::stable_sort(parts.begin(), parts.end(),
                   [](const UncertaintyPart& p, const UncertaintyPart& q) { return p.share > q.share; });
  return parts;
}

/// The bound that `b` misses by most, if `a` meets all of them; its index.
std::optional<std::size_t> decided_by_slo(const Standing& a, const Standing& b,
                                          const std::vector<ServiceLevel>& slo,
                                          const std::vector<double>& nominal) {
  if (a.meets(slo, nominal) == b.meets(slo, nominal)) return std::nullopt;
  const Standing& loser = a.meets(slo, nominal) ? b : a;
  std::size_t worst = 0;
  double by = -HUGE_VAL;
  for (std::size_t i = 0; i < slo.size(); ++i) {
    const double ratio = std::log(loser.bounded[i].nominal() / slo[i].bound) * (slo[i].at_most ? 1 : -1);
    if (ratio > by) worst = i, by = ratio;
  }
  return worst;
}

}  // namespace

double shared_error(const std::set<std::string>& a, const std::set<std::string>& b) {
  if (a.empty() || b.empty()) return 0;
  double common = 0;
  for (const std::string& source : a) common += b.contains(source) ? 1 : 0;
  return common / std::sqrt(static_cast<double>(a.size()) * static_cast<double>(b.size()));
}

LayoutComparison compare(const ErrorEffects& a, const ErrorEffects& b, const std::vector<ServiceLevel>& slo,
                         const std::string& figure, bool more_is_better) {
  constexpr int draws = 20000;
  LayoutComparison comparison{a.name, b.name, figure, 0.5, {}, {}};
  if (a.sound != b.sound) {
    comparison.probability = a.sound ? 1 : 0;
    comparison.metric = "rejected";
    return comparison;
  }
  const std::vector<SharedFamily> families = families_of(a, b);
  const Standing of_a(a, slo, figure, families), of_b(b, slo, figure, families);
  RandomStream chance(0, "comparison");
  std::vector<double> levels_a(families.size()), levels_b(families.size());
  double wins = 0;
  for (int i = 0; i < draws; ++i) {
    for (std::size_t f = 0; f < families.size(); ++f) {
      const double correlation = families[f].correlation;
      const double common = std::sqrt(correlation) * chance.normal(), own = std::sqrt(1 - correlation);
      levels_a[f] = level_deviation * (common + own * chance.normal());
      levels_b[f] = level_deviation * (common + own * chance.normal());
    }
    wins += outcome(of_a, of_b, slo, levels_a, levels_b, more_is_better);
  }
  comparison.probability = wins / draws;

  const std::vector<double> nominal(families.size(), 0);
  if (const auto bound = decided_by_slo(of_a, of_b, slo, nominal)) {
    comparison.metric = slo[*bound].metric;
    const Standing& loser = of_a.meets(slo, nominal) ? of_b : of_a;
    comparison.parts = parts_of(nullptr, loser.bounded[*bound], families);
  } else if (std::abs(std::log(of_a.figure.nominal() / of_b.figure.nominal())) < equal_within) {
    comparison.metric = tie_breaker;
    comparison.parts = parts_of(&of_a.latency, of_b.latency, families);
  } else {
    comparison.parts = parts_of(&of_a.figure, of_b.figure, families);
  }
  return comparison;
}

}  // namespace sextant
