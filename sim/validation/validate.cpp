#include "sim/validation/validate.hpp"

#include <fmt/core.h>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "models/profile/measurement_fields.hpp"
#include "sim/validation/kernel_rows.hpp"
#include "sim/validation/link_rows.hpp"
#include "sim/validation/request_log.hpp"
#include "sim/validation/step_rows.hpp"

namespace sextant {
namespace {

/// Words for a row and for what part of its kind it is; microseconds are what most rows measure.
struct RowWords {
  std::string part, shape;
};

RowWords words(const GemmRow& row) {
  return {row.dtype, fmt::format("{} m {} n {} k {}", row.dtype, row.m, row.n, row.k)};
}
RowWords words(const MoeRow& row) {
  return {row.dtype, fmt::format("{} tokens {} hidden {} intermediate {} experts {} top {} tp {} ep {} {}",
                                 row.dtype, row.tokens, row.hidden, row.intermediate, row.experts, row.topk,
                                 row.tp, row.ep, row.distribution)};
}
template <class Row>
RowWords attention_words(const Row& row, const std::string& tokens) {
  return {fmt::format("{}/{}", row.kv_dtype, row.head_dim),
          fmt::format("{} kv {} heads {}/{} of {} batch {} {}{}", row.dtype, row.kv_dtype, row.heads,
                      row.kv_heads, row.head_dim, row.batch, tokens,
                      row.window > 0 ? fmt::format(" window {}", row.window) : "")};
}
RowWords words(const AttentionPrefillRow& row) {
  return attention_words(row, fmt::format("new {} past {}", row.new_tokens, row.past_tokens));
}
RowWords words(const AttentionDecodeRow& row) {
  return attention_words(row, fmt::format("context {}", row.context));
}
RowWords words(const MlaPrefillRow& row) {
  return {row.module ? "module" : "kernel",
          fmt::format("{} kv {} heads {} batch {} new {} past {}", row.dtype, row.kv_dtype, row.heads,
                      row.batch, row.new_tokens, row.past_tokens)};
}
RowWords words(const MlaDecodeRow& row) {
  return {row.module ? "module" : "kernel", fmt::format("{} kv {} heads {} batch {} context {}", row.dtype,
                                                        row.kv_dtype, row.heads, row.batch, row.context)};
}
RowWords words(const ElementwiseRow& row) {
  return {row.op, fmt::format("{} tokens {} width {}", row.op, row.tokens, row.width)};
}
RowWords words(const CopyRow& row) {
  return {row.direction, fmt::format("{} {:.0f} B", row.direction, row.bytes)};
}
RowWords words(const CollectiveRow& row) {
  const std::string op = row.impl == "custom" ? row.op + " custom" : row.op;
  return {op, fmt::format("{} of {} ranks on {} nodes, {}, {:.0f} B", op, row.ranks, row.nodes, row.link,
                          row.bytes)};
}
RowWords words(const PointToPointRow& row) {
  return {row.link, fmt::format("{} on {} nodes, {:.0f} B", row.link, row.nodes, row.bytes)};
}
RowWords words(const OverlapRow& row) {
  return {row.op,
          fmt::format("{} of {} ranks, {}, {:.0f} B, {} channels, beside a GEMM of {} x {} x {}", row.op,
                      row.ranks, row.link, row.bytes,
                      row.channels == 0 ? "its own" : std::to_string(row.channels), row.m, row.n, row.k)};
}
RowWords words(const RdmaRow& row) {
  return {row.op + " " + row.test, fmt::format("{} {} {:.0f} B", row.op, row.test, row.bytes)};
}
RowWords words(const TcpRow& row) {
  return {"", fmt::format("{} streams", row.streams)};
}
RowWords words(const PowerRow& row) {
  return {row.work, fmt::format("{} at {:.0f} W", row.work, row.watts_limit)};
}

/// Predicts the rows of all files one after another and keeps what they share.
class RowByRow {
 public:
  RowByRow(const ValidationOptions& options, Validation& result)
      : options_(options), result_(result), steps_(profiles_) {
    for (const std::string& path : options.profiles) profiles_.add_file(path);
  }

  void add(const std::string& file, const Measurement& measurement, std::size_t line) {
    if (options_.serving.stop != nullptr && options_.serving.stop->load()) throw Interrupted();
    file_ = &file;
    line_ = line;
    measurement_ = &measurement;
    std::visit([this](const auto& row) { row_of(row); }, measurement.row);
  }

  void finish() const { profiles_.expect_all_used(); }

 private:
  std::string where() const { return fmt::format("{}:{}", *file_, line_); }

  Comparison& compare(const std::string& kind, RowWords row, const std::string& quantity, double measured) {
    Comparison comparison;
    comparison.file = *file_;
    comparison.line = line_;
    comparison.kind = kind;
    comparison.gpu = measurement_->gpu;
    comparison.part = std::move(row.part);
    comparison.shape = std::move(row.shape);
    comparison.quantity = quantity;
    comparison.measured = measured;
    result_.comparisons.push_back(std::move(comparison));
    return result_.comparisons.back();
  }

  /// What a profile or a link lacks is why a row is not predicted, not a fault of the row.
  template <class Predict>
  static Outcome attempt(const Predict& predict_row) {
    try {
      return predict_row();
    } catch (const InputError& error) {
      return NotPredicted{error.what()};
    }
  }

