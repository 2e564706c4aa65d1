#pragma once
#include <string>
#include <vector>

#include "models/cost/cost.hpp"
#include "sim/planner/search.hpp"

namespace sextant {

/// One entry of a GPU profile that a layout's times rest on.
struct OperatorUsed {
  Family family = Family::gemm;
  std::string label;  ///< "gemm", "prefill attention"
  std::string type;   ///< its key in the profile: "fp8", "bf16/128"
  std::string gpu;
  Grade grade = Grade::assumed;
  Spread spread;
  std::string source;
};

/// Every such entry once, in the order of replicas, stages and GPUs.
std::vector<OperatorUsed> operators_used(const SearchContext&, const Layout&);

/// Those of them whose times are assumed, not measured, with the rule: "gemm w4a16 on rtx-5090 is assumed:
/// ...".
std::vector<std::string> assumed_operators(const SearchContext&, const Layout&);

}  // namespace sextant
