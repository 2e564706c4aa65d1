#include <algorithm>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/purchase_floors.hpp"

namespace sextant {
namespace {

/// What a buyer chooses between first: cards (or that they are mixed) and the number of nodes.
using Sort = std::pair<std::string, int>;

std::string cards_of(const PurchaseKind& kind) {
  return kind.cards.find(" + ") == std::string::npos ? kind.cards : "mixed";
}

Sort sort_of(const PurchaseKind& kind) {
  return {cards_of(kind), kind.nodes};
}

double money(PurchasePreference prefer, const Prospect& p) {
  return prefer == PurchasePreference::price ? p.totals.usd
                                             : p.totals.usd / std::max(1e-9, p.outlook.output_throughput);
}

}  // namespace

bool more_promising(PurchasePreference prefer, const Prospect& a, const Prospect& b) {
  if (a.outlook.fits != b.outlook.fits) return a.outlook.fits;
  if (a.outlook.meets_times != b.outlook.meets_times) return a.outlook.meets_times;
  if (prefer != PurchasePreference::throughput && money(prefer, a) != money(prefer, b))
    return money(prefer, a) < money(prefer, b);
  if (a.outlook.output_throughput != b.outlook.output_throughput)
    return a.outlook.output_throughput > b.outlook.output_throughput;
  return a.totals.usd < b.totals.usd;
}

PurchaseOrder::PurchaseOrder(PurchasePreference prefer, std::vector<Prospect>& prospects,
                             const PurchaseEstimator& estimator, PurchaseFloors* floors,
                             const PlanOptions& options, int most)
    : prefer_(prefer),
      prospects_(prospects),
      estimator_(estimator),
      options_(options),
      given_(prospects.size()),
      firsts_(static_cast<std::size_t>(std::max(0, most * 2 / 3))) {
  std::vector<std::size_t> all;
  std::map<Sort, List> sorts;
  for (std::size_t i = 0; i < prospects.size(); ++i) {
    all.push_back(i);
    sorts[sort_of(prospects[i].kind)].push_back(i);
    if (floors != nullptr) prospects[i].outlook = floors->best_case(prospects[i].purchase);
  }
  if (floors == nullptr) estimate_all(all);
  for (auto& [unused, list] : sorts) {
    std::make_heap(list.begin(), list.end(), [&](auto a, auto b) { return behind(a, b); });
    sorts_.push_back(std::move(list));
  }
}

bool PurchaseOrder::behind(std::size_t a, std::size_t b) const {
  if (more_promising(prefer_, prospects_[a], prospects_[b])) return false;
  return more_promising(prefer_, prospects_[b], prospects_[a]) || a > b;
}

void PurchaseOrder::estimate_all(const std::vector<std::size_t>& chosen) {
  run_parallel(static_cast<int>(chosen.size()), options_.threads, [&](int i) {
    if (options_.stop != nullptr && options_.stop->load()) throw Interrupted();
    Prospect& p = prospects_[chosen[static_cast<std::size_t>(i)]];
    p.outlook = estimator_.look(p.purchase);
    p.estimated = true;
  });
  estimated_ += static_cast<int>(chosen.size());
}

void PurchaseOrder::settle_top(List& list) {
  constexpr std::size_t together = 4;  // whatever the threads, so that they change nothing
  const auto order = [&](auto a, auto b) { return behind(a, b); };
  while (!prospects_[list.front()].estimated) {
    std::vector<std::size_t> chosen;
    auto end = list.end();
    while (end != list.begin() && chosen.size() < together && !prospects_[list.front()].estimated) {
      chosen.push_back(list.front());
      std::pop_heap(list.begin(), end--, order);
    }
    estimate_all(chosen);
    while (end != list.end()) std::push_heap(list.begin(), ++end, order);
  }
}

PurchaseOrder::List* PurchaseOrder::best_list(const std::vector<List*>& lists) {
  while (true) {
    List* best = nullptr;
    for (List* list : lists)
      if (!list->empty() && (best == nullptr || behind(best->front(), list->front()))) best = list;
    if (best == nullptr || prospects_[best->front()].estimated) return best;
    settle_top(*best);
  }
}

Prospect* PurchaseOrder::take(List& list) {
  const auto order = [&](auto a, auto b) { return behind(a, b); };
  std::pop_heap(list.begin(), list.end(), order);
  const std::size_t taken = list.back();
  list.pop_back();
  given_[taken] = 1;
  last_ = &prospects_[taken];
  return &prospects_[taken];
}

Prospect* PurchaseOrder::next() {
  // What other cards give is asked before other numbers of nodes.
  std::set<std::string> seen;
  for (std::size_t i = 0; i < prospects_.size(); ++i)
    if (given_[i] != 0) seen.insert(cards_of(prospects_[i].kind));
  std::vector<List*> lists;
  for (List& list : sorts_)
    if (begun_.size() < firsts_ && !list.empty() && !seen.contains(cards_of(prospects_[list.front()].kind)))
      lists.push_back(&list);
  if (List* best = best_list(lists)) {
    begun_.insert(best);
    return take(*best);
  }
  lists.clear();
  for (List& list : sorts_)
    if (begun_.size() >= firsts_ || !begun_.contains(&list)) lists.push_back(&list);
  List* best = best_list(lists);
  if (best == nullptr && begun_.size() < firsts_) {
    // Every sort has had its first.
    firsts_ = begun_.size();
    return next();
  }
  if (best == nullptr) return nullptr;
  begun_.insert(best);
  return take(*best);
}

void PurchaseOrder::tell_rest(LeftOut& left_out) const {
  for (std::size_t i = 0; i < prospects_.size(); ++i) {
    const Prospect& p = prospects_[i];
    if (given_[i] != 0) continue;
    if (p.estimated)
      ++left_out["estimated and less promising than those simulated"];
    else if (!p.outlook.fits)
      ++left_out["at best too little memory: not estimated"];
    else if (last_ != nullptr && last_->outlook.meets_times && !p.outlook.meets_times)
      ++left_out["at best too slow for the SLO: not estimated"];
    else if (prefer_ != PurchasePreference::throughput)
      ++left_out["at best dearer than those simulated: not estimated"];
    else if (last_ != nullptr && p.outlook.output_throughput >= last_->outlook.output_throughput)
      ++left_out["at best no faster than another of its cards and nodes that is simulated: not estimated"];
    else
      ++left_out["at best slower than those simulated: not estimated"];
  }
}

}  // namespace sextant
