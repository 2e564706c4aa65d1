#pragma once
#include <boost/program_options.hpp>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/measure/common/gpu_points.hpp"
#include "calibrate/measure/common/sampling.hpp"
#include "calibrate/measure/device/commands.hpp"

namespace sextant::measure {

namespace options = boost::program_options;

/// Parses strictly: no abbreviations, no words that are no options. Throws InputError.
options::variables_map parse(const Arguments&, const options::options_description&);
/// "a,b,c" in parts; empty: none.
std::vector<std::string> parts(const std::string& list);

/// Options that every measuring verb has: -o, --resume, --quick, --thorough, --seconds, --gpu, --list,
/// --quiet.
void add_common(options::options_description&);
Depth depth_of(const options::variables_map&);
/// Samples of a point: at most 0.1, 0.25 or 0.5 s of them.
StoppingRule rule_of(Depth);

}  // namespace sextant::measure
