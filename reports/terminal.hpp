#pragma once
#include <string>
#include <string_view>

#include "reports/text_style.hpp"

namespace sextant {

/// What a piece of text means to its reader; becomes a colour where there are colours.
enum class Tone { plain, strong, good, bad, caution };

/// `text` in the tone's colour, or unchanged where the style has none.
std::string paint(std::string_view text, Tone, TextStyle);

/// Text that cannot steer a terminal: control characters (C0, DEL, C1), direction overrides and bytes that
/// are not UTF-8 become \xNN; longer than `most` characters is cut with an ellipsis.
std::string printable(std::string_view text, std::size_t most = 80);

/// Characters (code points) of UTF-8 text.
std::size_t display_width(std::string_view text);

/// The first characters of `text` and an ellipsis if it has more than `width`.
std::string cut(std::string_view text, std::size_t width);

/// A paragraph: printable text (of at most 2,000 characters) broken at spaces to fit `width` columns; the
/// first line starts with `first`, the others with as many spaces. Words longer than a line are broken. Ends
/// with a line end.
std::string wrapped(std::string_view text, std::string_view first, int width);

}  // namespace sextant
