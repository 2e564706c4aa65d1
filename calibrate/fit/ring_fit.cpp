#include "calibrate/fit/ring_fit.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "models/cost/group_curve.hpp"

namespace sextant {
namespace {

/// One measured time: us = base + hop x steps + part x microseconds per kilobyte.
struct Time {
  double steps = 0;
  double kilobytes = 0;  ///< that each rank passes on
  double us = 0;
};

constexpr int unknowns = 3;
using Coefficients = Eigen::Vector3d;

/// The best of all lines whose parts are not negative: each set of unknowns is tried, always with the bytes.
Coefficients line_without_negatives(const std::vector<Time>& times, const std::vector<double>& weights) {
  Eigen::MatrixXd matrix(static_cast<Eigen::Index>(times.size()), unknowns);
  Eigen::VectorXd right(matrix.rows());
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) {
    const Time& time = times[static_cast<std::size_t>(i)];
    const double weight = weights[static_cast<std::size_t>(i)];
    matrix.row(i) << weight, weight * time.steps, weight * time.kilobytes;
    right(i) = weight * time.us;
  }
  const std::array<std::vector<Eigen::Index>, 4> sets = {{{0, 1, 2}, {0, 2}, {1, 2}, {2}}};
  Coefficients best = Coefficients::Zero();
  double least = std::numeric_limits<double>::infinity();
  for (const std::vector<Eigen::Index>& set : sets) {
    const Eigen::MatrixXd part = matrix(Eigen::all, set);
    const Eigen::VectorXd solution = part.colPivHouseholderQr().solve(right);
    const double error = (part * solution - right).squaredNorm();
    if (solution.minCoeff() < 0 || solution(solution.size() - 1) <= 0 || error >= least) continue;
    least = error;
    best.setZero();
    for (std::size_t i = 0; i < set.size(); ++i) best(set[i]) = solution(static_cast<Eigen::Index>(i));
  }
  return best;
}

ProtocolLine fit_line(Protocol protocol, const std::vector<Time>& times) {
  constexpr int rounds = 8;
  constexpr double small_error = 0.02;  // below it every error counts alike
  std::vector<double> weights;
  for (const Time& time : times) weights.push_back(1 / time.us);
  Coefficients line = Coefficients::Zero();
  for (int round = 0; round < rounds; ++round) {
    line = line_without_negatives(times, weights);
    for (std::size_t i = 0; i < times.size(); ++i) {
      const Time& time = times[i];
      const double predicted = line(0) + line(1) * time.steps + line(2) * time.kilobytes;
      weights[i] = 1 / time.us / std::sqrt(std::max(small_error, std::abs(predicted / time.us - 1)));
    }
  }
  return {to_string(protocol), line(0), line(1), line(2) > 0 ? 1 / line(2) : 0};
}

std::vector<const CollectiveCurve*> groups_of(const LinkProfile& link, const std::string& op) {
  std::vector<const CollectiveCurve*> groups;
  for (const CollectiveCurve& item : link.collectives)
    if (item.op == op && &item.curve == link.collective(op, item.ranks)) groups.push_back(&item);
  return groups;
}

/// The lines of one operation; no protocols if nothing could be fitted. `link` has a ring model already.
RingOperation fit_operation(const NcclTuning& tuning, const LinkProfile& link, const std::string& op) {
  std::array<std::vector<Time>, protocol_count> times;
  for (const CollectiveCurve* item : groups_of(link, op)) {
    const CollectiveGroup group = group_of_link(link, op, item->ranks);
    const double steps = ring_steps(op, item->ranks);
    for (std::size_t i = 0; i < item->curve.bytes.size(); ++i) {
      const double bytes = item->curve.bytes[i];
      if (bytes >= item->nvls_from) continue;
      const Protocol protocol = ring_protocol(tuning, group, op, bytes);
      times[static_cast<std::size_t>(protocol)].push_back(
          {steps, bytes * steps / item->ranks / 1e3, item->curve.us[i]});
    }
  }
  RingOperation operation;
  operation.op = op;
  for (std::size_t p = 0; p < protocol_count; ++p) {
    if (times[p].size() < unknowns) continue;
    const ProtocolLine line = fit_line(static_cast<Protocol>(p), times[p]);
    if (line.busbw_gbps > 0) operation.protocols.push_back(line);
  }
  return operation;
}

/// Errors of one group in the model of `known`, at the sizes of `item`.
void judge(const NcclTuning& tuning, const LinkProfile& known, const CollectiveCurve& item,
           std::vector<double>& predicted, std::vector<double>& measured) {
  for (std::size_t i = 0; i < item.curve.bytes.size(); ++i) {
    if (item.curve.bytes[i] >= item.nvls_from) continue;
    predicted.push_back(*modelled_us(tuning, known, item.op, item.ranks, item.curve.bytes[i]));
    measured.push_back(item.curve.us[i]);
  }
}

LeftOutErrors pooled(const std::vector<double>& predicted, const std::vector<double>& measured) {
  const ErrorSummary errors = summarise_errors(predicted, measured);
  return {{errors.low, errors.high}, errors.median, errors.p90};
}

/// Leaves each group out in turn; where fewer than two remain a hop cannot be told, and nothing is judged.
void leave_groups_out(const NcclTuning& tuning, const LinkProfile& link, RingOperation& operation,
                      RingFitReport& report) {
  std::array<std::vector<double>, 2> predicted, measured;
  const auto groups = groups_of(link, operation.op);
  for (const CollectiveCurve* left_out : groups) {
    LinkProfile known = link;
    std::erase_if(known.collectives, [&](const CollectiveCurve& item) {
      return item.op == left_out->op && item.ranks == left_out->ranks;
    });
    const RingOperation lines = fit_operation(tuning, known, operation.op);
    if (lines.protocols.empty()) continue;
    known.ring->operations = {lines};
    LeftOutGroup group{left_out->op, left_out->ranks, false, 0, {}};
    bool smaller = false, larger = false;
    for (const CollectiveCurve* other : groups) {
      smaller = smaller || other->ranks < left_out->ranks;
      larger = larger || other->ranks > left_out->ranks;
    }
    group.between = smaller && larger;
    std::vector<double> own_predicted, own_measured;
    judge(tuning, known, *left_out, own_predicted, own_measured);
    group.sizes = own_measured.size();
    group.errors = summarise_errors(own_predicted, own_measured);
    const std::size_t kind = group.between ? 0 : 1;
    predicted[kind].insert(predicted[kind].end(), own_predicted.begin(), own_predicted.end());
    measured[kind].insert(measured[kind].end(), own_measured.begin(), own_measured.end());
    report.groups.push_back(group);
  }
  operation.beyond = pooled(predicted[1], measured[1]);
  operation.between = predicted[0].empty() ? operation.beyond : pooled(predicted[0], measured[0]);
}

ErrorSummary errors_of_lines(const NcclTuning& tuning, const LinkProfile& link,
                             const RingOperation& operation) {
  std::vector<double> predicted, measured;
  for (const CollectiveCurve* item : groups_of(link, operation.op)) {
    const CollectiveGroup group = group_of_link(link, operation.op, item->ranks);
    for (std::size_t i = 0; i < item->curve.bytes.size(); ++i) {
      const double bytes = item->curve.bytes[i];
      if (bytes >= item->nvls_from) continue;
      const Protocol protocol = ring_protocol(tuning, group, operation.op, bytes);
      predicted.push_back(line_us(protocol_line(operation, protocol), operation.op, item->ranks, bytes));
      measured.push_back(item->curve.us[i]);
    }
  }
  return summarise_errors(predicted, measured);
}

}  // namespace

std::optional<RingModel> fit_ring(const NcclTuning& tuning, const LinkProfile& link,
                                  double compute_capability, RingFitReport& report) {
  LinkProfile fitted = link;
  RingModel& ring = fitted.ring.emplace();
  ring.grade = Grade::fitted;
  ring.compute_capability = compute_capability;
  ring.channels = tuning.channels.at(link.link == "nvlink" || link.link == "pcie" ? link.link : "network");
  std::set<std::string> operations;
  for (const CollectiveCurve& item : link.collectives) operations.insert(item.op);
  for (const std::string& op : operations) {
    if (groups_of(link, op).size() < 2) continue;
    RingOperation operation = fit_operation(tuning, fitted, op);
    if (operation.protocols.empty()) continue;
    report.lines.push_back({op, errors_of_lines(tuning, fitted, operation)});
    leave_groups_out(tuning, fitted, operation, report);
    ring.operations.push_back(std::move(operation));
  }
  if (ring.operations.empty()) return std::nullopt;
  return ring;
}

}  // namespace sextant
