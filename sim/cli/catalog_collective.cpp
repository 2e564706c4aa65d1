#include "sim/cli/catalog_collective.hpp"

#include <fmt/core.h>

#include <charconv>
#include <sstream>

#include "models/base/error.hpp"
#include "models/cost/group_curve.hpp"
#include "reports/number_text.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

constexpr const char* option_names[] = {"op",    "ranks", "nodes", "intra", "inter",
                                        "bytes", "nics",  "cpu",   "nvls"};
constexpr auto default_sizes = "16K,64K,256K,1M,8M,16M,64M,256M";
constexpr std::uint64_t most_ranks = 65536;

/// "16K" as nccl-tests reads it: K, M and G are powers of 1024.
double size_of(const std::string& word) {
  double scale = 1;
  std::string digits = word;
  if (!digits.empty()) {
    const char unit = digits.back();
    scale = unit == 'K' ? 1024.0 : unit == 'M' ? 1024.0 * 1024 : unit == 'G' ? 1024.0 * 1024 * 1024 : 1;
    if (scale > 1) digits.pop_back();
  }
  std::uint64_t value = 0;
  const auto [stopped, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || stopped != digits.data() + digits.size() || value == 0)
    throw InputError(fmt::format("--bytes: found '{}', expected sizes such as 65536,16K,8M", word));
  return static_cast<double>(value) * scale;
}

std::vector<double> sizes_of(const std::string& list) {
  std::vector<double> sizes;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) sizes.push_back(size_of(word));
  if (sizes.empty()) throw InputError("--bytes: found no size, expected sizes such as 65536,16K,8M");
  return sizes;
}

std::string size_text(double bytes) {
  for (const auto& [unit, scale] : {std::pair{"GiB", 1073741824.0}, {"MiB", 1048576.0}, {"KiB", 1024.0}})
    if (bytes >= scale) return fmt::format("{:g} {}", bytes / scale, unit);
  return fmt::format("{:g} B", bytes);
}

/// What was asked: the group and the links that join it.
struct Question {
  std::string op;
  NodeGroup nodes;
  LinkProfile intra;
  std::optional<LinkProfile> inter;
  std::vector<double> sizes;
  bool multicast = false;
};

std::string required(const ParsedWords& words, const std::string& option) {
  if (const auto text = words.text(option)) return *text;
  throw InputError(fmt::format("catalog collective: expected --{}; see sextant catalog --help", option));
}

Question read_question(const ParsedWords& words) {
  if (words.arguments.size() > 1)
    throw InputError(fmt::format("catalog collective: found '{}' too many", words.arguments[1]));
  Question question;
  question.op = words.text("op").value_or("all_reduce");
  required(words, "ranks");
  question.nodes.ranks = static_cast<int>(*words.whole_number("ranks", 2, most_ranks));
  question.nodes.nodes = static_cast<int>(words.whole_number("nodes", 1, most_ranks).value_or(1));
  question.nodes.nics = static_cast<int>(words.whole_number("nics", 1, 64).value_or(1));
  question.nodes.cpu = words.text("cpu").value_or("intel");
  question.intra = find_link_profile(required(words, "intra"));
  if (question.nodes.nodes > 1) question.inter = find_link_profile(required(words, "inter"));
  question.sizes = sizes_of(words.text("bytes").value_or(default_sizes));
  question.multicast = words.has("nvls");
  return question;
}

CollectiveGroup group_of(const Question& question) {
  CollectiveGroup group = question.inter ? group_across_nodes(question.intra, *question.inter, question.nodes)
                                         : group_of_link(question.intra, question.op, question.nodes.ranks);
  group.multicast = question.multicast;
  return group;
}

