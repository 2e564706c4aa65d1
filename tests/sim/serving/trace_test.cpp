#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

/// A trace in a file of its own, gone when the test ends.
class TraceFile {
 public:
  explicit TraceFile(const std::string& text)
      : path(testing::TempDir() + "sextant_trace_" + std::to_string(getpid())) {
    std::ofstream(path, std::ios::binary) << text;
  }
  ~TraceFile() { std::filesystem::remove(path); }
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  const std::string path;
};

std::vector<Request> azure(const std::string& text) {
  return read_trace(TraceFile(text).path, "azure");
}
std::vector<Request> mooncake(const std::string& text) {
  return read_trace(TraceFile(text).path, "mooncake");
}

template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::string azure_error(const std::string& text) {
  return error_of([&] { azure(text); });
}

// 18:17:03.9799600 to 18:17:04.0319600 is 52 ms.
TEST(AzureTrace, RowsRelativeToTheFirst) {
  const std::vector<Request> rows =
      azure(header + "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].arrival.ns, 0);
  EXPECT_EQ(rows[0].prompt_tokens, 4808);
  EXPECT_EQ(rows[0].output_tokens, 10);
  EXPECT_EQ(rows[1].arrival.ns, 52'000'000);
}

TEST(AzureTrace, LineEndsColumnsAndMarksThatMayDiffer) {
  const std::vector<Request> rows = azure(
      "\xEF\xBB\xBFModel,GeneratedTokens,TIMESTAMP,ContextTokens\r\n"
      "a,5,2024-05-10 00:00:00,7\r\n"
      "\r\n"
      "b,6,2024-05-10T00:00:01.5,8");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].prompt_tokens, 7);
  EXPECT_EQ(rows[0].output_tokens, 5);
  EXPECT_EQ(rows[1].arrival.ns, 1'500'000'000);
}

