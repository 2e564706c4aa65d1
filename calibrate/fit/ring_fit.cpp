#include "calibrate/fit/ring_fit.hpp"

#include <fmt/core.h>

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

/// The greatest of the curve's sizes below `bytes`; none where no two neighbours lie on either side, a factor
/// of four apart at most.
std::optional<std::size_t> last_below(const TransferCurve& curve, double bytes) {
  const auto above = std::lower_bound(curve.bytes.begin(), curve.bytes.end(), bytes);
  if (above == curve.bytes.begin() || above == curve.bytes.end()) return std::nullopt;
  constexpr double farthest = 4;
  if (*above > farthest * *std::prev(above)) return std::nullopt;
  return static_cast<std::size_t>(above - curve.bytes.begin()) - 1;
}

/// What the curves gain where LL takes a second channel, beyond what the line's rate makes of the bytes
/// between: the mean over operations and groups, if it stands out of their scatter.
std::optional<OneChannel> fit_one_channel(const NcclTuning& tuning, const LinkProfile& link) {
  std::vector<double> gains;
  double shortest = std::numeric_limits<double>::infinity();
  for (const RingOperation& operation : link.ring->operations)
    for (const CollectiveCurve* item : groups_of(link, operation.op)) {
      const double bytes = tuning.one_channel_ll_bytes * item->ranks;
      const std::optional<std::size_t> below = last_below(item->curve, bytes);
      const CollectiveGroup group = group_of_link(link, operation.op, item->ranks);
      if (!below || ring_protocol(tuning, group, operation.op, bytes) != Protocol::ll) continue;
      const ProtocolLine& line = protocol_line(operation, Protocol::ll);
      const auto predicted = [&](std::size_t i) {
        return line_us(line, operation.op, item->ranks, item->curve.bytes[i]);
      };
      shortest = std::min(shortest, item->curve.us[*below]);
      gains.push_back(item->curve.us[*below + 1] - item->curve.us[*below] -
                      (predicted(*below + 1) - predicted(*below)));
    }
  constexpr std::size_t fewest = 4;
  if (gains.size() < fewest) return std::nullopt;
  const double count = static_cast<double>(gains.size());
  double mean = 0, squares = 0;
  for (const double gain : gains) mean += gain / count;
  for (const double gain : gains) squares += (gain - mean) * (gain - mean);
  constexpr double errors_apart = 3;
  const double error = std::sqrt(squares / (count - 1) / count);
  constexpr double noticed = 0.01;  // of the time it is spared from
  if (mean <= std::max(errors_apart * error, noticed * shortest)) return std::nullopt;
  const auto [least, most] = std::minmax_element(gains.begin(), gains.end());
  return OneChannel{
      tuning.one_channel_ll_bytes, mean,
      fmt::format("what the curves above gain between the sizes on either side of it: {:.2g} to "
                  "{:.2g} us, mean of {} operations and groups",
                  *least, *most, gains.size())};
}

/// How many channels to a peer the all-to-alls were measured with: other releases of NCCL take others, which
/// shows in where LL ends. The tables' number (0) unless another's lines are a tenth nearer.
int fit_send_channels(const NcclTuning& tuning, const LinkProfile& link) {
  LinkProfile tried = link;
  const auto error = [&](int channels) {
    tried.ring->send_channels = channels;
    const RingOperation operation = fit_operation(tuning, tried, "all_to_all");
    if (operation.protocols.empty()) return std::numeric_limits<double>::infinity();
    const ErrorSummary errors = errors_of_lines(tuning, tried, operation);
    return errors.median + errors.p90;
  };
  constexpr double nearer = 0.9;
  int best = 0;
  double least = nearer * error(0);
  for (const int channels : {2, 4, 8, 16, 32})
    if (const double found = error(channels); found < least) {
      least = found;
      best = channels;
    }
  return best;
}

}  // namespace

std::optional<RingModel> fit_ring(const NcclTuning& tuning, const LinkProfile& link,
                                  double compute_capability, RingFitReport& report) {
  LinkProfile fitted = link;
  RingModel& ring = fitted.ring.emplace();
  ring.grade = Grade::fitted;
  ring.compute_capability = compute_capability;
  ring.channels = tuning.channels.at(link.link == "nvlink" || link.link == "pcie" ? link.link : "network");
  if (groups_of(link, "all_to_all").size() > 1) ring.send_channels = fit_send_channels(tuning, fitted);
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
  ring.one_channel = fit_one_channel(tuning, fitted);
  return ring;
}

}  // namespace sextant
