#include "calibrate/import/vllm_log.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "calibrate/import/row_gate.hpp"
#include "calibrate/import/vllm_bench.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

constexpr std::int64_t usual_block = 16;

/// The number after `words` in a line, thousands separators allowed; nullopt where the words do not stand.
std::optional<double> number_after(std::string_view line, std::string_view words, const std::string& where) {
  const std::size_t at = line.find(words);
  if (at == std::string_view::npos) return std::nullopt;
  std::string digits;
  for (const char c : line.substr(at + words.size())) {
    if (c == ',') continue;
    if ((c < '0' || c > '9') && c != '.') break;
    digits += c;
  }
  if (digits.ends_with('.')) digits.pop_back();
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size())
    throw InputError(fmt::format("{}: found no number after '{}', expected one", where, words));
  return value;
}

/// What one data-parallel rank reported, every ten seconds by vLLM's default.
struct EngineReports {
  std::vector<double> generated;  ///< tokens/s

  /// Mean from the first to the last report that generated anything.
  std::optional<double> mean() const {
    const auto busy = [](double rate) { return rate > 0; };
    const auto first = std::find_if(generated.begin(), generated.end(), busy);
    const auto last = std::find_if(generated.rbegin(), generated.rend(), busy).base();
    if (first == generated.end()) return std::nullopt;
    double sum = 0;
    for (auto rate = first; rate != last; ++rate) sum += *rate;
    return sum / static_cast<double>(last - first);
  }
};

/// What a log says, line by line.
struct VllmLog {
  std::optional<double> kv_tokens;
  std::map<int, EngineReports> engines;
  std::size_t reports = 0;

  void read(std::string_view line, const std::string& where) {
    if (const auto tokens = number_after(line, "GPU KV cache size: ", where))
      kv_tokens = std::min(kv_tokens.value_or(*tokens), *tokens);
    const auto rate = number_after(line, "Avg generation throughput: ", where);
    if (!rate) return;
    const auto engine =
        line.find("Engine 0") == std::string_view::npos ? std::nullopt : number_after(line, "Engine ", where);
    engines[static_cast<int>(engine.value_or(0))].generated.push_back(*rate);
    ++reports;
  }
};

}  // namespace

void import_vllm_log(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                     const MeasurementSink& sink) {
  const JsonValue scenario = detail::deployed_scenario(origin);
  VllmLog log;
  for_each_line(path, [&](std::string_view line, std::size_t number) {
    log.read(line, fmt::format("{}:{}", path, number));
  });
  std::int64_t block = usual_block;
  if (const auto engine = scenario.object().find("engine"))
    block = engine->object().integer_or("block_size", usual_block, {1, 4096});
  ServingRow row{scenario.dump(), {}};
  if (log.kv_tokens) row.measured["total_kv_blocks"] = *log.kv_tokens / static_cast<double>(block);
  double throughput = 0;
  for (const auto& [unused, engine] : log.engines) throughput += engine.mean().value_or(0);
  if (throughput > 0) row.measured["output_throughput"] = throughput;
  if (row.measured.empty())
    throw InputError(path +
                     ": found neither a KV cache size nor a throughput, expected the log of vllm serve");
  RowGate gate(path, origin.gpu, report, sink);
  gate.pass_unjudged(
      {"", detail::source_of("vllm serve", path),
       fmt::format("throughput is the mean of {} reports of {} engines", log.reports, log.engines.size()),
       row});
  gate.finish();
}

}  // namespace sextant
