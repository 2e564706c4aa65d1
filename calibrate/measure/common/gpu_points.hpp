#pragma once
#include <string>
#include <vector>

#include "models/profile/measurement.hpp"

namespace sextant::measure {

/// How much is measured: under 2 minutes, under 10, or everything.
enum class Depth { quick, standard, thorough };

/// One thing to measure: its row without the time.
struct Point {
  std::string family;  ///< "gemm/bf16", "attention_decode/fp8", "copy": what fails or is left out together
  Measurement measurement;
  double estimated_seconds = 0;  ///< of measuring it
};

/// What a GPU does in a second, roughly: only for estimates of how long measuring takes.
struct RoughRates {
  double tflops = 0;       ///< of bf16
  double memory_gbps = 0;  ///< 10^9 B/s
};
/// From the catalogue's data sheet; those of a large current card for a GPU that is not in it.
RoughRates rough_rates(const std::string& gpu);
/// Seconds that one run of the row's operator takes at about those rates.
double rough_seconds(const MeasurementRow&, const RoughRates&);

/// The operator that stands for a kind of work of family "power": "gemm/bf16" of so many rows, 8192 x 8192.
/// Throws InputError for one that is not known.
MeasurementRow power_work(const std::string& work, std::int64_t tokens);

/// Every family that gpu_points knows.
std::vector<std::string> gpu_families();

/// The points of those families (a prefix such as "gemm" names all of its types; empty: all), in an order in
/// which every prefix covers every family about evenly, coarse first. Shapes are those of the catalogue's
/// models at tensor-parallel 1, 2, 4 and 8, and a space-filling set beyond them. Throws InputError for a
/// family that is not known.
std::vector<Point> gpu_points(Depth, const std::string& gpu, const std::vector<std::string>& families);

}  // namespace sextant::measure
