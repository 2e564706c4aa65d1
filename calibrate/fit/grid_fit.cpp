#include "calibrate/fit/grid_fit.hpp"

#include <Eigen/IterativeLinearSolvers>
#include <Eigen/Sparse>
#include <array>
#include <cmath>

#include "calibrate/fit/grid_stencil.hpp"

namespace sextant {
namespace {

using detail::node_count;
using detail::Stencil;
using detail::stencil_of;

constexpr int reweightings = 3;
constexpr double least_residual = 0.01;  // below, residuals count squared: keeps the weights finite
constexpr double smoothness = 1e-4;      // of a sample's weight: decides only where no sample does
// Points as near as 64 and 65 rows stand on both sides of a step between kernels: no spring may close it.
constexpr double shortest_spring = 0.1;
constexpr double solver_tolerance = 1e-5;

using Triplets = std::vector<Eigen::Triplet<double>>;

/// visit(dimension, node, step to the next node along it, position on its axis) for every node and dimension.
template <class Visit>
void for_each_along_axes(const Axes& axes, Visit&& visit) {
  const int nodes = static_cast<int>(node_count(axes));
  int stride = nodes;
  for (std::size_t d = 0; d < axes.size(); ++d) {
    const int length = static_cast<int>(axes[d].size());
    stride /= length;
    for (int node = 0; node < nodes; ++node)
      visit(d, node, stride, static_cast<std::size_t>(node / stride % length));
  }
}

double distance(const std::vector<double>& axis, std::size_t at) {
  return std::max(std::log(axis[at + 1] / axis[at]), shortest_spring);
}

/// Springs between neighbours, as strong as they are near: alone they interpolate linearly in the logarithm.
void add_springs(const GridShape& shape, Triplets& terms) {
  for_each_along_axes(shape.axes, [&](std::size_t d, int node, int stride, std::size_t at) {
    if (at + 1 >= shape.axes[d].size()) return;
    const double spring = smoothness * shape.stiffness[d] / distance(shape.axes[d], at);
    terms.emplace_back(node, node, spring);
    terms.emplace_back(node + stride, node + stride, spring);
    terms.emplace_back(node + stride, node, -spring);
  });
  const int nodes = static_cast<int>(node_count(shape.axes));
  for (int node = 0; node < nodes; ++node) terms.emplace_back(node, node, smoothness * 1e-9);
}

/// Stiffness against bends: each node is pulled to where its two neighbours along an axis would interpolate
/// it, which evens out the noise of single measurements and carries a slope across a hole.
void add_bending(const GridShape& shape, Triplets& terms) {
  if (shape.bending == 0) return;
  for_each_along_axes(shape.axes, [&](std::size_t d, int node, int stride, std::size_t at) {
    if (at + 2 >= shape.axes[d].size()) return;
    const double strength = shape.bending * shape.stiffness[d];
    const double before = distance(shape.axes[d], at), after = distance(shape.axes[d], at + 1);
    const std::array share = {after / (before + after), -1.0, before / (before + after)};
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j <= i; ++j)
        terms.emplace_back(
            node + i * stride, node + j * stride,
            strength * share[static_cast<std::size_t>(i)] * share[static_cast<std::size_t>(j)]);
  });
}

double interpolated(const Stencil& stencil, const Eigen::VectorXd& x) {
  double sum = 0;
  for (std::size_t c = 0; c < stencil.corners; ++c) sum += stencil.share[c] * x[stencil.node[c]];
  return sum;
}

double reweighted(const GridSample& sample, double residual) {
  return sample.weight * least_residual / std::max(std::abs(residual), least_residual);
}

/// One least-squares round from `x`, with the weights of the residuals there.
void improve(const GridShape& shape, const std::vector<GridSample>& samples,
             const std::vector<Stencil>& stencils, bool weighted, Eigen::VectorXd& x) {
  Triplets terms;
  add_springs(shape, terms);
  add_bending(shape, terms);
  Eigen::VectorXd right = Eigen::VectorXd::Zero(x.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].weight == 0) continue;
    const Stencil& stencil = stencils[i];
    const double seen = std::log(samples[i].value);
    const double weight =
        weighted ? reweighted(samples[i], interpolated(stencil, x) - seen) : samples[i].weight;
    for (std::size_t a = 0; a < stencil.corners; ++a) {
      right[stencil.node[a]] += weight * stencil.share[a] * seen;
      for (std::size_t b = 0; b < stencil.corners; ++b)
        if (stencil.node[a] >= stencil.node[b])
          terms.emplace_back(stencil.node[a], stencil.node[b], weight * stencil.share[a] * stencil.share[b]);
    }
  }
  Eigen::SparseMatrix<double> matrix(x.size(), x.size());
  matrix.setFromTriplets(terms.begin(), terms.end());
  Eigen::ConjugateGradient<Eigen::SparseMatrix<double>, Eigen::Lower, Eigen::IncompleteCholesky<double>>
      solver;
  solver.setTolerance(solver_tolerance);
  solver.setMaxIterations(1000);
  solver.compute(matrix);
  x = solver.solveWithGuess(right, x);
}

}  // namespace

Grid fit_grid(const GridShape& shape, const std::vector<GridSample>& samples, const Grid* start) {
  const std::size_t nodes = node_count(shape.axes);
  std::vector<Stencil> stencils;
  stencils.reserve(samples.size());
  for (const GridSample& sample : samples)
    stencils.push_back(stencil_of(shape.axes, sample.point.coordinates()));

  Eigen::VectorXd x = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(nodes));
  if (start) {
    for (std::size_t node = 0; node < nodes; ++node)
      x[static_cast<Eigen::Index>(node)] = std::log(start->values()[node]);
    improve(shape, samples, stencils, true, x);
  } else {
    for (int round = 0; round <= reweightings; ++round) improve(shape, samples, stencils, round > 0, x);
  }
  std::vector<double> values(nodes);
  for (std::size_t node = 0; node < nodes; ++node)
    values[node] = std::exp(x[static_cast<Eigen::Index>(node)]);
  return Grid(shape.axes, std::move(values));
}

std::vector<double> axis_of(const std::vector<GridSample>& samples, std::size_t d, double least_ratio) {
  std::vector<double> all;
  for (const GridSample& sample : samples) all.push_back(sample.point.values[d]);
  std::sort(all.begin(), all.end());
  std::vector<double> axis;
  for (const double x : all)
    if (axis.empty() || (x > axis.back() && x >= axis.back() * least_ratio)) axis.push_back(x);
  if (axis.size() > 1 && all.back() > axis.back()) axis.back() = all.back();
  return axis;
}

}  // namespace sextant
