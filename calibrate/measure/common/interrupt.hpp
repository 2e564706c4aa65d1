#pragma once

namespace sextant::measure {

/// From now on the first Ctrl-C (or SIGTERM) only sets a flag, so that the run ends after the point in hand;
/// the second one ends the process at once.
void watch_for_interrupt();
/// Whether that flag is set.
bool interrupted();

}  // namespace sextant::measure
