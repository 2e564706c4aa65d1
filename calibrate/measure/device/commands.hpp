#pragma once
#include <string>
#include <vector>

namespace sextant::measure {

using Arguments = std::vector<std::string>;

/// `sextant-measure gpu`: single operators of one GPU.
int run_gpu(const Arguments&);
/// `sextant-measure step`: whole steps of a model on the GPUs of this host.
int run_step(const Arguments&);

/// "sextant-measure 0.1.0": the `source` of every row.
std::string measure_source();

}  // namespace sextant::measure
