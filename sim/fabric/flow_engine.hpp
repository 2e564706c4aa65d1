#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "sim/fabric/congestion.hpp"
#include "sim/fabric/flow_calendar.hpp"
#include "sim/fabric/least_share.hpp"
#include "sim/kernel/time.hpp"

namespace sextant {

/// Names a flow until advance() has reported its end and the next start() may take the name again.
using FlowId = std::uint32_t;

/// Flows that share the capacity of the links on their way max-min fairly: no flow's rate can rise without
/// that of a flow no faster falling. One direction of a link is a capacity of its own. 10^9 B/s is one byte
/// per nanosecond, the unit of every rate here.
///
/// A change (a flow begins or ends, a capacity differs) touches only the flows it can reach: in the order in
/// which links fill up everything below the rate of the flow that left, or below the level the new flow
/// finds, stays as it was; the rest is filled again over the links connected with the change. Changes of one
/// instant are settled together. A value: copy it, run thousands side by side.
class FlowEngine {
 public:
  static constexpr double no_limit = std::numeric_limits<double>::infinity();
  static constexpr int own_limit = -1;

  /// Capacities by link direction, and what congestion does (nothing, unless told). Throws InputError for one
  /// that is not above zero.
  explicit FlowEngine(std::vector<double> capacities, CongestionRules rules = {});

  /// A flow of `bytes` over `path` (indices of capacities) that begins to move `latency` after `now` and
  /// takes no more than `limit`. A path without links moves at `limit`. Throws InputError for a path with
  /// unknown links or the same one twice, bytes below zero, a limit that is not above zero, or no bound at
  /// all.
  FlowId start(Time now, std::span<const int> path, double bytes, double limit = no_limit, Time latency = {});
  /// Takes a flow away before its end. Returns the bytes it had left.
  double stop(Time now, FlowId);
  /// From `now` on a link direction carries so much. Throws InputError unless it is above zero.
  void set_capacity(Time now, int link, double capacity);

  /// When the next flow begins to move or ends; Time::max() if none does.
  Time next_change();
  /// Moves the clock to `now`, at most next_change(); like every function here it throws std::logic_error for
  /// a time before the last or past a change. The flows that ended at `now`, in the order of their ids; valid
  /// until the next call.
  const std::vector<FlowId>& advance(Time now);

  double rate(FlowId);                 ///< bytes per nanosecond; 0 while it waits for its latency
  double remaining(Time now, FlowId);  ///< bytes
  /// The link direction that holds a moving flow back, or own_limit.
  int bottleneck(FlowId);
  /// Whether a flow moves slower than its own links let it, because a pause at its bottleneck() reaches it.
  bool held_by_pauses(FlowId);
  /// How long what arrives last waits in the queues of a path, microseconds.
  double queue_us(std::span<const int> path);
  double load(int link);  ///< bytes per nanosecond that cross it now
  double capacity(int link) const { return capacities_[static_cast<std::size_t>(link)]; }
  std::size_t flows() const { return calendar_.size(); }
  /// Flows whose rate was worked out so far, as a measure of work.
  std::uint64_t flows_visited() const { return flows_visited_; }

 private:
  struct Flow {
    double rate = 0;  ///< infinite until settled
    double remaining = 0;
    std::int64_t since_ns = 0;    ///< `remaining` is as of then
    std::uint32_t first_hop = 0;  ///< in hop_links_
    std::uint32_t room = 0;       ///< hops that its stretch can hold
    int bottleneck = own_limit;
    std::uint16_t hops = 0;
    bool moving = false;
    bool limited = false;
  };
  /// A moving flow as its links list it, slowest first: what is slower than a change stays where it is.
  struct Member {
    double rate = 0;
    std::uint32_t flow = 0;
    std::uint32_t hop = 0;  ///< in hop_links_
  };
  /// A link while it is filled.
  struct Filling {
    double capacity = 0;
    double sum = 0;           ///< given away
    std::uint32_t open = 0;   ///< flows that have not stopped yet
    std::uint32_t mark = 0;   ///< the settlement that has it in its set
    std::uint32_t first = 0;  ///< the stretch of its flows in open_members_
    std::uint32_t end = 0;
    bool paused = false;
    Member* next = nullptr;  ///< where the next flow that stops stands in the link's list
    double share() const { return (capacity - sum) / open; }
  };
  void move_clock(Time now);
  void begin_moving(Time now, FlowId);
  void leave_links(FlowId);
  void settle();
  double undisturbed_level();
  double level_of(std::uint32_t link);
  void gather(double level);
  std::size_t open_link(std::uint32_t link, double level);
  void fill();
  double next_rate(double rate);
  Meeting meeting(std::uint32_t link);
  double usable_capacity(std::uint32_t link);
  double slowest_companion(std::uint32_t link) const;
  void spread_pauses(std::uint32_t link, double rate, std::size_t stopped);
  template <class Hold>
  void pause_cable(std::uint32_t cable, double rate, std::uint32_t cause, const Hold& hold);
  void stop_flows(std::uint32_t link, double rate);
  void fix(FlowId, double rate, int bottleneck);
  static void take_share(Filling&, const Member&);
  void change_rate(FlowId, double rate);
  FlowId free_slot();
  void set_path(FlowId, std::span<const int> path);
  std::span<const std::uint32_t> links_of(const Flow& flow) const {
    return {hop_links_.data() + flow.first_hop, flow.hops};
  }
  void check_path(std::span<const int> path, double limit) const;

  std::vector<double> capacities_;
  std::vector<std::vector<Member>> members_;  ///< by link
  std::vector<Filling> filling_;              ///< by link
  std::vector<Flow> flows_;
  std::vector<double> limits_;            ///< by flow
  std::vector<std::uint32_t> marks_;      ///< by flow: the settlement in whose set it is, until it stops
  std::vector<std::uint32_t> hop_links_;  ///< a stretch for each flow: the links of its path
  std::vector<FlowId> free_, ended_;
  FlowCalendar calendar_;

  std::vector<std::uint32_t> touched_;  ///< links changed since the last settlement
  std::vector<std::uint32_t> alone_;    ///< flows without links that began since
  double lowest_left_ = no_limit;       ///< rate of the slowest flow that left since
  double lowest_new_ = no_limit;        ///< own limit of the flows that began since
  double slowest_next_ = 0;             ///< of a settlement: no flow stops at less than one before it
  std::uint32_t mark_ = 0;
  std::vector<std::uint32_t> links_in_set_, limited_in_set_, open_members_, new_members_;
  std::size_t set_size_ = 0;  ///< of links_in_set_, what is behind that is room
  std::size_t open_end_ = 0;
  std::uint64_t visited_when_full_ = 0;  ///< flows_visited_ once every flow of the set has stopped
  LeastShare least_;                     ///< slots as in links_in_set_
  CongestionRules rules_;
  struct Held {
    FlowId flow = 0;
    std::uint32_t until = 0;  ///< the link at which it is held
  };
  std::vector<Held> held_;
  std::vector<std::uint32_t> held_in_;  ///< by flow: the last pause that held it
  std::vector<Meeting> meetings_;       ///< by link that marks, as of its last settlement
  std::uint32_t pause_ = 0;
  std::vector<std::uint32_t> seen_;  ///< by link: the last meeting() that counted it
  std::uint32_t seen_mark_ = 0;
  std::int64_t now_ns_ = 0;
  std::uint64_t flows_visited_ = 0;
};

}  // namespace sextant
