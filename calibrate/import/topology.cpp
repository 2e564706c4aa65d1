#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/row_gate.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
using Words = std::vector<std::string_view>;

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> paths = {
    {{"PIX", "one PCIe bridge"},
     {"PXB", "several PCIe bridges, no host bridge"},
     {"PHB", "a PCIe host bridge"},
     {"NODE", "PCIe host bridges of one NUMA node"},
     {"SYS", "the link between NUMA nodes"}}};

bool is_device(std::string_view word) {
  return word.starts_with("GPU") || word.starts_with("NIC") || word.starts_with("mlx") ||
         word.starts_with("DPU");
}

/// "NV18" -> 18; 0 for a path over PCIe; -1 for what is neither.
long long nvlinks_of(std::string_view word) {
  if (word.starts_with("NV")) {
    const long long links = detail::whole_number(word.substr(2));
    return links > 0 ? links : -1;
  }
  return std::any_of(paths.begin(), paths.end(), [&](const auto& path) { return path.first == word; }) ? 0
                                                                                                       : -1;
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  void line(const std::string& text, std::size_t number) {
    const Words words = detail::words_of(text);
    if (words.empty()) return;
    if (devices_.empty()) return header(words);
    if (rows_.size() < devices_.size() && is_device(words.front())) return row(words, number);
    // "  NIC0: mlx5_0"
    if (words.size() == 2 && words.front().starts_with("NIC") && words.front().ends_with(':'))
      names_[std::string(words.front().substr(0, words.front().size() - 1))] = words[1];
  }

  Json context(const std::string& source, const std::string& gpu) const {
    if (devices_.empty())
      throw InputError(fmt::format("{}: found no line of GPU0 GPU1 …, expected nvidia-smi topo -m", path_));
    if (rows_.size() != devices_.size())
      throw InputError(
          fmt::format("{}: found {} rows, expected {} as columns", path_, rows_.size(), devices_.size()));
    Json json = {{"kind", "context"}, {"tool", "nvidia-smi topo -m"}, {"source", source}};
    if (!gpu.empty()) json["gpu"] = gpu;
    json["devices"] = devices_;
    if (!names_.empty()) json["nics"] = names_;
    json["pairs"] = pairs();
    json["affinity"] = affinity_;
    return json;
  }

 private:
  void header(const Words& words) {
    for (const std::string_view word : words) {
      if (!is_device(word)) break;
      devices_.emplace_back(word);
    }
    if (devices_.empty() || !devices_.front().starts_with("GPU")) devices_.clear();
  }

  void row(const Words& words, std::size_t number) {
    const std::string& expected = devices_[rows_.size()];
    if (words.front() != expected)
      throw InputError(
          fmt::format("{}:{}: found the row of {}, expected {}", path_, number, words.front(), expected));
    if (words.size() < devices_.size() + 1)
      throw InputError(fmt::format("{}:{}: found {} cells, expected {}", path_, number, words.size() - 1,
                                   devices_.size()));
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < devices_.size(); ++i) cells.push_back(cell(words[i + 1], i, number));
    if (expected.starts_with("GPU")) affinity(words, expected);
    rows_.push_back(std::move(cells));
  }

  std::string cell(std::string_view word, std::size_t column, std::size_t number) const {
    const std::size_t row = rows_.size();
    const auto refuse = [&](const std::string& expected) {
      throw InputError(fmt::format("{}:{}: column '{}': found '{}', expected {}", path_, number,
                                   devices_[column], word, expected));
    };
    if (row == column && word != "X") refuse("X");
    if (row != column && nvlinks_of(word) < 0) refuse("one of NV#, PIX, PXB, PHB, NODE, SYS");
    if (column < row && word != rows_[column][row])
      refuse(fmt::format("{} as in the row of {}", rows_[column][row], devices_[column]));
    return std::string(word);
  }

  /// After the matrix: CPUs, NUMA node, and the GPU's own NUMA node or N/A.
  void affinity(const Words& words, const std::string& gpu) {
    Json entry = {{"gpu", gpu}};
    if (words.size() > devices_.size() + 1) entry["cpus"] = std::string(words[devices_.size() + 1]);
    if (words.size() > devices_.size() + 2)
      if (const long long node = detail::whole_number(words[devices_.size() + 2]); node >= 0)
        entry["numa"] = node;
    affinity_.push_back(entry);
  }

  Json pairs() const {
    Json list = Json::array();
    for (std::size_t a = 0; a < devices_.size(); ++a)
      for (std::size_t b = a + 1; b < devices_.size(); ++b) {
        Json pair = {{"a", devices_[a]}, {"b", devices_[b]}, {"connection", rows_[a][b]}};
        if (const long long links = nvlinks_of(rows_[a][b]); links > 0) pair["nvlinks"] = links;
        for (const auto& [word, meaning] : paths)
          if (rows_[a][b] == word) pair["path"] = meaning;
        list.push_back(pair);
      }
    return list;
  }

  const std::string& path_;
  std::vector<std::string> devices_;
  std::vector<std::vector<std::string>> rows_;
  std::map<std::string, std::string> names_;
  Json affinity_ = Json::array();
};

}  // namespace

void import_topology(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                     const MeasurementSink& sink) {
  Reader reader(path);
  for_each_line(path, [&](std::string_view line, std::size_t number) {
    reader.line(detail::plain_line(line), number);
  });
  Measurement measurement;
  measurement.gpu = origin.gpu;
  measurement.source = detail::source_of("nvidia-smi topo -m", path);
  measurement.row = OtherRow{
      "context",
      reader.context(measurement.source, origin.gpu).dump(-1, ' ', false, Json::error_handler_t::replace)};
  RowGate gate(path, origin.gpu, report, sink);
  gate.pass_unjudged(measurement);
  gate.finish();
}

}  // namespace sextant
