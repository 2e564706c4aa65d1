#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/planner/cost_tables.hpp"
#include "sim/planner/purchase_parts.hpp"

namespace sextant {

/// Every link that a tensor-parallel group of some purchases can have, by its number of GPUs: inside a node,
/// and over several nodes. Those over several nodes may be more than there are.
struct GroupLinks {
  std::map<int, std::vector<LinkProfile>> inside, across;
};

/// The links of groups of those degrees. Throws InputError where a profile lacks a link.
GroupLinks group_links(const PurchaseQuestion&, const std::vector<Purchase>&, const std::vector<int>& degrees,
                       bool custom_all_reduce);

/// What no estimate of a purchase exceeds: each stage at the least of its tables over every link on offer and
/// every batch, no hop, no imbalance. Purchases of the same cards, as widely spread at most, have one bound.
class PurchaseFloors {
 public:
  /// `purchases` are all that are asked about; question and models outlive it.
  PurchaseFloors(const PurchaseQuestion&, const std::vector<ModelBound>&,
                 const std::vector<Purchase>& purchases, const PurchaseEstimator&);
  ~PurchaseFloors();
  /// Not for several threads. Its failure says which bound makes it impossible.
  Outlook best_case(const Purchase&);

 private:
  struct Tables;
  struct Class;
  Tables& tables(std::size_t model, const Class&, const Purchase&);
  Outlook best_case(Tables&, const Class&);

  const PurchaseQuestion& question_;
  const std::vector<ModelBound>& models_;
  const PurchaseEstimator& estimator_;
  std::map<bool, GroupLinks> links_;                                    ///< by the engine's custom all-reduce
  std::map<std::string, std::vector<std::unique_ptr<Tables>>> tables_;  ///< by kinds of card
  std::map<std::string, Outlook> known_;                                ///< by class
};

}  // namespace sextant
