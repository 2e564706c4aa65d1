#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "calibrate/import/vllm_bench.hpp"
#include "calibrate/import/vllm_log.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

namespace fs = std::filesystem;

constexpr auto deployed = R"({"name": "d", "deployment": {"tp": 1}, "engine": {"block_size": 32},
  "workload": {"request_rate": 9, "num_prompts": 99, "prompt": {"fixed": 5}, "output": {"fixed": 6}}})";

class Vllm : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / (std::string("sextant-vllm-") + test->name() + std::to_string(getpid()));
    fs::create_directories(folder_);
    origin_.scenario = file("deployed.json", deployed);
    origin_.details = (folder_ / "out").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path) << text;
    return path;
  }
  template <class Import>
  std::vector<Measurement> rows(Import import, const std::string& text) {
    std::vector<Measurement> found;
    import(file("r.json", text), origin_, report_, [&](const Measurement& row) { found.push_back(row);
  });
  return found;
} template <class Import>
std::string error(Import import, const std::string& text) {
  try {
    rows(import, text);
    return "accepted";
  } catch (const InputError& refused) {
    return refused.what();
  }
}
fs::path folder_;
ForeignOrigin origin_;
ImportReport report_;
};  // namespace

TEST_F(Vllm, BenchBecomesItsMetricsUnderTheTrafficThatWasSent) {
  const auto found =
      rows(import_vllm_bench, R"({"num_prompts": 7, "request_rate": "inf", "max_concurrency": 4,
    "duration": 2.5, "output_throughput": 40, "mean_ttft_ms": 12, "p99.9_itl_ms": 3, "std_ttft_ms": 1,
    "request_goodput": null, "max_output_tokens_per_s": 9})");
  ASSERT_EQ(found.size(), 1U);
  const auto& row = std::get<ServingRow>(found[0].row);
  // deviations, peaks and what is null are no metrics of a run
  EXPECT_EQ(row.measured,
            (std::map<std::string, double>{
                {"duration", 2.5}, {"output_throughput", 40}, {"mean_ttft_ms", 12}, {"p99.9_itl_ms", 3}}));
  const JsonObject workload = JsonValue::parse(row.scenario, "row").object().at("workload").object();
  EXPECT_EQ(workload.integer("max_concurrency"), 4);  // closed loop: the rate is gone
  EXPECT_FALSE(workload.has("request_rate"));
  EXPECT_EQ(workload.integer("num_prompts"), 7);
  EXPECT_EQ(workload.at("prompt").object().integer("fixed"), 5);  // no details: the scenario's lengths
}

TEST_F(Vllm, DetailsBecomeATraceAndALogInTheOrderOfSending) {
  // sent at 10.5 s, 10 s and 12 s; the third failed
  const auto found = rows(import_vllm_bench, R"({"request_rate": 2, "duration": 3, "input_lens": [30, 20, 10],
    "output_lens": [2, 3, 0], "ttfts": [0.5, 0.25, 0], "itls": [[0.125], [0.125, 0.25], []],
    "start_times": [10.5, 10, 12], "errors": ["", "", "boom"]})");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(report_.left_out.at("failed request").rows, 1);
  const JsonObject workload =
      JsonValue::parse(std::get<ServingRow>(found[0].row).scenario, "row").object().at("workload").object();
  EXPECT_EQ(workload.at("trace").object().text("path"), "out.r.trace.jsonl");
  EXPECT_FALSE(workload.has("request_rate"));  // the trace's own times
  EXPECT_EQ(read_text_file((folder_ / "out.r.trace.jsonl").string()),
            "{\"timestamp\":0,\"input_length\":20,\"output_length\":3}\n"
            "{\"timestamp\":500,\"input_length\":30,\"output_length\":2}\n");
  EXPECT_EQ(std::get<RequestsRow>(found[1].row).path, "out.r.requests.jsonl");
  // first token 0.25 s after sending, last 0.125 + 0.25 s later; the second request half a second on
  EXPECT_EQ(read_text_file((folder_ / "out.r.requests.jsonl").string()),
            "{\"input_toks\":20,\"output_toks\":3,\"queued_ts\":0.0,\"first_token_ts\":0.25,\"last_token_"
            "ts\":0.625}\n"
            "{\"input_toks\":30,\"output_toks\":2,\"queued_ts\":0.5,\"first_token_ts\":1.0,\"last_token_ts\":"
            "1.125}\n");
}

TEST_F(Vllm, BenchRefusesWhatItCannotUse) {
  EXPECT_NE(error(import_vllm_bench, "{}").find("found no metrics"), std::string::npos);
  EXPECT_NE(error(import_vllm_bench,
                  R"({"duration": 1, "input_lens": [1, 2], "output_lens": [1], "ttfts": [1, 2]})")
                .find("output_lens: found 1 values, expected 2"),
            std::string::npos);
  EXPECT_NE(error(import_vllm_bench, R"({"duration": -1})").find("duration"), std::string::npos);
  origin_.scenario = file("search.json", R"({"deployment": "search", "workload": {}})");
  EXPECT_NE(error(import_vllm_bench, R"({"duration": 1})").find("expected a fixed layout"),
            std::string::npos);
  origin_.scenario = "";
  EXPECT_NE(error(import_vllm_bench, R"({"duration": 1})").find("expected --scenario"), std::string::npos);
}

