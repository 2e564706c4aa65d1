#pragma once
#include <string>

namespace sextant::measure {

/// The catalogue's name of the GPU that the driver calls `device_name` ("NVIDIA H200" -> "h200-sxm"): the
/// entry that shares most words with it, of several the one with the fewest others, of equals the first.
/// Throws InputError naming --gpu if none shares a word with a digit in it.
std::string catalogue_gpu(const std::string& device_name);

}  // namespace sextant::measure
