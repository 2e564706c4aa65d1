#include "calibrate/fit/grid_fit.hpp"

#include <Eigen/Sparse>
#include <algorithm>
#include <array>
#include <cmath>

namespace sextant {
namespace {

constexpr int reweightings = 3;
constexpr double least_residual = 0.01;  // below, residuals count squared: keeps the weights finite
constexpr double smoothness = 1e-4;      // of a sample's weight: decides only where no sample does
// Points as near as 64 and 65 rows stand on both sides of a step between kernels: no spring may close it.
constexpr double shortest_spring = 0.1;
constexpr std::size_t most_corners = 16;

/// The nodes a sample lies between, with their shares.
struct Stencil {
  std::array<int, most_corners> node{};
  std::array<double, most_corners> share{1};
  std::size_t corners = 1;
};

Stencil stencil_of(const std::vector<std::vector<double>>& axes, const std::vector<double>& coordinates) {
  Stencil stencil;
  for (std::size_t d = 0; d < axes.size(); ++d) {
    const std::vector<double>& axis = axes[d];
    const double x = std::clamp(coordinates[d], axis.front(), axis.back());
    const auto above = std::upper_bound(axis.begin(), axis.end(), x);
    const auto index = static_cast<std::size_t>(above - axis.begin()) - 1;
    const double fraction =
        index + 1 < axis.size() ? std::log(x / axis[index]) / std::log(axis[index + 1] / axis[index]) : 0;
    for (std::size_t c = 0; c < stencil.corners; ++c)
      stencil.node[c] = stencil.node[c] * static_cast<int>(axis.size()) + static_cast<int>(index);
    if (fraction == 0) continue;
    for (std::size_t c = 0; c < stencil.corners; ++c) {
      stencil.node[stencil.corners + c] = stencil.node[c] + 1;
      stencil.share[stencil.corners + c] = stencil.share[c] * fraction;
      stencil.share[c] *= 1 - fraction;
    }
    stencil.corners *= 2;
  }
  return stencil;
}

using Triplets = std::vector<Eigen::Triplet<double>>;

/// Springs between neighbours, as strong as they are near: alone they interpolate linearly in the logarithm.
Triplets smoothness_terms(const std::vector<std::vector<double>>& axes, double strength) {
  Triplets terms;
  int nodes = 1;
  for (const auto& axis : axes) nodes *= static_cast<int>(axis.size());
  int stride = nodes;
  for (const auto& axis : axes) {
    const int length = static_cast<int>(axis.size());
    stride /= length;
    for (int node = 0; node < nodes; ++node) {
      const int position = node / stride % length;
      if (position + 1 >= length) continue;
      const auto at = static_cast<std::size_t>(position);
      const double spring = strength / std::max(std::log(axis[at + 1] / axis[at]), shortest_spring);
      terms.emplace_back(node, node, spring);
      terms.emplace_back(node + stride, node + stride, spring);
      terms.emplace_back(node + stride, node, -spring);
    }
  }
  for (int node = 0; node < nodes; ++node) terms.emplace_back(node, node, strength * 1e-9);
  return terms;
}

double interpolated(const Stencil& stencil, const Eigen::VectorXd& x) {
  double sum = 0;
  for (std::size_t c = 0; c < stencil.corners; ++c) sum += stencil.share[c] * x[stencil.node[c]];
  return sum;
}

}  // namespace

Grid fit_grid(const std::vector<std::vector<double>>& axes, const std::vector<GridSample>& samples) {
  int nodes = 1;
  for (const auto& axis : axes) nodes *= static_cast<int>(axis.size());
  std::vector<Stencil> stencils;
  stencils.reserve(samples.size());
  for (const GridSample& sample : samples) stencils.push_back(stencil_of(axes, sample.coordinates));

  Eigen::VectorXd x = Eigen::VectorXd::Zero(nodes);
  Eigen::SimplicialLDLT<Eigen::SparseMatrix<double>> solver;
  for (int round = 0; round <= reweightings; ++round) {
    Triplets terms = smoothness_terms(axes, smoothness);
    Eigen::VectorXd right = Eigen::VectorXd::Zero(nodes);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const Stencil& stencil = stencils[i];
      const double seen = std::log(samples[i].value);
      const double residual = round == 0 ? 0 : std::abs(interpolated(stencil, x) - seen);
      const double weight =
          samples[i].weight * (round == 0 ? 1 : least_residual / std::max(residual, least_residual));
      for (std::size_t a = 0; a < stencil.corners; ++a) {
        right[stencil.node[a]] += weight * stencil.share[a] * seen;
        for (std::size_t b = 0; b < stencil.corners; ++b)
          if (stencil.node[a] >= stencil.node[b])
            terms.emplace_back(stencil.node[a], stencil.node[b],
                               weight * stencil.share[a] * stencil.share[b]);
      }
    }
    Eigen::SparseMatrix<double> matrix(nodes, nodes);
    matrix.setFromTriplets(terms.begin(), terms.end());
    if (round == 0) solver.analyzePattern(matrix);
    solver.factorize(matrix);
    x = solver.solve(right);
  }
  std::vector<double> values(static_cast<std::size_t>(nodes));
  for (int node = 0; node < nodes; ++node) values[static_cast<std::size_t>(node)] = std::exp(x[node]);
  return Grid(axes, std::move(values));
}

std::vector<double> clipped_axis(const std::vector<double>& preferred, const std::vector<GridSample>& samples,
                                 std::size_t d) {
  const auto [least, most] =
      std::minmax_element(samples.begin(), samples.end(),
                          [&](const auto& a, const auto& b) { return a.coordinates[d] < b.coordinates[d]; });
  const double low = least->coordinates[d], high = most->coordinates[d];
  std::vector<double> axis = {low};
  for (const double point : preferred)
    if (point > low && point < high) axis.push_back(point);
  if (high > low) axis.push_back(high);
  return axis;
}

}  // namespace sextant
