#include "calibrate/import/vllm_bench.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "calibrate/import/row_gate.hpp"
#include "calibrate/import/vllm_bench_check.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

constexpr Range counts{0, 1e9}, seconds{0, 1e9};

/// One request as the client saw it; seconds.
struct BenchRequest {
  std::int64_t prompt_tokens = 0, output_tokens = 0;
  double first_token = 0, latency = 0;  ///< since it was sent
  std::optional<double> sent;           ///< on the client's clock
};

/// The lists of --save-detailed, each read once.
class Details {
 public:
  explicit Details(const JsonObject& file) {
    for (std::size_t k = 0; k < keys.size(); ++k)
      if (const auto list = file.find(keys[k])) lists_[k] = list->array();
    const std::size_t expected = lists_[0] ? lists_[0]->size() : 0;
    for (std::size_t k = 0; k < keys.size(); ++k)
      if (lists_[k] && lists_[k]->size() != expected)
        file.at(keys[k]).fail(
            fmt::format("found {} values, expected {}, as in input_lens", lists_[k]->size(), expected));
  }

  bool present() const { return lists_[0] && lists_[1] && lists_[2]; }
  std::size_t size() const { return lists_[0]->size(); }
  bool failed(std::size_t i) const {
    return lists_[5] && !(*lists_[5])[i].is_null() && !(*lists_[5])[i].text().empty();
  }

  /// What the requests that did not fail say.
  detail::BenchSamples samples() const {
    constexpr double ms = 1e3;
    detail::BenchSamples samples;
    for (std::size_t i = 0; i < size(); ++i) {
      if (failed(i)) continue;
      const BenchRequest one = request(i);
      ++samples.requests;
      samples.input_tokens += static_cast<double>(one.prompt_tokens);
      samples.output_tokens += static_cast<double>(one.output_tokens);
      samples.latencies["ttft"].push_back(one.first_token * ms);
      if (!lists_[3]) continue;
      for (const double gap : (*lists_[3])[i].numbers(seconds)) samples.latencies["itl"].push_back(gap * ms);
      samples.latencies["e2el"].push_back(one.latency * ms);
      if (one.output_tokens > 1)
        samples.latencies["tpot"].push_back((one.latency - one.first_token) * ms /
                                            static_cast<double>(one.output_tokens - 1));
    }
    return samples;
  }

  BenchRequest request(std::size_t i) const {
    BenchRequest request;
    request.prompt_tokens = (*lists_[0])[i].integer(counts);
    request.output_tokens = (*lists_[1])[i].integer(counts);
    request.first_token = (*lists_[2])[i].number(seconds);
    request.latency = request.first_token;
    if (lists_[3])
      for (const double gap : (*lists_[3])[i].numbers(seconds)) request.latency += gap;
    if (lists_[4]) request.sent = (*lists_[4])[i].number();
    return request;
  }

 private:
  static constexpr std::array<const char*, 6> keys = {"input_lens", "output_lens", "ttfts",
                                                      "itls",       "start_times", "errors"};
  std::array<std::optional<std::vector<JsonValue>>, keys.size()> lists_;
};

bool is_measured(const std::string& key) {
  if (key == "duration" || key == "request_throughput" || key == "output_throughput" ||
      key == "total_token_throughput")
    return true;
  if (!key.ends_with("_ms") || key.starts_with("std_") || key.starts_with("probe_")) return false;
  for (const char* latency : {"_ttft_ms", "_tpot_ms", "_itl_ms", "_e2el_ms"})
    if (key.ends_with(latency)) return true;
  return false;
}

std::map<std::string, double> measured_metrics(const JsonObject& file) {
  std::map<std::string, double> measured;
  for (const auto& [key, value] : file.entries())
    if (is_measured(key) && !value.is_null()) measured[key] = value.number({0});
  if (measured.empty())
    file.fail("found no metrics, expected those that vllm bench serve --save-result writes");
  return measured;
}

/// Keys of the workload that the file knows; the others stay the scenario's.
void set_traffic(const JsonObject& file, Json& workload) {
  workload.erase("request_rate");
  workload.erase("max_concurrency");
  workload.erase("burstiness");
  if (const auto concurrency = file.find("max_concurrency")) {
    workload["max_concurrency"] = concurrency->integer({1, 1e9});
    const auto rate = file.find("request_rate");
    if (!rate || rate->is_text()) return;  // "inf": a closed loop
  }
  if (const auto rate = file.find("request_rate")) workload["request_rate"] = rate->json();
  if (workload.contains("request_rate") && workload["request_rate"].is_number())
    if (const auto burstiness = file.find("burstiness"))
      workload["burstiness"] = burstiness->number({1e-6, 1e6});
}

std::string trace_text(const std::vector<BenchRequest>& requests, double begin) {
  constexpr double ms = 1e3;
  std::string text;
  for (const BenchRequest& request : requests)
    text += Json{{"timestamp", std::llround((request.sent.value_or(begin) - begin) * ms)},
                 {"input_length", request.prompt_tokens},
                 {"output_length", request.output_tokens}}
                .dump() +
            "\n";
  return text;
}

std::string log_text(const std::vector<BenchRequest>& requests, double begin) {
  std::string text;
  for (const BenchRequest& request : requests) {
    const double sent = *request.sent - begin;
    text += Json{{"input_toks", request.prompt_tokens},
                 {"output_toks", request.output_tokens},
                 {"queued_ts", sent},
                 {"first_token_ts", sent + request.first_token},
                 {"last_token_ts", sent + request.latency}}
                .dump() +
            "\n";
  }
  return text;
}

