#pragma once
#include <string>
#include <vector>

namespace sextant::measure {

/// Compares every operator with a double-precision reference on small shapes, outputs poisoned before, and
/// prints a line for each: pass or FAIL, what, the relative error ||out - reference|| / ||reference||. Every
/// family runs in a process of its own. Returns 0 if all passed or were skipped, 1 otherwise, 2 without a
/// GPU.
int self_check(int device, const std::vector<std::string>& families);

}  // namespace sextant::measure
