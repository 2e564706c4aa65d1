#include "reports/launch/quoting.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "reports/launch/yaml.hpp"

namespace sextant {
namespace {

TEST(ShellWord, LeavesHarmlessWordsBare) {
  EXPECT_EQ(shell_word("org/model-1.0_x:8@a=b,c+d%e"), "org/model-1.0_x:8@a=b,c+d%e");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(ShellWord, QuotesTheRest) {
  EXPECT_EQ(shell_word("a b"), "'a b'");
  EXPECT_EQ(shell_word("$(x)"), "$'$(x)'");
  EXPECT_EQ(shell_word("~"), "'~'");
  EXPECT_EQ(shell_word("a'b"), "'a'\\''b'");
  EXPECT_EQ(shell_word("a\n1'\\"), "$'a\\0121\\'\\\\'");  // a line end is octal 12; no digit joins it
  EXPECT_EQ(shell_word("\xc3\xa9"), "$'\\303\\251'");
}

TEST(ShellComment, CannotBeLeft) {
  const std::string comment = shell_comment("a\nrm -rf x " + std::string(300, 'y') + " z");
  std::size_t lines = 0;
  for (std::size_t at = 0; at < comment.size(); at = comment.find('\n', at) + 1, ++lines)
    EXPECT_EQ(comment[at], '#');
  EXPECT_GT(lines, 2U);
}

TEST(KubernetesName, IsOneWhateverComes) {
  EXPECT_EQ(kubernetes_name("Part 1: 405B"), "part-1-405b");
  EXPECT_EQ(kubernetes_name("--a--"), "a");
  EXPECT_EQ(kubernetes_name(""), "s");
  EXPECT_EQ(kubernetes_name("8x"), "s-8x");
  EXPECT_EQ(kubernetes_name("\xc3\xa9\n$"), "s");
  EXPECT_EQ(kubernetes_name(std::string(100, 'a')).size(), 40U);
}

TEST(KubernetesText, KeepsReferencesFromBeingFilledIn) {
  EXPECT_EQ(kubernetes_text("a$(HOME)$$b"), "a$$(HOME)$$$$b");
}

TEST(Yaml, QuotesEveryText) {
  const nlohmann::ordered_json document = {{"a", "no"},
                                           {"yes", 1},
                                           {"list", {1, {{"b", "x: y\n# z"}, {"c", nullptr}}}},
                                           {"empty", nlohmann::json::array()}};
  EXPECT_EQ(yaml(document),
            "a: \"no\"\n\"yes\": 1\nlist:\n  - 1\n  - b: \"x: y\\n# z\"\n    c: null\nempty: []\n");
}

}  // namespace
}  // namespace sextant