// From 23:59:59.5 on 28 February of a leap year to 00:00:00.5 on 1 March: one day and one second.
TEST(AzureTrace, DaysRollOver) {
  const std::vector<Request> rows = azure(
      header +
      "2024-02-28 23:59:59.5000000,1,1\n2024-02-29 00:00:00.5000000,1,1\n2024-03-01 00:00:00.5000000,1,1\n");
  EXPECT_EQ(rows[1].arrival.ns, 1'000'000'000);
  EXPECT_EQ(rows[2].arrival.ns, 86'401 * 1'000'000'000LL);
}

TEST(AzureTrace, MalformedRowsAreNamedByLine) {
  const std::string row = "2023-11-16 18:17:03.9799600,4808,10\n";
  EXPECT_THAT(azure_error(header + row + "2023-11-16 18:17:04.0,3180"),
              HasSubstr(": line 3: found 2 columns, expected 3"));
  EXPECT_THAT(
      azure_error(header + row + "2023-11-16 18:17:03.9799599,1,1"),
      AllOf(HasSubstr(": line 3: found a timestamp 100 ns before the row above"), HasSubstr("sorted")));
  EXPECT_THAT(azure_error(header + "2023-11-16 18:17:03,-1,1\n"),
              HasSubstr("line 2: found a prompt of -1 tokens"));
  EXPECT_THAT(azure_error(header + "2023-11-16 18:17:03,1,-4\n"), HasSubstr("found an output of -4 tokens"));
  EXPECT_THAT(azure_error(header + "2023-11-16 18:17:03,1.5,4\n"),
              HasSubstr("found \"1.5\" in column ContextTokens"));
  EXPECT_THAT(azure_error(header + "2023-11-16 18:17:03,,4\n"),
              HasSubstr("found \"\" in column ContextTokens"));
  EXPECT_THAT(azure_error(header + "2023-11-16 18:17:03,99999999999999999999,4\n"),
              HasSubstr("ContextTokens"));
}

TEST(AzureTrace, BadTimestamps) {
  for (const char* time :
       {"2023-11-31 18:17:03", "2023-02-29 00:00:00", "2023-11-16 24:00:00", "2023-11-16 18:60:00",
        "2023-11-16 18:17", "2023-11-16 18:17:03.", "2023-11-16 18:17:03+00:00", "16/11/2023 18:17:03",
        "2023-11-16 -1:17:03", "2023-11-16 18:17:03.0123456789", ""})
    EXPECT_THAT(azure_error(header + time + ",1,1\n"), AllOf(HasSubstr("line 2: "), HasSubstr("timestamp")))
        << time;
}

TEST(AzureTrace, HeaderAndEmptyFiles) {
  EXPECT_THAT(azure_error("TIMESTAMP,ContextTokens\n"), HasSubstr("line 1: found no column GeneratedTokens"));
  EXPECT_THAT(azure_error(header), HasSubstr("found no requests"));
  EXPECT_THAT(azure_error(""), HasSubstr("found no requests"));
  EXPECT_THAT(error_of([] { read_trace("/nowhere/x.csv", "azure"); }), HasSubstr("/nowhere/x.csv"));
  EXPECT_THAT(error_of([] { read_trace("/nowhere/x.csv", "gpt"); }),
              HasSubstr("azure, burstgpt, mooncake or sharegpt"));
}

// Rows without tokens stay: the engine rejects them, and the run counts it.
TEST(AzureTrace, RowsWithoutTokensStay) {
  const std::vector<Request> rows = azure(header + "2023-11-16 18:17:03,0,1\n2023-11-16 18:17:03,1,0\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].prompt_tokens, 0);
  EXPECT_EQ(rows[1].output_tokens, 0);
}

// BurstGPT counts seconds from the beginning of its recording, whole or not; columns are found by name.
TEST(BurstGptTrace, Rows) {
  const std::string head = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n";
  const auto read = [&](const std::string& rows) {
    return read_trace(TraceFile(head + rows).path, "burstgpt");
  };
  const std::vector<Request> rows = read(
      "5,ChatGPT,472,18,490,Conversation log\n45.25,GPT-4,1087,230,1317,API log\n45.25,GPT-4,9,0,9,API "
      "log\n");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].arrival.ns, 0);
  EXPECT_EQ(rows[0].prompt_tokens, 472);
  EXPECT_EQ(rows[1].arrival.ns, 40'250'000'000);
  EXPECT_EQ(rows[1].output_tokens, 230);
  EXPECT_EQ(rows[2].output_tokens, 0);
  EXPECT_THAT(error_of([&] { read("-5,a,1,1,2,b\n"); }),
              AllOf(HasSubstr("line 2: found the timestamp \"-5\""), HasSubstr("seconds")));
  EXPECT_THAT(error_of([&] { read("7,a,1,1,2,b\n6,a,1,1,2,b\n"); }), HasSubstr("line 3: found a timestamp"));
  EXPECT_THAT(error_of([&] { read("nan,a,1,1,2,b\n"); }), HasSubstr("timestamp"));
  EXPECT_THAT(error_of([] { read_trace(TraceFile("Timestamp,Request tokens\n").path, "burstgpt"); }),
              HasSubstr("found no column Response tokens"));
}

std::vector<Request> sharegpt(const std::string& text, double characters_per_token = 4) {
  return read_trace(TraceFile(text).path, "sharegpt", characters_per_token);
}

std::string array(const std::string& elements) {
  std::string text = "[";
  return text.append(elements).append("]");
}

std::string said(int characters) {
  return R"({"from": "human", "value": ")" + std::string(static_cast<std::size_t>(characters), 'x') + R"("})";
}

std::string conversation(const std::vector<int>& characters) {
  std::string texts;
  for (const int count : characters) texts += (texts.empty() ? "" : ", ") + said(count);
  return R"({"id": "a", "conversations": [)" + texts + "]}";
}

// At 4 characters a token 41 characters are 11 tokens and 16 are 4. Of the others one has a single text, one
// a prompt of 3 tokens (12 characters), one a prompt of 1025, one 1024 + 1025 tokens: none is used.
TEST(ShareGptTrace, FirstTwoTextsByTheTokenRule) {
  std::string conversations = conversation({41, 16, 999});
  for (const std::vector<int>& characters :
       {std::vector<int>{41}, {12, 16}, {4100, 16}, {4096, 4100}, {4096, 4096}})
    conversations.append(",").append(conversation(characters));
  const std::vector<Request> rows = sharegpt(array(conversations));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].prompt_tokens, 11);
  EXPECT_EQ(rows[0].output_tokens, 4);
  EXPECT_EQ(rows[1].prompt_tokens, 1024);
  EXPECT_EQ(rows[1].output_tokens, 1024);
}

// Sixteen characters of three bytes each are 4 tokens, not 12; keys of other objects named "value" do not
// count.
TEST(ShareGptTrace, CountsCharactersNotBytes) {
  std::string text;
  for (int i = 0; i < 16; ++i) text += "\xE4\xBD\xA0";
  const std::string one = R"({"from": "gpt", "markdown": {"value": "y"}, "value": ")" + text + R"("})";
  const std::vector<Request> rows = sharegpt(R"([{"value": "zzz", "conversations": [)" + one + "," + one +
                                             R"(], "tags": [{"value": "q"}]}])");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].prompt_tokens, 4);
  EXPECT_EQ(rows[0].output_tokens, 4);
}

