#pragma once

namespace sextant {

/// How text for people is laid out. The caller knows whether its reader is a terminal.
struct TextStyle {
  bool colour = false;  ///< ANSI colours; off unless stdout is a terminal and NO_COLOR is unset
  int width = 100;      ///< columns
};

}  // namespace sextant
