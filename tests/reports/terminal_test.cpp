#include "reports/terminal.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

TEST(Printable, LeavesWordsOfAnyLanguageAlone) {
  EXPECT_EQ(printable("Größe 405B 模型"), "Größe 405B 模型");
}

TEST(Printable, ShowsControlCharactersInsteadOfSendingThem) {
  EXPECT_EQ(printable("a\nb\x1b[31mred\x7f\r"), "a\\x0ab\\x1b[31mred\\x7f\\x0d");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(Printable, ShowsEightBitControlsAndDirectionOverrides) {
  // U+009B is a one-character CSI; U+202E turns the line around.
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(printable("\u202eabc"), "\\xe2\\x80\\xaeabc");
}

TEST(Printable, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("\x9b"
                      "31m"),
            "\\x9b31m");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                    // cut short
  EXPECT_EQ(printable("\xc0\x8a"), "\\xc0\\x8a");           // overlong line feed
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
}

TEST(Printable, CutsLongTextToTheCharacter) {
  EXPECT_EQ(printable("abcde", 5), "abcde");
  EXPECT_EQ(printable("abcdef", 5), "abcd…");
  EXPECT_EQ(display_width(printable(std::string(10000, 'x'))), 80U);
  // An escape is shown whole or not at all.
  EXPECT_EQ(printable("abc\n!", 5), "abc…");
}

TEST(Cut, CountsCharactersNotBytes) {
  EXPECT_EQ(cut("äöü", 3), "äöü");
  EXPECT_EQ(cut("äöüß", 3), "äö…");
  EXPECT_EQ(cut("abc", 0), "");
}

TEST(Wrapped, BreaksAtSpacesUnderTheFirstLine) {
  EXPECT_EQ(wrapped("one two three four", "  - ", 17), "  - one two three\n    four\n");
}

TEST(Wrapped, BreaksWordsLongerThanALine) {
  EXPECT_EQ(wrapped("abcdefghijklmno", "", 10), "abcdefghij\nklmno\n");
}

TEST(Wrapped, CannotBeMadeToBreakTheTerminal) {
  EXPECT_EQ(wrapped("a\x1b[2Jb", "", 40), "a\\x1b[2Jb\n");
}

TEST(Paint, ColoursOnlyWhenAsked) {
  EXPECT_EQ(paint("yes", Tone::good, {}), "yes");
  EXPECT_EQ(paint("yes", Tone::good, {true, 100}), "\x1b[32myes\x1b[0m");
  EXPECT_EQ(paint("yes", Tone::plain, {true, 100}), "yes");
}

}  // namespace
}  // namespace sextant
