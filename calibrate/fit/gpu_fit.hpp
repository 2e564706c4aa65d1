#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "calibrate/fit/fit_report.hpp"
#include "calibrate/fit/load_fit.hpp"
#include "calibrate/fit/sample.hpp"
#include "models/profile/assumptions.hpp"
#include "models/profile/gpu_profile.hpp"
#include "models/profile/measurement.hpp"

namespace sextant {

struct GpuFitOptions {
  std::string provenance;      ///< the command that makes the file
  double l2_bytes = 0;         ///< of the GPU; 0: not known (see OperatorFitOptions)
  double full_clock_mhz = 0;   ///< its highest; needed for power rows of operators
  bool from_tables = false;    ///< rows are of published kernel tables (TableRows)
  bool cross_validate = true;  ///< test each fit by leaving shapes out
  /// Takes what the rows do not tell, and whose kernels engines run (HarnessKernels); null: nothing does.
  const GpuProfile* rest = nullptr;
};

/// Collects the kernel rows of one GPU and fits its profile. Rows of other GPUs and kinds, windowed attention
/// and head sizes that are not fitted pass by; so does fp16 where bf16 is there, as they take the same time.
class GpuFit {
 public:
  explicit GpuFit(std::string gpu) : gpu_(std::move(gpu)) {}
  void add(const Measurement&);
  /// Throws InputError if no GEMM and no decode row tells what the memory reaches.
  GpuProfile fit(const Assumptions&, const GpuFitOptions&, FitReport&) const;

 private:
  using Families = std::map<std::string, std::vector<FitSample>>;
  std::vector<std::string> usable_gemm_types(const GemmLeftOut&, FitReport&) const;
  std::string source(const std::string& what) const;

  std::string gpu_;
  LoadFit load_;
  Families gemm_, prefill_, decode_, moe_, latent_prefill_, latent_decode_, elementwise_;
  std::map<std::string, std::vector<std::string>> sources_;  ///< by family, each named once
};

}  // namespace sextant
