#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

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
  std::string dtype = "fp16";  ///< of the NCCL rows to take; empty: any
};

/// Collects collective and point-to-point rows of one link class and makes its curves: the median of equal
/// sizes. An engine's own all-reduce gives curves beside NCCL's, where the rules say that it is used.
class LinkFit {
 public:
  explicit LinkFit(LinkFitOptions options) : options_(std::move(options)) {}
  void add(const Measurement&);
  /// `send` is from p2p rows; without any, from the all-to-all of two ranks, in which each sends half of its
  /// buffer, both ways at once. Throws InputError if neither is there.
  LinkProfile fit(const Assumptions&) const;

 private:
  using Times = std::map<double, std::vector<double>>;  ///< microseconds by bytes
  using Group = std::pair<std::string, int>;            ///< operation and ranks
  TransferCurve send(const LinkRules&) const;

  LinkFitOptions options_;
  std::map<Group, Times> collectives_, custom_;
  Times point_to_point_;
  std::vector<std::string> sources_, custom_sources_, custom_kernels_;
};

}  // namespace sextant
