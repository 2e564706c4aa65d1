// Validation: the rule by which a card without tables is scaled from another, tried on the six cards that
// have tables: each card's profile is scaled to each other card by the datasheets' ratios alone and compared
// with that card's own tables, which it did not see. Prints errors and the coverage of the intervals.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "calibrate/fit/fit_report.hpp"
#include "calibrate/import/kernel_tables.hpp"
#include "models/base/error.hpp"
#include "models/hardware/catalogue.hpp"
#include "models/profile/numeric_type.hpp"
#include "models/profile/scaled_profile.hpp"
#include "sim/validation/kernel_rows.hpp"

namespace sextant {
namespace {

struct Card {
  const char *folder, *gpu, *profile;
  int generation;  // Ampere, Ada and Hopper, Blackwell
};

const Card cards[] = {{"a100_sxm", "a100-sxm", "a100-sxm", 1},
                      {"l40s", "l40s", "l40s", 2},
                      {"h100_sxm", "h100-sxm", "h100-sxm", 2},
                      {"h200_sxm", "h200-sxm", "h200-sxm-tables", 2},
                      {"b200_sxm", "b200-sxm", "b200-sxm", 3},
                      {"rtx_pro_6000_server", "rtx-pro-6000-server", "rtx-pro-6000-server", 3}};

std::filesystem::path tables_folder() {
  const char* given = std::getenv("SEXTANT_SHARED");
  const std::filesystem::path shared = given != nullptr
                                           ? std::filesystem::path(given)
                                           : std::filesystem::path(SEXTANT_SOURCE_DIR) / ".." / "shared";
  return shared / "data/kernel-tables";
}

/// The rule's family of a row of a size that serving meets; empty: none.
std::string family_of(const Measurement& measurement) {
  constexpr std::int64_t width = 1024, tokens = 128;
  if (const auto* gemm = std::get_if<GemmRow>(&measurement.row)) {
    const bool types = gemm->dtype == "bf16" || gemm->dtype == "fp8" || gemm->dtype == "nvfp4";
    return types && gemm->n >= width && gemm->k >= width ? "gemm/" + gemm->dtype : "";
  }
  const auto usual_head = [](std::int64_t size) { return size == 64 || size == 128; };
  if (const auto* row = std::get_if<AttentionDecodeRow>(&measurement.row))
    return row->window == 0 && row->context >= tokens && usual_head(row->head_dim) ? "attention_decode" : "";
  if (const auto* row = std::get_if<AttentionPrefillRow>(&measurement.row))
    return row->window == 0 && row->new_tokens >= tokens && usual_head(row->head_dim) ? "attention_prefill"
                                                                                      : "";
  if (const auto* row = std::get_if<MoeRow>(&measurement.row))
    return row->ep > 1 ? "" : row->dtype == "fp8" ? "moe/fp8" : "moe";
  if (const auto* row = std::get_if<MlaPrefillRow>(&measurement.row))
    return row->module && row->dtype == "bf16" && row->new_tokens >= tokens ? "latent_prefill" : "";
  if (const auto* row = std::get_if<MlaDecodeRow>(&measurement.row))
    return row->module && row->dtype == "bf16" && row->context >= tokens ? "latent_decode" : "";
  return "";
}

using Rows = std::vector<std::pair<std::string, Measurement>>;

/// One in `step` rows of each family.
Rows rows_of(const Card& card) {
  constexpr int step = 31, rare_step = 5;
  Rows rows;
  std::map<std::string, int> seen;
  ImportReport report;
  import_kernel_tables((tables_folder() / card.folder).string(), {card.gpu, "nvlink", 0}, report,
                       [&](const Measurement& row) {
                         const std::string family = family_of(row);
                         if (family.empty()) return;
                         const bool rare = family.starts_with("latent") || card.generation == 1;
                         if (++seen[family] % (rare ? rare_step : step) == 0) rows.emplace_back(family, row);
                       });
  return rows;
}

Figure ratio_of(double of, double over) {
  return {of / over, Grade::datasheet, "data sheets", {}};
}

GpuProfile scaled_between(const Card& from, const Card& to, const std::string& distance) {
  const Gpu &a = find_gpu(from.gpu), &b = find_gpu(to.gpu);
  ProfileScale scale;
  scale.tensor = ratio_of(b.dense_tflops.at("bf16").value, a.dense_tflops.at("bf16").value);
  for (const auto& [type, rate] :
       std::map<std::string, std::string>{{"fp8", "fp8"}, {"fp8_block", "fp8"}, {"nvfp4", "fp4"}})
    if (a.dense_tflops.contains(rate) && b.dense_tflops.contains(rate))
      scale.tensor_by_type[type] = ratio_of(b.dense_tflops.at(rate).value, a.dense_tflops.at(rate).value);
  scale.memory = ratio_of(b.memory_gbps->value, a.memory_gbps->value);
  scale.latency = ratio_of(1, 1);
  scale.errors = shipped_scaling_rules().distances.at(distance);
  GpuProfile profile = scaled(find_gpu_profile(from.profile), scale);
  profile.gpu = to.gpu;
  return profile;
}

struct Errors {
  std::vector<double> sizes, ratios;
  double covered = 0;
};

/// What the rule's intervals should hold is 90 %; a pair differs from the next by more than its rows do.
struct Pooled {
  std::vector<double> medians, p90s, lows, highs, coverages;
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST(ScalingRule, ErrorsAndCoverageByDistance) {
  unsetenv("SEXTANT_PROFILES");
  if (!std::filesystem::exists(tables_folder())) GTEST_SKIP() << "no kernel tables here";
  std::map<std::string, std::map<std::string, Pooled>> found;  // family, distance
  fmt::print("{:20} {:20} {:18} {:>6} {:>7} {:>5} {:>6} {:>6} {:>8}\n", "from", "to", "family", "rows",
             "median", "p90", "low", "high", "covered");
  for (const Card& to : cards) {
    const Rows rows = rows_of(to);
    for (const Card& from : cards) {
      if (from.gpu == to.gpu) continue;
      const std::string pair = std::string(from.gpu) + to.gpu;
      const bool same = pair == "h100-sxmh200-sxm" || pair == "h200-sxmh100-sxm";
      const int apart = std::abs(from.generation - to.generation);
      const std::string distance = same         ? "same chip"
                                   : apart == 0 ? "same generation"
                                   : apart == 1 ? "next generation"
                                                : "two generations";
      const GpuProfile profile = scaled_between(from, to, same ? "same_chip" : "other_chip");
      std::map<std::string, Errors> errors;
      for (const auto& [family, row] : rows) {
        Outcome outcome = NotPredicted{};
        const double us = std::visit(
            [&](const auto& kind) {
              if constexpr (requires {
                              predict(kind, profile);
                              kind.us;
                            }) {
                try {
                  outcome = predict(kind, profile);
                } catch (const InputError&) {  // the card it is scaled from lacks the type
                }
                return static_cast<double>(kind.us);
              } else {
                return 0.0;
              }
            },
            row.row);
        const auto* predicted = std::get_if<Prediction>(&outcome);
        if (predicted == nullptr) continue;
        Errors& of = errors[family];
        of.sizes.push_back(std::abs(predicted->value / us - 1));
        of.ratios.push_back(us / predicted->value);
        of.covered += us >= predicted->interval->low90 && us <= predicted->interval->high90 ? 1 : 0;
      }
      for (const auto& [family, of] : errors) {
        const double covered = of.covered / static_cast<double>(of.sizes.size());
        const double low = quantile(of.ratios, 0.05), high = quantile(of.ratios, 0.95);
        const double median = quantile(of.sizes, 0.5), p90 = quantile(of.sizes, 0.9);
        fmt::print("{:20} {:20} {:18} {:>6} {:>7.1f} {:>5.0f} {:>6.2f} {:>6.2f} {:>7.0f}%\n", from.gpu,
                   to.gpu, family, of.sizes.size(), 100 * median, 100 * p90, low, high, 100 * covered);
        Pooled& pooled = found[family][distance];
        pooled.medians.push_back(median);
        pooled.p90s.push_back(p90);
        pooled.lows.push_back(low);
        pooled.highs.push_back(high);
        pooled.coverages.push_back(covered);
      }
    }
  }
  fmt::print("\nmeans over pairs\n");
  for (const auto& [family, distances] : found) {
    double covered = 0, pairs = 0;
    for (const auto& [distance, of] : distances) {
      fmt::print(
          "{:18} {:16} {:>2} pairs {:>5.1f} {:>5.0f} % off, true over predicted {:.2f} to {:.2f}, covered "
          "{:.0f} %\n",
          family, distance, of.medians.size(), 100 * mean(of.medians), 100 * mean(of.p90s), mean(of.lows),
          mean(of.highs), 100 * mean(of.coverages));
      if (distance == "same chip") {
        EXPECT_GT(mean(of.coverages), 0.86) << family;
        continue;
      }
      for (const double one : of.coverages) covered += one;
      pairs += static_cast<double>(of.coverages.size());
    }
    if (pairs == 0) continue;
    EXPECT_GT(covered / pairs, 0.86) << family;
    EXPECT_LT(covered / pairs, 0.96) << family;
  }
}

}  // namespace
}  // namespace sextant
