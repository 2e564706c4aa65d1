#include "calibrate/measure/rdma/stream.hpp"

#include <algorithm>
#include <numeric>

#include "calibrate/measure/rdma/plan/samples.hpp"
#include "calibrate/measure/rdma/watch.hpp"

namespace sextant::rdma {
namespace {

/// perftest's: one completion in a hundred messages, every one above 8 KiB.
int moderation(const BlockRequest& request, std::int64_t bytes) {
  constexpr int usual = 100;
  constexpr std::int64_t most_bytes = 8192;
  const int wanted = request.cq_moderation > 0 ? request.cq_moderation : bytes > most_bytes ? 1 : usual;
  return std::min(wanted, request.tx_depth);
}

class Stream {
 public:
  Stream(QueuePairs& pairs, tcp::Control& control, const PointRequest& point, StreamPart part)
      : pairs_(pairs),
        point_(point),
        part_(part),
        moderation_(moderation(pairs.request(), point.bytes)),
        receives_(part.peer_posts && pairs.request().block.operation == Operation::send),
        posted_(static_cast<std::size_t>(pairs.count())),
        completed_(posted_.size()),
        marked_(posted_.size()),
        watch_(control, pairs.request().patience_seconds) {}

  PointResult run() {
    begin_ = Clock::now();
    while (true) {
      bool moved = false;
      if (part_.posts && !said_) {
        fill();
        moved = collect();
        if (stopped_ && posted_ == completed_) {
          said_ = true;
          watch_.say_sent(total(completed_));
        }
      }
      if (receives_) moved |= take_in();
      if (finished()) break;  // before looking: what the other end says next belongs to the point's end
      // A polling target would only take processor time from those who work.
      if (receives_ || (part_.posts && !said_))
        watch_.turn(moved);
      else
        watch_.rest();
    }
    PointResult result;
    result.messages = total(completed_);
    result.seconds = progress_.empty() ? 0 : progress_.back().seconds;
    constexpr std::size_t slices = 10;
    for (const double rate : slice_rates(progress_, slices))
      result.best_rate = std::max(result.best_rate, rate);
    return result;
  }

 private:
  static double total(const std::vector<std::int64_t>& counts) {
    return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  }

  bool finished() const {
    if (part_.posts && !said_) return false;
    if (!part_.peer_posts) return true;
    return watch_.peer_sent() && (!receives_ || received_ >= watch_.peer_messages());
  }

  void post(std::size_t qp, bool signaled) {
    ++posted_[qp];
    if (signaled) marked_[qp] = posted_[qp];
    constexpr int bits_of_count = 48;
    const auto mark =
        static_cast<std::uint64_t>(posted_[qp]) | (static_cast<std::uint64_t>(qp) << bits_of_count);
    pairs_.post(static_cast<int>(qp), point_.bytes, mark, signaled);
  }

  void fill() {
    if (stopped_) return;
    const std::int64_t depth = pairs_.request().tx_depth;
    stopped_ = true;
    for (std::size_t qp = 0; qp < posted_.size(); ++qp) {
      while (posted_[qp] - completed_[qp] < depth && posted_[qp] < point_.iterations)
        post(qp, (posted_[qp] + 1) % moderation_ == 0 || posted_[qp] + 1 == point_.iterations);
      stopped_ = stopped_ && posted_[qp] == point_.iterations;
    }
  }

  /// What was posted without a completion of its own is counted by one message more.
  void stop() {
    stopped_ = true;
    for (std::size_t qp = 0; qp < posted_.size(); ++qp)
      if (marked_[qp] != posted_[qp]) post(qp, true);
  }

  bool collect() {
    const auto completions = pairs_.poll_sent();
    if (completions.empty()) return false;
    constexpr int bits_of_count = 48;
    constexpr std::uint64_t count_mask = (std::uint64_t{1} << bits_of_count) - 1;
    for (const ibv_wc& each : completions)
      completed_[each.wr_id >> bits_of_count] = static_cast<std::int64_t>(each.wr_id & count_mask);
    const double now = seconds_since(begin_);
    constexpr double between_points = 1e-3;
    if (progress_.empty() || now - progress_[progress_.size() - 1].seconds > between_points || stopped_)
      progress_.push_back({now, total(completed_)});
    if (!stopped_ && point_.seconds > 0 && now > point_.seconds) stop();
    return true;
  }

  bool take_in() {
    const auto completions = pairs_.poll_received();
    for (const ibv_wc& each : completions) pairs_.post_receive(QueuePairs::qp_of_receive(each));
    received_ += static_cast<double>(completions.size());
    return !completions.empty();
  }

  QueuePairs& pairs_;
  const PointRequest& point_;
  StreamPart part_;
  int moderation_;
  bool receives_, stopped_ = false, said_ = false;
  std::vector<std::int64_t> posted_, completed_, marked_;
  double received_ = 0;
  std::vector<Finished> progress_;
  Clock::time_point begin_;
  Watch watch_;
};

}  // namespace

PointResult run_stream(QueuePairs& pairs, tcp::Control& control, const PointRequest& point, StreamPart part) {
  return Stream(pairs, control, point, part).run();
}

}  // namespace sextant::rdma
