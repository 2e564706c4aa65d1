#pragma once
#include <optional>
#include <string>

#include "models/base/figure.hpp"

namespace sextant {

struct SearchContext;
struct Candidate;

/// Power of a deployment's GPUs, averaged over a run; hosts, networks and GPUs without work are not in it.
struct Energy {
  double gpu_watts = 0;                ///< all GPUs of the deployment together
  double joules_per_output_token = 0;  ///< gpu_watts / output tokens/s
  bool upper_bound = false;            ///< for some GPU only its highest power is known
  Grade grade = Grade::measured;       ///< of the weakest figure used
  std::string basis;                   ///< in words
};

/// From each stage's shares of the run and the power models: tensor-bound and streaming parts of its passes
/// by the typical passes of the reports, collectives as streaming, bubbles at static watts. A GPU without a
/// power model counts with its default limit throughout. nullopt where not even that is known or no token
/// was served.
std::optional<Energy> energy_of(const SearchContext&, const Candidate&);

}  // namespace sextant