TEST(ShareGptTrace, BadFiles) {
  EXPECT_THAT(error_of([] { sharegpt("[]"); }), HasSubstr("found no usable one among 0 conversations"));
  EXPECT_THAT(error_of([] { sharegpt(array(conversation({1, 1}))); }), HasSubstr("among 1 conversations"));
  EXPECT_THAT(error_of([] { sharegpt("{}"); }), HasSubstr("found no array"));
  EXPECT_THAT(error_of([] { sharegpt("3"); }), HasSubstr("found no array"));
  EXPECT_THAT(error_of([] { sharegpt(R"([{"id": )"); }), HasSubstr("byte "));
  EXPECT_THAT(error_of([] {
                sharegpt(array(conversation({41, 16})), 0);
              }),
              HasSubstr("characters_per_token"));
}

TEST(MooncakeTrace, Rows) {
  const std::vector<Request> rows =
      mooncake(R"({"timestamp": 1000, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]})"
               "\n"
               R"({"timestamp": 4000, "input_length": 10, "output_length": 1, "hash_ids": [46]})");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].arrival.ns, 0);
  EXPECT_EQ(rows[0].prompt_tokens, 6758);
  EXPECT_EQ(rows[0].output_tokens, 500);
  EXPECT_THAT(*rows[0].prompt_blocks.names, ElementsAre(0, 1, 2));
  EXPECT_EQ(rows[0].prompt_blocks.hash_block_tokens, 512);
  // Three names reach 1536 tokens of the 6758; the one name of the second prompt has but 10 to name.
  EXPECT_EQ(rows[0].prompt_blocks.named_tokens, 1536);
  EXPECT_EQ(rows[1].prompt_blocks.named_tokens, 10);
  EXPECT_EQ(rows[1].arrival.ns, 3'000'000'000);
}