// 100 tokens and 10 requests in 5 s are 20 tokens/s and 2 requests/s; with 300 tokens of prompts 80 tokens/s.
TEST_F(Vllm, BenchRefusesRatesThatAreNotWhatWasCounted) {
  const auto refused = [&](const std::string& rates) {
    return error(import_vllm_bench, R"({"completed": 10, "total_input_tokens": 300,
      "total_output_tokens": 100, )" + rates +
                                        "}");
  };
  const std::string agreeing =
      R"("duration": 5, "output_throughput": 20, "request_throughput": 2, "total_token_throughput": 80)";
  EXPECT_EQ(refused(agreeing), "accepted");
  EXPECT_NE(
      refused(R"("duration": 5, "output_throughput": 40)")
          .find("output_throughput: found 40, expected 20: total_output_tokens of 100 over the duration "
                "of 5 s"),
      std::string::npos);
  EXPECT_NE(refused(R"("duration": 5, "request_throughput": 4)").find("found 4, expected 2: completed of 10"),
            std::string::npos);
  EXPECT_NE(refused(R"("duration": 5, "total_token_throughput": 20)").find("found 20, expected 80"),
            std::string::npos);
  EXPECT_NE(refused(R"("duration": 0)").find("duration: found 0, expected a number above 0"),
            std::string::npos);
  EXPECT_NE(refused(R"("output_throughput": 20)").find("duration"), std::string::npos);
}

// TTFT 100 and 300 ms: mean 200, 99th percentile 100 + 0.99 x 200 = 298. Gaps of 10, 30 and 20 ms: the first
// request took 100 + 40 ms, 20 ms for each of its two tokens after the first. The third request failed.
TEST_F(Vllm, BenchRefusesStatisticsThatAreNotItsRequests) {
  const auto refused = [&](const std::string& statistics) {
    return error(import_vllm_bench, R"({"duration": 1, "completed": 2, "input_lens": [5, 7, 9],
      "output_lens": [3, 2, 0], "ttfts": [0.1, 0.3, 0], "itls": [[0.01, 0.03], [0.02], []],
      "errors": ["", "", "boom"], )" + statistics +
                                        "}");
  };
  EXPECT_EQ(refused(R"("mean_ttft_ms": 200, "p99_ttft_ms": 298, "median_itl_ms": 20, "mean_tpot_ms": 20,
                       "mean_e2el_ms": 230, "total_input_tokens": 12, "total_output_tokens": 5,
                       "std_ttft_ms": 7)"),
            "accepted");
  EXPECT_NE(refused(R"("mean_ttft_ms": 0.2)").find("mean_ttft_ms: found 0.2, expected 200"),
            std::string::npos);
  EXPECT_NE(refused(R"("p99_ttft_ms": 200)").find("found 200, expected 298"), std::string::npos);
  EXPECT_NE(refused(R"("median_tpot_ms": 30)").find("found 30, expected 20"), std::string::npos);
  EXPECT_NE(refused(R"("total_output_tokens": 50)").find("found 50, expected 5: the sum of output_lens"),
            std::string::npos);
}

// A row in another folder than the scenario's must still find the files that the scenario names.
TEST_F(Vllm, FilesOfTheScenarioAreFoundFromAnotherFolder) {
  origin_.scenario = file("named.json", R"({"name": "d.json", "deployment": {"tp": 1},
    "model": {"name": "my/config.json"}, "workload": {"request_rate": 9, "lengths": "l.json"}})");
  const auto document = [&] {
    const auto found = rows(import_vllm_bench, R"({"duration": 1})");
    return JsonValue::parse(std::get<ServingRow>(found.at(0).row).scenario, "row").object();
  };
  EXPECT_EQ(document().at("model").object().text("name"), "my/config.json");  // the output is beside it
  origin_.details = (folder_ / "other" / "out").string();
  EXPECT_EQ(document().at("model").object().text("name"), (folder_ / "my/config.json").string());
  EXPECT_EQ(document().at("workload").object().text("lengths"), (folder_ / "l.json").string());
  EXPECT_EQ(document().text("name"), "d.json");
}

TEST_F(Vllm, LogTellsCacheAndThroughput) {
  // two ranks: (10 + 20) / 2 between their first and last busy reports, and 30; fewest tokens 64,000 = 2,000
  // blocks of 32
  const std::string report = "INFO [loggers.py:118] Engine 00";
  const std::string rate = ": Avg prompt throughput: 4.0 tokens/s, Avg generation throughput: ";
  const auto found = rows(import_vllm_log,
                          "INFO [kv_cache_utils.py:775] GPU KV cache size: 64,320 tokens\n"
                          "INFO [kv_cache_utils.py:775] GPU KV cache size: 64,000 tokens\n" +
                              report + "0" + rate + "0.0 tokens/s, Running: 1 reqs\n" + report + "0" + rate +
                              "10.0 tokens/s\n" + report + "1" + rate + "30.0 tokens/s\n" + report + "0" +
                              rate + "20.0 tokens/s\n" + report + "0" + rate + "0.0 tokens/s\n");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(std::get<ServingRow>(found[0].row).measured,
            (std::map<std::string, double>{{"output_throughput", 45}, {"total_kv_blocks", 2000}}));
}

TEST_F(Vllm, LogRefusesWhatIsNone) {
  EXPECT_NE(error(import_vllm_log, "hello\n").find("expected the log of vllm serve"), std::string::npos);
  EXPECT_NE(error(import_vllm_log, "GPU KV cache size: many tokens\n").find(":1: found no number"),
            std::string::npos);
}

}  // namespace sextant
}  // namespace sextant
