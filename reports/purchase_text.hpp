#pragma once
#include <string>
#include <vector>

#include "reports/text_style.hpp"
#include "sim/planner/purchase.hpp"

namespace sextant {

/// What to buy, what it gives and costs, what else there is and what would make that the better buy; for a
/// person. Fits style.width columns; plain ASCII tables.
std::string purchase_text(const PurchaseQuestion&, const PurchasePlan&, TextStyle = {});

/// {"format": "sextant purchase", "version": 1, …} (reports/README.md). Numbers are finite; what is not is
/// null. `command` gives the same result again.
std::string purchase_json(const PurchaseQuestion&, const PurchasePlan&, const std::string& command = "");

/// Models, budget, workload and SLO in a sentence each.
std::vector<std::string> purchase_question_lines(const PurchaseQuestion&, const PurchasePlan&);

/// One row for each simulated purchase and model, best purchase first, with a header (RFC 4180).
std::string purchase_csv(const PurchaseQuestion&, const PurchasePlan&);

}  // namespace sextant
