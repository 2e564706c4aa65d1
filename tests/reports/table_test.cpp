#include "reports/table.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

TEST(Table, AlignsNumbersRightAndWordsLeft) {
  Table table({{"name", Table::Align::left}, {"tok/s"}});
  table.add({"a", "1,234"});
  table.add({"longer", "9"});
  EXPECT_EQ(table.text({}),
            "  name    tok/s\n"
            "  ------  -----\n"
            "  a       1,234\n"
            "  longer      9\n");
}

TEST(Table, HeadersMayHaveTwoLines) {
  Table table({{"stage"}, {"weights\nGB"}});
  table.add({"0", "67.2"});
  EXPECT_EQ(table.text({}),
            "         weights\n"
            "  stage       GB\n"
            "  -----  -------\n"
            "      0     67.2\n");
}

TEST(Table, ShrinksTheColumnThatMayToFit) {
  Table table({{"gpu", Table::Align::left, true}, {"ms"}});
  table.add({"rtx-pro-6000-workstation", "1"});
  // 20 columns: 2 indent, 2 gap, 2 for ms leave 14.
  EXPECT_EQ(table.text({false, 20}),
            "  gpu             ms\n"
            "  --------------  --\n"
            "  rtx-pro-6000-…   1\n");
}

TEST(Table, ColoursDoNotDisturbTheAlignment) {
  Table table({{"met"}, {"x"}});
  table.add({Table::Cell("no", Tone::bad), "1"});
  EXPECT_EQ(table.text({true, 100}), "  met  x\n  ---  -\n   \x1b[31mno\x1b[0m  1\n");
}

TEST(Table, HostileCellsStayInTheirCell) {
  Table table({{"name", Table::Align::left}});
  table.add({"a\n\x1b[2J"});
  EXPECT_EQ(table.text({}), "  name\n  ------------\n  a\\x0a\\x1b[2J\n");
}

TEST(Table, LeavesOutColumnsWithoutHeaderAndContent) {
  Table table({{"a"}, {""}, {"b"}});
  table.add({"1", "", "2"});
  EXPECT_EQ(table.text({}), "  a  b\n  -  -\n  1  2\n");
}

}  // namespace
}  // namespace sextant
