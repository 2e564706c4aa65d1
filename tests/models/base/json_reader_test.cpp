#include "models/base/json_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "models/base/error.hpp"
#include "models/base/figure.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

JsonValue parse(const std::string& text) {
  return JsonValue::parse(text, "f.json");
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(JsonParse, AllowsComments) {
  EXPECT_EQ(parse("// why\n{\"a\": /* here */ 1}").object().integer("a"), 1);
}

TEST(JsonParse, NamesLineAndColumn) {
  // The third line's second character is the first that cannot be.
  EXPECT_THAT(message_of([] { parse("{\n\"a\": 1,\n ?}"); }), HasSubstr("f.json:3:2: not valid json"));
  EXPECT_THAT(message_of([] { parse("{} {}"); }), HasSubstr("not valid json"));
  EXPECT_EQ(message_of([] { parse("{\n?}"); }).find('\n'), std::string::npos);
}

TEST(JsonParse, RefusesAKeyTwiceInOneObjectOnly) {
  EXPECT_THAT(message_of([] { parse(R"({"a": 1, "a": 2})"); }), HasSubstr("found the key 'a' twice"));
  EXPECT_EQ(message_of([] { parse(R"({"a": {"a": 1}, "b": {"a": 2}})"); }), "no error");
  EXPECT_EQ(message_of([] { parse(R"([{"a": 1}, {"a": 2}])"); }), "no error");
}

TEST(JsonParse, SurvivesNumbersBeyondRangeAndBrokenText) {
  EXPECT_THAT(message_of([] { parse(R"({"a": 1e999})"); }), HasSubstr("f.json"));
  EXPECT_THAT(message_of([] { parse("{\"a\": \"\xff\"}"); }), HasSubstr("f.json"));
}

TEST(JsonValue, KnowsItsPath) {
  const JsonValue value = parse(R"({"cluster": {"nodes": [{"gpus": 1}, {"gpus": "two"}]}})");
  const JsonValue node = value.object().at("cluster").object().at("nodes").array()[1];
  EXPECT_EQ(node.where(), "f.json: cluster.nodes[1]");
  EXPECT_EQ(message_of([&] { node.object().integer("gpus"); }),
            "f.json: cluster.nodes[1].gpus: found \"two\", expected a whole number");
}

TEST(JsonValue, OutlivesItsDocument) {
  std::optional<JsonValue> inner;
  { inner = parse(R"({"a": {"b": [1, 2]}})").object().at("a").object().at("b"); }
  EXPECT_EQ(inner->numbers(), (std::vector<double>{1, 2}));
}

TEST(JsonValue, ChecksTypes) {
  EXPECT_THAT(message_of([] { parse("[]").object(); }), HasSubstr("found an array, expected an object"));
  EXPECT_THAT(message_of([] { parse("{}").array(); }), HasSubstr("found an object, expected an array"));
  EXPECT_THAT(message_of([] { parse("1").text(); }), HasSubstr("found 1, expected a string"));
  EXPECT_THAT(message_of([] { parse("0").boolean(); }), HasSubstr("found 0, expected true or false"));
  EXPECT_THAT(message_of([] { parse("true").number(); }), HasSubstr("found true, expected a number"));
  EXPECT_THAT(message_of([] { parse("null").number(); }), HasSubstr("found null, expected a number"));
}

TEST(JsonValue, QuotesInOneLine) {
  EXPECT_EQ(message_of([] { parse(R"("a\nb")").number(); }), R"(f.json: found "a\nb", expected a number)");
  // 30 characters of two bytes each, then one more: cut after 57 bytes, within a character.
  const std::string message = message_of([] { parse(R"("éééééééééééééééééééééééééééééééé")").number(); });
  EXPECT_THAT(message, HasSubstr("...\", expected a number"));
}

TEST(JsonValue, ChecksRanges) {
  EXPECT_DOUBLE_EQ(parse("2").number({1, 2}), 2);  // bounds are inclusive
  EXPECT_THAT(message_of([] {
                parse("3").number({1, 2});
              }),
              HasSubstr("found 3, expected a number from 1 to 2"));
  EXPECT_THAT(message_of([] { parse("-1").integer({0}); }),
              HasSubstr("expected a whole number of at least 0"));
  EXPECT_THAT(message_of([] { parse("1.5").integer(); }), HasSubstr("found 1.5, expected a whole number"));
  EXPECT_EQ(parse("2e3").integer(), 2000);
  EXPECT_EQ(parse("9007199254740991").integer(), 9'007'199'254'740'991);  // 2^53 - 1: the last exact double
  EXPECT_THAT(message_of([] { parse("9007199254740993").integer(); }), HasSubstr("expected a whole number"));
}

TEST(JsonObject, TreatsNullAsAbsentWhereOptional) {
  const JsonObject object = parse(R"({"a": null, "b": 3})").object();
  EXPECT_FALSE(object.find("a").has_value());
  EXPECT_EQ(object.integer_or("a", 7), 7);
  EXPECT_EQ(object.integer_or("b", 7), 3);
  EXPECT_EQ(object.text_or("c", "x"), "x");
  EXPECT_NO_THROW(object.finish());
}

TEST(JsonObject, RefusesWhatNobodyAskedFor) {
  const JsonObject object = parse(R"({"gpus": 1, "nics": 2, "zzz": 3})").object();
  object.integer("gpus");
  object.integer("nics");
  EXPECT_EQ(message_of([&] { object.finish(); }),
            "f.json: found the unknown key 'zzz', expected one of gpus, nics");
}

TEST(JsonObject, NamesTheNearestOfAMisspeltKey) {
  const JsonObject object = parse(R"({"request_rat": 1})").object();
  EXPECT_THAT(message_of([&] { object.number("request_rate"); }),
              HasSubstr("found the unknown key 'request_rat', did you mean 'request_rate'"));
  const JsonObject optional = parse(R"({"sede": 1})").object();
  optional.integer_or("seed", 0);
  EXPECT_THAT(message_of([&] { optional.finish(); }), HasSubstr("did you mean 'seed'"));  // letters swapped
  EXPECT_THAT(message_of([] { parse("{}").object().at("model"); }),
              HasSubstr("expected the key 'model', which is missing"));
}

TEST(JsonObject, ChoosesByWord) {
  const JsonObject object = parse(R"({"kind": "ib"})").object();
  EXPECT_EQ(object.choice("kind", {"roce", "ib"}), 1u);
  EXPECT_THAT(message_of([&] {
                object.choice("kind", {"roce", "tcp"});
              }),
              HasSubstr("f.json: kind: found \"ib\", expected one of roce, tcp"));
}

TEST(Nearest, IsNearEnoughOrNothing) {
  const std::vector<std::string> known = {"h100-sxm", "h200-sxm", "l40s"};
  EXPECT_EQ(nearest("h100-smx", known), "h100-sxm");
  EXPECT_EQ(nearest("mi300x-oam", known), std::nullopt);
  EXPECT_EQ(did_you_mean("l40", known), ", did you mean 'l40s'");
  EXPECT_EQ(did_you_mean("b", {}), "");
}

TEST(Nearest, KnowsAShortenedNameAndNoOtherNumber) {
  // int8 is one letter from int4 and another format; both int4 formats have that piece, the first as long.
  EXPECT_EQ(nearest("int4", {"int8", "awq-int4", "gptq-int4"}), "awq-int4");
  EXPECT_EQ(nearest("llama-405b", {"llama-2-7b", "llama-3.1-405b", "llama-3.1-8b"}), "llama-3.1-405b");
  EXPECT_EQ(nearest("p99_ttft", {"p99_ttft_ms", "p90_ttft_ms"}), "p99_ttft_ms");
  EXPECT_EQ(nearest("rtx-pro-6000", {"rtx-pro-6000-workstation", "rtx-pro-6000-max-q"}),
            "rtx-pro-6000-max-q");
  EXPECT_EQ(nearest("RTX PRO 6000 Max-Q", {"rtx-pro-6000-workstation", "rtx-pro-6000-max-q"}),
            "rtx-pro-6000-max-q");
  EXPECT_EQ(nearest("-", {"a-b"}), std::nullopt);
}

TEST(JsonValue, SaysThatAFileIsEmpty) {
  EXPECT_EQ(message_of([] { parse(""); }), "f.json: found nothing in it, expected json");
  EXPECT_EQ(message_of([] { parse(" \n"); }), "f.json: found nothing in it, expected json");
}

TEST(Figure, RequiresGradeAndSource) {
  const Figure figure = read_figure(parse(R"({"value": 3, "grade": "fitted", "source": "s"})"), {});
  EXPECT_DOUBLE_EQ(figure.value, 3);
  EXPECT_EQ(figure.grade, Grade::fitted);
  EXPECT_THAT(message_of([] { read_figure(parse(R"({"value": 3, "grade": "fitted"})"), {}); }),
              HasSubstr("'source'"));
  EXPECT_THAT(
      message_of([] { read_figure(parse(R"({"value": 3, "grade": "guessed", "source": "s"})"), {}); }),
      HasSubstr("expected one of measured, fitted, scaled, datasheet, assumed"));
  EXPECT_EQ(weakest(Grade::measured, Grade::assumed), Grade::assumed);
  EXPECT_EQ(to_string(Grade::scaled), "scaled");
}

}  // namespace
}  // namespace sextant
