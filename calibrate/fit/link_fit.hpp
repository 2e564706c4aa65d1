#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "calibrate/fit/curve_fit.hpp"
#include "calibrate/fit/ring_fit.hpp"
#include "models/profile/assumptions.hpp"
#include "models/profile/link_profile.hpp"
#include "models/profile/measurement.hpp"

namespace sextant {

/// What a link profile is to be called and what its wire carries.
struct LinkFitOptions {
  std::string name;      ///< "pcie-gen5"
  std::string link;      ///< class of the rows to take: nvlink, pcie, roce, ib, tcp
  double line_gbps = 0;  ///< 10^9 B/s each way
  std::string provenance;
  std::string dtype = "fp16";     ///< of the NCCL rows to take; empty: any
  double compute_capability = 0;  ///< ten times major.minor, for NCCL's tables; 0: no ring model
  /// Gives the curves of groups, operations and kernels that the rows do not have, send where they have
  /// nothing for it, and the ring model of larger groups; null: nothing does.
  const LinkProfile* rest = nullptr;
};

/// How a link's curves came out.
struct LinkFitReport {
  struct Curve {
    std::string op, impl;
    int ranks = 0;
    CurveFit fit;
  };
  std::vector<Curve> curves;
  RingFitReport ring;
};

/// Errors over the sizes of all NCCL curves of a link.
struct NcclErrors {
  ErrorSummary shipped;   ///< the shipped curves against every measurement
  ErrorSummary left_out;  ///< sizes left out, each predicted from its neighbours
};
NcclErrors nccl_errors(const LinkFitReport&);

/// The report as tables for a terminal.
std::string report_text(const LinkFitReport&);

/// Collects collective and point-to-point rows of one link class and makes its curves (curve_fit.hpp)
/// and, from two or more group sizes, the ring model of other groups (ring_fit.hpp). An engine's own
/// all-reduce gives curves beside NCCL's, where the rules say that it is used.
class LinkFit {
 public:
  explicit LinkFit(LinkFitOptions options) : options_(std::move(options)) {}
  void add(const Measurement&);
  /// `send` is from p2p rows; without any, from the all-to-all of two ranks, in which each sends half of its
  /// buffer, both ways at once, else the rest's. Throws InputError if none is there, or no row at all.
  LinkProfile fit(const Assumptions&) const;
  /// The same, with what each curve and each group left out came to.
  LinkProfile fit(const Assumptions&, LinkFitReport&) const;

 private:
  using Group = std::pair<std::string, int>;  ///< operation and ranks
  void require_rows() const;
  TransferCurve send(const LinkRules&) const;
  void add_nccl_curves(const LinkRules&, LinkProfile&, LinkFitReport&) const;
  void add_rest(LinkProfile&) const;
  void refine_ring(const LinkProfile& own, RingModel&) const;
  void add_custom_curves(const Assumptions&, LinkProfile&, LinkFitReport&) const;

  LinkFitOptions options_;
  std::map<Group, TimesBySize> collectives_, custom_;
  std::map<Group, double> nvls_from_;  ///< smallest size that was marked
  TimesBySize point_to_point_;
  std::map<std::string, int> other_types_;  ///< rows passed over, by their data type
  std::vector<std::string> sources_, custom_sources_, custom_kernels_;
};

}  // namespace sextant
