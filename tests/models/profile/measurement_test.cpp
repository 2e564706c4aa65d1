#include "models/profile/measurement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

Measurement read(const std::string& text) {
  return read_measurement(JsonValue::parse(text, "rows"));
}

std::string message(const std::string& text) {
  try {
    read(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

// One row of every kind, in the order in which it is written.
const std::vector<std::string> rows = {
    R"({"kind":"gemm","gpu":"g","dtype":"w4a16","m":1,"n":4096,"k":8192,"us":26.5,"source":"s"})",
    R"({"kind":"moe","gpu":"g","dtype":"int4_wo","tokens":8,"hidden":2048,"intermediate":768,"experts":128,"topk":8,"tp":1,"ep":2,"distribution":"balanced","us":9.5,"source":"s"})",
    R"({"kind":"attention_prefill","gpu":"g","new_tokens":512,"past_tokens":0,"heads":32,"kv_heads":8,"head_dim":128,"batch":2,"dtype":"bf16","kv_dtype":"fp8","us":9.5,"source":"s"})",
    R"({"kind":"attention_decode","gpu":"g","context":4096,"heads":32,"kv_heads":8,"head_dim":64,"batch":2,"dtype":"bf16","kv_dtype":"bf16","window":128,"us":9.5,"source":"s"})",
    R"({"kind":"elementwise","gpu":"g","op":"rmsnorm","tokens":8,"width":4096,"us":2.5,"source":"s","note":"n"})",
    R"({"kind":"copy","gpu":"g","direction":"h2d","bytes":1024.0,"us":2.5,"source":"s"})",
    R"({"kind":"collective","gpu":"g","op":"all_reduce","ranks":4,"nodes":1,"link":"nvlink","bytes":1024.0,"us":9.5,"dtype":"half","algo":"ring","proto":"ll","impl":"nccl","nvls":true,"gdr":false,"channels":4,"graph":true,"in_place":true,"source":"s"})",
    R"({"kind":"p2p","gpu":"g","ranks":2,"nodes":2,"link":"roce","bytes":65536.0,"us":31.5,"gdr":true,"pair":"0-1","channels":2,"both_ways":true,"graph":false,"source":"s"})",
    R"({"kind":"rdma","op":"send","test":"bw","bytes":65536.0,"qps":1,"gbps":97.85,"device":"mlx5_0","mtu":4096,"rate_gbps":100.0,"source":"s"})",
    R"({"kind":"tcp","streams":8,"gbps":198.0,"source":"s"})",
    R"({"kind":"power","gpu":"g","watts_limit":300.0,"work":"decode","relative_speed":0.96,"source":"s"})",
    R"({"kind":"step","gpu":"g","model":"llama-3.1-8b","weights":"bf16","kv":"bf16","tp":1,"pp":2,"phase":"decode","batch":8,"context":1024,"microbatches":2,"ms":11.5,"stage_ms":[5.5,6.5],"engine":"vllm-0.19","graph":true,"source":"s"})",
    R"({"kind":"serving","scenario":{"model":"m"},"measured":{"mean_ttft_ms":57.5},"source":"s"})",
    R"({"kind":"requests","scenario":"a.json","path":"b.jsonl","source":"s"})",
    R"({"kind":"mamba","gpu":"g","anything":1,"source":"s"})",
    R"({"kind":"context","host":"h","driver":"580"})",
    R"({"kind":"mla_prefill","gpu":"g","new_tokens":512,"past_tokens":0,"heads":16,"batch":2,"dtype":"bf16","kv_dtype":"fp8","module":false,"tp":8,"us":9.5,"source":"s"})",
    R"({"kind":"mla_decode","gpu":"g","context":4096,"heads":16,"batch":2,"dtype":"bf16","kv_dtype":"fp8","module":true,"projections":"fp8_block","tp":1,"us":9.5,"source":"s"})",
    R"({"kind":"power","gpu":"g","watts_limit":300.0,"work":"tensor","relative_speed":0.64,"relative_to_watts":500.0,"clock_mhz":1012.0,"watts":299.5,"source":"s"})",
    R"({"kind":"overlap","gpu":"g","op":"sendrecv","ranks":2,"nodes":1,"link":"nvlink","bytes":1024.0,"channels":8,"priority":"high","dtype":"bf16","m":16,"n":8192,"k":28672,"collective_us_alone":9.5,"collective_us_beside":11.5,"gemm_us_alone":110.5,"gemm_us_beside":120.5,"source":"s"})",
};

TEST(Measurement, EveryKindSurvivesReadingAndWriting) {
  // Key order is the writer's; OtherRow keeps its text with sorted keys, so compare after a second pass.
  for (const std::string& row : rows) {
    const std::string written = write_measurement(read(row));
    EXPECT_EQ(JsonValue::parse(written, "a").dump(), JsonValue::parse(row, "b").dump());
    EXPECT_EQ(write_measurement(read(written)), written);
  }
}

TEST(Measurement, BytesThatAreNoUtf8AreReplacedInNames) {
  Measurement measurement = read(rows[0]);
  measurement.note =
      "a\xC0"
      "b";
  EXPECT_EQ(read(write_measurement(measurement)).note,
            "a\uFFFD"
            "b");
}

TEST(Measurement, FillsTheRow) {
  const Measurement decode = read(rows[3]);
  EXPECT_EQ(decode.gpu, "g");
  EXPECT_EQ(decode.source, "s");
  const auto& row = std::get<AttentionDecodeRow>(decode.row);
  EXPECT_EQ(row.context, 4096);
  EXPECT_EQ(row.window, 128);
  EXPECT_EQ(row.us, 9.5);
  const auto collective = std::get<CollectiveRow>(read(rows[6]).row);
  EXPECT_EQ(collective.nvls, true);
  EXPECT_EQ(collective.gdr, false);
  EXPECT_EQ(collective.channels, 4);
  EXPECT_TRUE(collective.forced());
  EXPECT_EQ(std::get<PointToPointRow>(read(rows[7]).row).pair, "0-1");
  EXPECT_EQ(std::get<StepRow>(read(rows[11]).row).stage_ms, (std::vector<double>{5.5, 6.5}));
  EXPECT_EQ(std::get<ServingRow>(read(rows[12]).row).scenario, R"({"model":"m"})");
  EXPECT_EQ(std::get<OtherRow>(read(rows[15]).row).kind, "context");
}

std::string edited(std::size_t row, const std::string& from, const std::string& to) {
  std::string text = rows[row];
  return text.replace(text.find(from), from.size(), to);
}

// Experts are cut in width unless a row says otherwise; it says so again when written.
TEST(Measurement, AStepMayDivideItsExperts) {
  EXPECT_EQ(std::get<StepRow>(read(rows[11]).row).ep, 1);
  const Measurement divided = read(edited(11, R"("tp":1)", R"("tp":2,"ep":2)"));
  EXPECT_EQ(std::get<StepRow>(divided.row).ep, 2);
  EXPECT_EQ(std::get<StepRow>(read(write_measurement(divided)).row).ep, 2);
  EXPECT_EQ(write_measurement(read(rows[11])).find("\"ep\""), std::string::npos);
  EXPECT_THAT(message(edited(11, R"("tp":1)", R"("tp":1,"ep":0)")), HasSubstr("rows: ep: found 0"));
}

TEST(Measurement, OnlyAnMlaModuleHasProjections) {
  EXPECT_THAT(message(edited(17, R"("projections":"fp8_block",)", "")),
              HasSubstr("rows: expected the key 'projections' of a whole module"));
  EXPECT_THAT(message(edited(17, R"("module":true)", R"("module":false)")),
              HasSubstr(R"(rows: projections: found "fp8_block", expected none without a module)"));
}

TEST(Measurement, RefusesBadRows) {
  EXPECT_THAT(message(edited(0, "26.5", "0")), HasSubstr("rows: us: found 0, expected a number above 0"));
  EXPECT_THAT(message(edited(0, "26.5", "-3")), HasSubstr("rows: us: found -3, expected a number above 0"));
  EXPECT_THAT(message(edited(0, "26.5", "NaN")), HasSubstr("not valid json"));
  EXPECT_THAT(message(edited(0, "26.5", "\"26.5\"")),
              HasSubstr("rows: us: found \"26.5\", expected a number"));
  EXPECT_THAT(message(edited(0, "\"m\":1", "\"m\":1.5")),
              HasSubstr("rows: m: found 1.5, expected a whole number"));
  EXPECT_THAT(message(edited(0, "\"m\":1", "\"m\":0")),
              HasSubstr("rows: m: found 0, expected a whole number of at least 1"));
  EXPECT_THAT(message(edited(0, "gemm", "gem")),
              HasSubstr("rows: kind: found \"gem\", expected one of gemm, moe"));
  EXPECT_THAT(message(edited(0, "gemm", "gem")), HasSubstr("did you mean 'gemm'"));
  EXPECT_THAT(message(edited(0, "w4a16", "w4a15")), HasSubstr("rows: dtype: found \"w4a15\""));
  EXPECT_THAT(message(edited(0, "\"source\"", "\"soruce\"")),
              HasSubstr("found the unknown key 'soruce', did you mean 'source'"));
  EXPECT_THAT(message(edited(3, "\"window\"", "\"windw\"")),
              HasSubstr("found the unknown key 'windw', did you mean 'window'"));
  EXPECT_THAT(message(edited(0, "\"gpu\":\"g\",", "")),
              HasSubstr("expected the key 'gpu', which is missing"));
  EXPECT_THAT(message(edited(7, "\"ranks\":2", "\"ranks\":3")),
              HasSubstr("rows: ranks: found 3, expected 2"));
  EXPECT_THAT(message(edited(8, "\"gbps\":97.85,", "")),
              HasSubstr("expected the key 'gbps' or 'us', both are missing"));
}

TEST(Measurement, ReadsLinesAndNamesTheBadOne) {
  const std::string path = testing::TempDir() + "sextant_measurements.jsonl";
  write_text_file(path, rows[15] + "\n\n" + rows[0] + "\n" + edited(0, "26.5", "0") + "\n");
  std::vector<std::size_t> lines;
  try {
    for_each_measurement(path, [&](const Measurement&, std::size_t line) { lines.push_back(line); });
    FAIL() << "expected an error";
  } catch (const InputError& error) {
    EXPECT_EQ(error.what(), path + ":4: us: found 0, expected a number above 0");
  }
  EXPECT_EQ(lines, (std::vector<std::size_t>{1, 3}));  // the empty line is skipped
  std::remove(path.c_str());
}

}  // namespace
}  // namespace sextant
