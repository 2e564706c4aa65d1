#pragma once
#include <string>
#include <vector>

#include "reports/text_style.hpp"
#include "sim/validation/validate.hpp"

namespace sextant {

/// For a terminal: errors by kind, GPU and part, what is not predicted and why, the values furthest off, the
/// bounds.
std::string validation_text(const Validation&, const std::vector<ErrorBound>&, TextStyle = {});

/// {"format": "sextant validation", "version": 1, …} (reports/README.md): groups, bounds, and every value
/// beside its prediction.
std::string validation_json(const Validation&, const std::vector<ErrorBound>&,
                            const std::string& command = "");

/// One row per measured value with a header (RFC 4180).
std::string validation_csv(const Validation&);

}  // namespace sextant