  template <class Row>
  Outcome outcome(const Row& row) {
    if constexpr (requires { links_.predict(row, measurement_->gpu); })
      return links_.predict(row, measurement_->gpu);
    else if constexpr (requires { predict(row); })
      return predict(row);
    else
      return predict(row, *profiles_.gpu(measurement_->gpu));
  }

  /// Rows of one measured time, or one figure that nothing predicts.
  template <class Row>
  void row_of(const Row& row) {
    double measured = 0;
    std::string quantity = "us";
    if constexpr (requires { row.relative_speed; }) {
      measured = row.relative_speed;
      quantity = "relative_speed";
    } else if constexpr (std::is_same_v<Row, TcpRow>) {
      measured = row.gbps;
      quantity = "gbps";
    } else if constexpr (std::is_same_v<Row, RdmaRow>) {
      measured = row.gbps ? *row.gbps : row.us.value_or(0);
      quantity = row.gbps ? "gbps" : "us";
    } else if constexpr (std::is_same_v<Row, OverlapRow>) {
      measured = row.gemm_us_beside;
      quantity = "gemm_us_beside";
    } else {
      measured = row.us;
    }
    const Outcome predicted = attempt([&] { return outcome(row); });
    compare(detail::kind_name<Row>(), words(row), quantity, measured).outcome = predicted;
  }

  void row_of(const StepRow& row) {
    if (!row.stage_ms.empty() && row.stage_ms.size() != static_cast<std::size_t>(row.pp))
      throw InputError(fmt::format("{}: stage_ms: found {} times, expected one for each of the {} stages",
                                   where(), row.stage_ms.size(), row.pp));
    const std::string phase =
        row.graph.has_value() && !*row.graph ? row.phase + " without graphs" : row.phase;
    const std::string shape = fmt::format(
        "{} {} kv {} tp {} pp {}{} {} batch {} context {} microbatches {}{}", row.model, row.weights, row.kv,
        row.tp, row.pp, row.ep > 1 ? fmt::format(" ep {}", row.ep) : "", phase, row.batch, row.context,
        row.microbatches, row.engine.empty() ? "" : " " + row.engine);
    PredictedRound round;
    const Outcome outcome = attempt([&]() -> Outcome {
      round = steps_.predict(row, measurement_->gpu);
      return round.round;
    });
    compare("step", {phase, shape}, "ms", row.ms).outcome = outcome;
    for (std::size_t s = 0; s < row.stage_ms.size(); ++s) {
      Comparison& stage =
          compare("step", {"stage_ms", shape}, fmt::format("stage_ms[{}]", s), row.stage_ms[s]);
      stage.headline = false;
      stage.outcome = s < round.stages.size() ? Outcome(round.stages[s]) : outcome;
    }
  }

  void row_of(const ServingRow& row) {
    compare_run("serving", row.scenario, {row.measured.begin(), row.measured.end()});
  }

  void row_of(const RequestsRow& row) {
    compare_run("requests", row.scenario, request_log_metrics(beside(*file_, row.path)));
  }

  void compare_run(const std::string& kind, const std::string& scenario,
                   const std::vector<std::pair<std::string, double>>& measured) {
    std::vector<std::string> metrics;
    for (const auto& [name, value] : measured) metrics.push_back(name);
    const PredictedRun run = predict_run(scenario, where(), metrics, profiles_, options_.serving);
    for (const auto& [name, value] : measured) {
      Comparison& comparison = compare(kind, {name, run.scenario}, name, value);
      comparison.gpu = run.gpu;
      comparison.outcome = run.metrics.at(name);
    }
  }

  void row_of(const OtherRow& row) {
    if (row.kind == "context") return;
    compare(row.kind, {}, "us", 0).outcome = NotPredicted{row.kind + " has no cost model yet"};
  }

  const ValidationOptions& options_;
  Validation& result_;
  ProfileStore profiles_;
  LinkRows links_;
  StepRows steps_;
  const std::string* file_ = nullptr;
  std::size_t line_ = 0;
  const Measurement* measurement_ = nullptr;
};

}  // namespace

namespace {

/// Lines that hold anything.
int count_rows(const std::vector<std::string>& files) {
  int rows = 0;
  for (const std::string& file : files)
    for_each_line(file, [&](std::string_view text, std::size_t) { rows += text.empty() ? 0 : 1; });
  return rows;
}

/// Kernel rows are too quick to be told one by one; a run of a scenario is not.
bool worth_telling(const Measurement& measurement, int done) {
  constexpr int rows_between = 1000;
  return done % rows_between == 0 || std::holds_alternative<ServingRow>(measurement.row) ||
         std::holds_alternative<RequestsRow>(measurement.row);
}

}  // namespace

Validation validate(const std::vector<std::string>& files, const ValidationOptions& options) {
  Validation result;
  result.files = files;
  result.profiles = options.profiles;
  RowByRow rows(options, result);
  const int total = options.progress ? count_rows(files) : 0;
  int done = 0;
  for (const std::string& file : files) {
    const std::size_t before = result.comparisons.size();
    for_each_measurement(file, [&](const Measurement& measurement, std::size_t line) {
      if (options.progress && worth_telling(measurement, done)) options.progress(done, total);
      rows.add(file, measurement, line);
      ++done;
    });
    if (result.comparisons.size() == before)
      throw InputError(fmt::format("{}: found no rows to predict, expected at least one", file));
  }
  rows.finish();
  result.groups = summarise(result.comparisons);
  return result;
}

}  // namespace sextant
