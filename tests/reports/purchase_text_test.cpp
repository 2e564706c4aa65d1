#include "reports/purchase_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "reports/terminal.hpp"

namespace sextant {
namespace {

// One box with a long name, one or two L40S: three lines of a bill at most, one model.
const char* const page = R"({"name": "toy", "cluster": {"choose-from": [
    {"chassis": "a box whose seller gave it a name far longer than any table of a hundred columns has room for",
     "node": "workstation", "price": 500, "pcie_slots": 4, "pcie_lanes": 64, "rack_units": 4,
     "power_supply_watts": 1600, "power_supply_efficiency": 0.9, "host_watts": 300},
    {"gpu": "l40s", "price": 1000}], "budget": {"usd": 2500}, "prefer": "price"},
    "model": {"name": "llama-3.1-8b"}, "deployment": "search", "engine": {"max_model_len": 4096},
    "workload": {"max_concurrency": 2, "num_prompts": 6, "prompt": {"fixed": 100}, "output": {"fixed": 10}},
    "economics": {"years": 3, "electricity_usd_per_kwh": 0.2}})";

TEST(PurchaseReport, TextJsonAndCsvSayTheSame) {
  const PurchaseQuestion question = read_purchase_question(JsonValue::parse(page, "toy.json"));
  PlanOptions options;
  options.threads = 1;
  const PurchasePlan plan = plan_purchase(question, options);

  std::istringstream text(purchase_text(question, plan));
  for (std::string line; std::getline(text, line);) EXPECT_LE(display_width(line), 100u) << line;

  // Two L40S cost 2,500, one 1,500 USD: the cheaper is the best, and both were simulated.
  const auto json = nlohmann::json::parse(purchase_json(question, plan));
  EXPECT_EQ(json["format"], "sextant purchase");
  EXPECT_EQ(json["best"]["usd"], 1500);
  EXPECT_EQ(json["best"]["gpus"], 1);
  EXPECT_EQ(json["simulated"].size(), 2u);
  EXPECT_EQ(json["best"]["bill"][1]["part"], "l40s");

  // What it makes of a cluster is one that a scenario takes.
  EXPECT_NO_THROW(read_cluster(JsonValue::parse(json["best"]["cluster"].dump(), "cluster.json")));

  const std::string csv = purchase_csv(question, plan);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3) << "a header and a row for each purchase and model";
}

}  // namespace
}  // namespace sextant