/// Requests in the order in which they were sent; failed ones are counted and left out.
std::vector<BenchRequest> read_requests(const Details& details, RowGate& gate) {
  std::vector<BenchRequest> requests;
  for (std::size_t i = 0; i < details.size(); ++i) {
    const std::string place = fmt::format("input_lens[{}]", i);
    if (details.failed(i)) {
      gate.leave_out("failed request", {0, place});
      continue;
    }
    requests.push_back(details.request(i));
    if (requests.back().prompt_tokens == 0 || requests.back().output_tokens == 0) {
      requests.pop_back();
      gate.leave_out("request without tokens", {0, place});
    }
  }
  std::stable_sort(requests.begin(), requests.end(), [](const BenchRequest& a, const BenchRequest& b) {
    return a.sent.value_or(0) < b.sent.value_or(0);
  });
  return requests;
}

/// Makes the file names in a part of a scenario under `key` absolute.
void make_absolute(const std::string& key, const std::filesystem::path& folder, nlohmann::json& part) {
  if (part.is_structured()) {
    for (auto& [name, value] : part.items()) make_absolute(part.is_array() ? key : name, folder, value);
    return;
  }
  if (!part.is_string()) return;
  const auto name = part.get<std::string>();
  const bool is_config = name.find('/') != std::string::npos || name.ends_with(".json");
  if ((key == "name" && is_config) || key == "path" || key == "lengths")
    part = std::filesystem::absolute(folder / name).lexically_normal().string();
  if (key == "model" && is_config)  // a draft model's path is the command's own
    part = std::filesystem::absolute(name).lexically_normal().string();
}

/// The scenario as a row beside the output holds it: what it names is found from there as well.
JsonValue movable(const JsonValue& document, const ForeignOrigin& origin) {
  const std::filesystem::path from = std::filesystem::path(origin.scenario).parent_path();
  const std::filesystem::path to = std::filesystem::path(origin.details).parent_path();
  if (!origin.details.empty() && std::filesystem::absolute(from) == std::filesystem::absolute(to))
    return document;
  auto moved = std::make_shared<nlohmann::json>(document.json());
  for (const char* part : {"model", "draft", "engine", "workload"})
    if (moved->contains(part)) make_absolute(part, from, (*moved)[part]);
  const nlohmann::json* root = moved.get();
  return JsonValue(std::move(moved), root, std::make_shared<const std::string>(document.file()),
                   document.path());
}

}  // namespace

namespace detail {

JsonValue deployed_scenario(const ForeignOrigin& origin) {
  if (origin.scenario.empty())
    throw InputError(
        "import: expected --scenario FILE: what was deployed, as a scenario with a fixed deployment");
  const JsonValue document = JsonValue::read(origin.scenario);
  const JsonValue deployment = document.object().at("deployment");
  if (deployment.is_text()) deployment.fail("found \"search\", expected a fixed layout: what was deployed");
  document.object().at("workload").object();
  return movable(document, origin);
}

}  // namespace detail

void import_vllm_bench(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                       const MeasurementSink& sink) {
  const JsonObject file = JsonValue::read(path).object();
  RowGate gate(path, origin.gpu, report, sink);
  Json scenario = detail::deployed_scenario(origin).json();
  ServingRow row{"", measured_metrics(file)};
  detail::expect_rates_agree(file);
  Json& workload = scenario["workload"];
  set_traffic(file, workload);
  if (const auto prompts = file.find("num_prompts")) workload["num_prompts"] = prompts->integer({1, 1e9});
  std::string note = "workload as sent; lengths are the scenario's";
  const Details details(file);
  if (details.present()) detail::expect_requests_agree(file, details.samples());
  std::vector<BenchRequest> requests;
  if (details.present() && !origin.details.empty()) requests = read_requests(details, gate);
  const std::string stem = std::filesystem::path(path).stem().string();
  const bool timed = !requests.empty() && requests.front().sent.has_value();
  const double begin = timed ? *requests.front().sent : 0;
  if (!requests.empty()) {
    const std::string trace = fmt::format("{}.{}.trace.jsonl", origin.details, stem);
    write_text_file(trace, trace_text(requests, begin));
    for (const char* key : {"prompt", "output", "time_scale", "num_prompts"}) workload.erase(key);
    workload["trace"] = {{"path", std::filesystem::path(trace).filename().string()}, {"format", "mooncake"}};
    const bool closed = workload.contains("max_concurrency");
    if (timed && !closed) {
      workload.erase("request_rate");
      workload.erase("burstiness");
    } else {
      workload["num_prompts"] = requests.size();
    }
    note = timed && !closed ? "every request as it was sent" : "lengths as sent";
  }
  row.scenario = scenario.dump();
  const std::string source = detail::source_of("vllm bench serve", path);
  gate.pass_unjudged({"", source, note, row});
  if (timed) {
    const std::string log = fmt::format("{}.{}.requests.jsonl", origin.details, stem);
    write_text_file(log, log_text(requests, begin));
    gate.pass_unjudged(
        {"", source, note, RequestsRow{row.scenario, std::filesystem::path(log).filename().string()}});
  }
  gate.finish();
}

}  // namespace sextant
