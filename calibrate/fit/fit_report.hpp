#pragma once
#include <string>
#include <vector>

#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// Errors of predicted times, relative; over the rows of serving-like sizes.
struct ErrorSummary {
  double median = 0;  ///< of |predicted / measured - 1|
  double p90 = 0;
  double worst = 0;
  double bias = 0;           ///< median of predicted / measured - 1
  double low = 1, high = 1;  ///< 5 % and 95 % quantiles of measured / predicted
};

/// The same errors apart by how long the measured kernels took.
std::vector<RegionError> errors_by_duration(const std::vector<double>& predicted_us,
                                            const std::vector<double>& measured_us);
/// `predicted` and `measured` pairwise; empty input gives zeros.
ErrorSummary summarise_errors(const std::vector<double>& predicted, const std::vector<double>& measured);
/// The p-quantile, linear between order statistics; not empty.
double quantile(std::vector<double> values, double p);

/// How one operator model came out.
struct FitReportLine {
  std::string family;  ///< "gemm bf16"
  std::size_t rows = 0;
  std::size_t floored = 0;   ///< raised to the time DRAM needs: their data had stayed in the L2
  std::size_t outliers = 0;  ///< rows that the fit passes by more than a quarter: they hardly move it
  std::size_t falling = 0;   ///< rows a twentieth faster than one of the same shape with less work
  double tflops = 0, memory_gbps = 0, latency_us = 0;
  ErrorSummary fitted;    ///< the profile against the rows it was fitted to
  ErrorSummary held_out;  ///< shapes that the fit did not see
  std::vector<RegionError> held_out_regions;
};

struct FitReport {
  std::vector<FitReportLine> lines;
  std::vector<std::string> notes;  ///< what was left out and why
};

/// The report as a table for a terminal.
std::string report_text(const FitReport&);

}  // namespace sextant