TEST(MooncakeTrace, MalformedRowsAreNamedByLine) {
  const std::string row = R"({"timestamp": 10, "input_length": 1, "output_length": 1, "hash_ids": []})"
                          "\n";
  const auto error = [&](const std::string& text) { return error_of([&] { mooncake(row + text); }); };
  EXPECT_THAT(error(R"({"timestamp": 11, "input_len)"), HasSubstr(": line 2"));
  EXPECT_THAT(error(R"({"timestamp": 11, "input_length": 1})"),
              AllOf(HasSubstr("line 2"), HasSubstr("output_length")));
  EXPECT_THAT(error(R"({"timestamp": 9, "input_length": 1, "output_length": 1})"),
              HasSubstr("line 2: found a timestamp"));
  EXPECT_THAT(error(R"({"timestamp": 11, "input_length": -1, "output_length": 1})"),
              HasSubstr("line 2: found a prompt"));
  EXPECT_THAT(error(R"({"timestamp": 11, "input_length": 1, "output_length": 1, "hash_ids": ["a"]})"),
              AllOf(HasSubstr("line 2"), HasSubstr("hash_ids")));
}

/// A workload over a trace of three requests at 0, 1 and 3 s.
class TraceSource : public testing::Test {
 protected:
  TraceFile file{header + "2023-11-16 18:00:00,10,1\n2023-11-16 18:00:01,20,2\n2023-11-16 18:00:03,30,3\n"};

  Workload workload(const std::string& keys) const {
    return read_workload(JsonValue::parse(
        R"({"trace": {"path": ")" + file.path + R"(", "format": "azure"})" + keys + "}", "test"));
  }
  static std::vector<Request> all(const Workload& workload) {
    const auto source = make_request_source(workload);
    std::vector<Request> requests;
    while (const auto request = source->next()) requests.push_back(*request);
    return requests;
  }
};

TEST_F(TraceSource, ReplaysItsTimesScaled) {
  const std::vector<Request> requests = all(workload(R"(, "time_scale": 0.5)"));
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[1].arrival.ns, 500'000'000);
  EXPECT_EQ(requests[2].arrival.ns, 1'500'000'000);
  EXPECT_EQ(requests[2].prompt_tokens, 30);
}

TEST_F(TraceSource, ReplaysAsManyAsAsked) {
  EXPECT_EQ(all(workload(R"(, "num_prompts": 2)")).size(), 2u);
  EXPECT_THAT(error_of([&] { all(workload(R"(, "num_prompts": 4)")); }),
              HasSubstr("found 3 requests, expected the 4 of num_prompts"));
}

TEST_F(TraceSource, RepeatsItsLengthsAtDrawnTimes) {
  const std::vector<Request> requests = all(workload(R"(, "request_rate": 10, "num_prompts": 7)"));
  std::vector<std::int64_t> prompts;
  for (const Request& request : requests) prompts.push_back(request.prompt_tokens);
  EXPECT_THAT(prompts, ElementsAre(10, 20, 30, 10, 20, 30, 10));
  for (std::size_t i = 1; i < requests.size(); ++i) EXPECT_GT(requests[i].arrival, requests[i - 1].arrival);
}

TEST_F(TraceSource, ClosedLoopLeavesTheTimesToTheCaller) {
  for (const Request& request : all(workload(R"(, "max_concurrency": 2)"))) EXPECT_EQ(request.arrival.ns, 0);
}

TEST_F(TraceSource, IsReadOnceWhereLoadedBefore) {
  Workload loaded = workload("");
  load_trace(loaded);
  EXPECT_EQ(loaded.num_prompts, 3);
  std::filesystem::remove(file.path);
  EXPECT_EQ(all(loaded).size(), 3u);
}

// 200,000 rows; a million are meant to take about a second, so these 0.2 s: five times that fails here.
TEST(AzureTrace, LongTracesAreReadQuickly) {
  std::string text = header;
  for (int i = 0; i < 200'000; ++i) text += "2023-11-16 18:17:03.9799600,4808,10\r\n";
  const TraceFile file(text);
  const std::clock_t start = std::clock();
  EXPECT_EQ(read_trace(file.path, "azure").size(), 200'000u);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  RecordProperty("milliseconds", static_cast<int>(seconds * 1e3));
  EXPECT_LT(seconds, 1);
}

/// The published traces, where they are at hand.
class PublishedTrace : public testing::Test {
 protected:
  static std::string folder() {
    const char* shared = std::getenv("SEXTANT_SHARED");
    return (shared != nullptr ? std::string(shared) : std::string(SEXTANT_SOURCE_DIR) + "/../shared") +
           "/data/traces/";
  }
  void check(const std::string& name, const std::string& format, std::size_t rows, std::int64_t prompt,
             std::int64_t output, std::int64_t last_ns, std::size_t blocks = 0) {
    if (!std::filesystem::exists(folder() + name)) GTEST_SKIP() << "no " << folder() + name;
    const std::vector<Request> requests = read_trace(folder() + name, format);
    std::int64_t prompts = 0, outputs = 0;
    std::size_t hashes = 0;
    for (const Request& request : requests) {
      prompts += request.prompt_tokens;
      outputs += request.output_tokens;
      if (request.prompt_blocks.names) hashes += request.prompt_blocks.names->size();
    }
    EXPECT_EQ(requests.size(), rows);
    EXPECT_EQ(prompts, prompt);
    EXPECT_EQ(outputs, output);
    EXPECT_EQ(requests.back().arrival.ns, last_ns);
    EXPECT_EQ(hashes, blocks);
  }
};

// zcat FILE | tr -d '\r' | awk -F, 'NR>1{n++;p+=$2;o+=$3} END{print n,p,o}' gives 19366 22361870 4088665;
// first row 18:15:46.6805900, last 19:14:08.4025270: 58 min 21.721937 s = 3501.721937 s.
TEST_F(PublishedTrace, AzureConversation) {
  check("AzureLLMInferenceTrace_conv.csv.gz", "azure", 19'366, 22'361'870, 4'088'665, 3'501'721'937'000);
}

// The same gives 8819 18059974 245896; from 18:17:03.9799600 to 19:14:19.9280160: 57 min 15.948056 s =
// 3435.948056 s.
TEST_F(PublishedTrace, AzureCode) {
  check("AzureLLMInferenceTrace_code.csv.gz", "azure", 8'819, 18'059'974, 245'896, 3'435'948'056'000);
}

// Counted with Python's json module: 12,031 rows, first timestamp 0 and last 3,536,999 ms, 288,500 hash ids.
TEST_F(PublishedTrace, MooncakeConversation) {
  check("mooncake_conversation_trace.jsonl.gz", "mooncake", 12'031, 144'793'823, 4'122'048, 3'536'999'000'000,
        288'500);
}

}  // namespace
}  // namespace sextant