/// Microseconds from fitted links; none where nothing was fitted to such an algorithm. What NCCL chooses on
/// one node has the measured curve, or the modelled one.
std::optional<double> fitted_us(const NcclTuning& tuning, const Question& question, const AlgorithmTime& time,
                                double bytes, bool chosen) {
  const int ranks = question.nodes.ranks;
  const bool ring = time.algorithm == Algorithm::ring;
  if (question.inter) {
    if (!ring && time.algorithm != Algorithm::tree) return std::nullopt;
    return 1e6 * timed_across_nodes(tuning, question.intra, *question.inter, question.nodes, question.op,
                                    time.algorithm, time.protocol, bytes);
  }
  const TransferCurve* measured = question.intra.collective(question.op, ranks);
  if (chosen && measured) return measured->time_us(bytes);
  if (!ring) return std::nullopt;
  if (chosen) return modelled_us(tuning, question.intra, question.op, ranks, bytes);
  const RingOperation* operation = question.intra.ring->operation(question.op);
  if (!operation) return std::nullopt;
  return line_us(protocol_line(*operation, time.protocol), question.op, ranks, bytes);
}

void add_size(const NcclTuning& tuning, const Question& question, const CollectiveGroup& group, double bytes,
              Table& table) {
  const double bus = ring_steps(question.op, group.ranks) / group.ranks * bytes / 1e3;
  bool first = true;
  for (const AlgorithmTime& time : nccl_times(tuning, group, question.op, bytes)) {
    const std::optional<double> us = fitted_us(tuning, question, time, bytes, first);
    const Tone tone = first ? Tone::strong : Tone::plain;
    table.add({{first ? size_text(bytes) : "", tone},
               {to_string(time.algorithm), tone},
               {to_string(time.protocol), tone},
               {first ? "chosen" : "", tone},
               {number_text(time.us), tone},
               {us ? number_text(*us) : "-", tone},
               {us ? number_text(bytes / 1e3 / *us) : "-", tone},
               {us ? number_text(bus / *us) : "-", tone}});
    first = false;
  }
}

}  // namespace

void add_collective_options(options::options_description& description) {
  const auto text = [](const char* name) { return options::value<std::string>()->value_name(name); };
  description.add_options()("op", text("OP"), "collective: all_reduce (default), all_gather, reduce_scatter")(
      "ranks", text("N"), "collective: GPUs in the group")("nodes", text("N"),
                                                           "collective: nodes they stand on (1)")(
      "intra", text("LINK"), "collective: link profile inside a node, as nvlink4")(
      "inter", text("LINK"), "collective: link profile between nodes, as ib-400")(
      "nics", text("N"), "collective: NICs of each node (1)")("cpu", text("VENDOR"),
                                                              "collective: amd, intel (default) or other")(
      "bytes", text("LIST"), "collective: sizes as nccl-tests counts them, K, M and G powers of 1024")(
      "nvls", "collective: the NVLink switch can reduce");
}

void refuse_collective_options(const ParsedWords& words) {
  for (const char* name : option_names)
    if (words.has(name))
      throw InputError(fmt::format("catalog: found --{}, expected it with catalog collective", name));
}

std::string collective_text(const ParsedWords& words, TextStyle style) {
  const Question question = read_question(words);
  const CollectiveGroup group = group_of(question);
  const NcclTuning tuning = shipped_nccl_tuning();
  Table table({{"size", Table::Align::left},
               {"algorithm", Table::Align::left},
               {"protocol", Table::Align::left},
               {"NCCL", Table::Align::left},
               {"NCCL's\nown us"},
               {"us"},
               {"algbw\nGB/s"},
               {"busbw\nGB/s"}});
  for (const double bytes : question.sizes) add_size(tuning, question, group, bytes, table);
  std::string text =
      fmt::format("{} of {} ranks on {} node{}: {} inside, {:.0f} GB/s", question.op, group.ranks,
                  group.nodes, group.nodes == 1 ? "" : "s", question.intra.name, group.intra_gbps);
  if (question.inter)
    text += fmt::format("; {} between, a line of {:.1f} GB/s a node over {} NIC{}", question.inter->name,
                        group.inter_gbps, question.nodes.nics, question.nodes.nics == 1 ? "" : "s");
  return text + "\n\n" + table.text(style) +
         "\nNCCL chooses by its own estimate; us, algbw (size / time) and busbw (times ring steps / ranks) "
         "are "
         "from\nfitted base, hop and plateau.\n";
}

}  // namespace sextant
