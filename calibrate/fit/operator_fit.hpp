#pragma once
#include <optional>
#include <string>
#include <vector>

#include "calibrate/fit/fit_report.hpp"
#include "calibrate/fit/sample.hpp"
#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// One coordinate of an efficiency grid: its points are the values that samples have.
struct FitAxis {
  double least_ratio = 1;  ///< points nearer to the one before are passed over
  double stiffness = 1;    ///< see GridShape
};

/// How one family of operators is to be fitted.
struct OperatorFitOptions {
  std::string family;              ///< for the report
  std::vector<FitAxis> axes;       ///< one for each coordinate
  double bending = 0;              ///< see GridShape
  std::size_t most_values = 1000;  ///< of the efficiency grid: it is thinned to as many
  bool arithmetic = true;          ///< false: the roofline has no arithmetic part
  /// A memory rate known from other operators; nullopt: the one that these reach on data beyond the L2.
  std::optional<double> memory_gbps;
  /// Data of twice this size cannot have stayed in the L2 between repeats of a benchmark; 0: not known, then
  /// those of a sixteenth of the largest and more count as beyond it.
  double l2_bytes = 0;
  /// Whether rows faster than DRAM allows are raised to what it needs.
  bool floor_at_memory = true;
  /// Rows up to this first coordinate that differ in it alone (a GEMM's few rows) take the same time but for
  /// where their weights lie: the grid is fitted to the faster of the two times, and the model's slow state
  /// says how many took the other. 0: none.
  double alike_below = 0;
  /// Groups of shapes, left out in turn to test the fit; below 2: no test, and the spread is that of the rows
  /// fitted.
  std::size_t folds = 5;
};

/// Fits time = latency + max(flops / rate, bytes / bandwidth) / efficiency. Rates are the 98 % quantile
/// reached by the largest rows, the latency just below that of the smallest. The model's spread and median
/// error are those of shapes left out. Throws InputError for fewer rows
/// than a fit can use.
OperatorModel fit_operator(std::vector<FitSample> samples, const OperatorFitOptions&, FitReportLine&);

}  // namespace sextant
