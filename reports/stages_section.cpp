#include <fmt/core.h>

#include <algorithm>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"

namespace sextant::detail {
namespace {

std::string layers_text(const LayerRange& layers) {
  return fmt::format("{}-{}", layers.begin, layers.end - 1);
}

std::string gpu_text(const StageReport& stage) {
  const bool one_kind = stage.gpu.find(" + ") == std::string::npos;
  return stage.gpus.size() > 1 && one_kind ? fmt::format("{} x {}", stage.gpus.size(), stage.gpu) : stage.gpu;
}

std::string family_label(Family family) {
  std::string label = to_string(family);
  if (const std::size_t at = label.find('_'); at != std::string::npos) label[at] = '\n';
  for (char& c : label)
    if (c == '_') c = ' ';
  return label;
}

}  // namespace

std::string stages_section(const Candidate& best, TextStyle style) {
  const bool one_kind = std::all_of(best.stages.begin(), best.stages.end(), [&](const StageReport& stage) {
    return gpu_text(stage) == gpu_text(best.stages.front());
  });
  std::string text = heading("Stages", style);
  std::string about = fmt::format(
      "decode: a pass of {} request{} at {} cached tokens each; chunk: a prefill pass of {} tokens; "
      "shares are of the run's duration",
      count_text(best.decode_batch), best.decode_batch == 1 ? "" : "s", count_text(best.decode_context),
      count_text(best.chunk_tokens));
  if (one_kind && !best.stages.empty()) about = "each on " + gpu_text(best.stages.front()) + "; " + about;
  if (best.layout.dp > 1) about = fmt::format("of the first of {} replicas; {}", best.layout.dp, about);
  text += wrapped(about, "  ", style.width);
  // A column that says the same on every line is left out.
  std::vector<Table::Column> columns = {{"stage"}};
  if (!one_kind) columns.push_back({"GPU", Table::Align::left, true});
  for (const char* header : {"layers", "weights\nGB/GPU", "KV room\nGB/GPU", "KV room\ntokens", "decode\nms",
                             "chunk\nms", "compute\n%", "comm.\n%", "bubble\n%"})
    columns.push_back({header});
  Table table(columns);
  for (std::size_t s = 0; s < best.stages.size(); ++s) {
    const StageReport& stage = best.stages[s];
    std::vector<Table::Cell> row = {std::to_string(s)};
    if (!one_kind) row.emplace_back(gpu_text(stage));
    for (const std::string& cell :
         {layers_text(stage.layers), gigabytes_text(stage.memory.budget.weights),
          gigabytes_text(stage.memory.budget.for_kv()), count_text(stage.kv_tokens),
          number_text(stage.decode_pass_ms), number_text(stage.chunk_pass_ms),
          percent_text(stage.shares.compute), percent_text(stage.shares.communication),
          percent_text(stage.shares.bubble)})
      row.emplace_back(cell);
    table.add(row);
  }
  return text + table.text(style);
}

std::string hops_section(const Candidate& best, TextStyle style) {
  Table table({{"hop", Table::Align::left},
               {"route", Table::Align::left, true},
               {"decode\nms"},
               {"decode\nmessage"},
               {"chunk\nms"},
               {"chunk\nmessage"},
               {"busy\n%"}});
  for (std::size_t s = 0; s + 1 < best.stages.size(); ++s) {
    const StageReport& stage = best.stages[s];
    table.add({fmt::format("{} -> {}", s, s + 1), stage.hop, number_text(stage.decode_hop_ms),
               bytes_text(stage.decode_hop_bytes), number_text(stage.chunk_hop_ms),
               bytes_text(stage.chunk_hop_bytes), percent_text(stage.shares.hop_busy)});
  }
  return table.empty() ? "" : heading("Hops between stages", style) + table.text(style);
}

std::string memory_section(const Candidate& best, double utilisation, TextStyle style) {
  std::vector<Table::Column> columns = {{"stage"},
                                        {"device"},
                                        {fmt::format("usable\nat {:g}", utilisation)},
                                        {"weights"},
                                        {"acti-\nvations"},
                                        {"context"},
                                        {"commu-\nnication"},
                                        {"engine"}};
  columns.push_back({"KV"});
  Table table(columns);
  for (std::size_t s = 0; s < best.stages.size(); ++s) {
    const MemoryBudget& budget = best.stages[s].memory.budget;
    std::vector<Table::Cell> row = {std::to_string(s)};
    for (const double bytes : {budget.device, budget.usable, budget.weights, budget.activations,
                               budget.context, budget.communication, budget.engine})
      row.emplace_back(gigabytes_text(bytes));
    row.emplace_back(gigabytes_text(budget.for_kv()), budget.fits() ? Tone::good : Tone::bad);
    table.add(row);
  }
  return heading("Memory per GPU (GB = 10^9 bytes; the tightest GPU of each stage)", style) +
         table.text(style) +
         fmt::format("  one replica caches {} tokens, as many as its tightest stage\n",
                     count_text(best.kv_tokens));
}

std::string families_section(const Candidate& best, TextStyle style) {
  FamilySeconds all;
  for (const StageReport& stage : best.stages) all += stage.decode_families;
  if (!(all.total() > 0)) return "";
  std::vector<Table::Column> columns = {{"stage"}};
  std::vector<Table::Cell> shares = {"share %"};
  for (std::size_t f = 0; f < family_count; ++f) {
    if (!(all.seconds[f] > 0)) continue;
    columns.push_back({family_label(static_cast<Family>(f))});
    shares.emplace_back(percent_text(all.seconds[f] / all.total()));
  }
  columns.push_back({"sum"});
  shares.emplace_back("100");
  Table table(columns);
  for (std::size_t s = 0; s < best.stages.size(); ++s) {
    std::vector<Table::Cell> row = {std::to_string(s)};
    for (std::size_t f = 0; f < family_count; ++f)
      if (all.seconds[f] > 0) row.emplace_back(number_text(1e3 * best.stages[s].decode_families.seconds[f]));
    row.emplace_back(number_text(1e3 * best.stages[s].decode_families.total()));
    table.add(row);
  }
  table.add(shares);
  return heading("Where a decode pass's time goes (ms)", style) + table.text(style);
}

}  // namespace sextant::detail
