#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sextant::measure {

/// `least`, twice that, four times that ... up to `most`.
std::vector<std::int64_t> powers_of_two(std::int64_t least, std::int64_t most);

/// Point `index` (from 0) of the Halton sequence in `dimensions` (at most 6) dimensions, each in [0, 1): a
/// set that fills space evenly however many of its points are used.
std::vector<double> halton(std::size_t index, std::size_t dimensions);

/// low * (high / low)^share, rounded to a multiple of `step`, within [low, high].
std::int64_t log_between(std::int64_t low, std::int64_t high, double share, std::int64_t step);

/// The order in which a list of `count` points is measured so that every prefix covers it evenly:
/// bit-reversed indices. A run that is cut short has seen the whole range coarsely.
std::vector<std::size_t> coarse_to_fine(std::size_t count);

}  // namespace sextant::measure
