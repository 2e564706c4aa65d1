#include "calibrate/measure/nccl/plan/plan.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "calibrate/measure/nccl/plan/sizes.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

std::vector<int> first_ranks(int count) {
  std::vector<int> ranks(static_cast<std::size_t>(count));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

/// Both words for "graph": replayed from a CUDA graph, launched one by one.
std::vector<bool> graph_modes(const Options& options) {
  if (options.graph_launches) return {*options.graph_launches > 0};
  if (!options.sweep() || options.null_stream || options.blocking) return {false};
  return {true, false};
}

/// Adds what one process measures; `Sizes` of the sweep come in a coarse part, planned first, and the rest.
class BlockList {
 public:
  BlockList(const Options& options, int ranks) : options_(options), ranks_(ranks) {}

  void collective(Operation operation, const std::vector<int>& members, DataType type, const Sizes& sizes,
                  const std::vector<bool>& graphs, bool in_place) {
    const auto reductions = reduces(operation) ? options_.reductions : std::vector<Reduction>{Reduction::sum};
    for (const Reduction reduction : reductions) {
      if (reduction == Reduction::avg && !is_floating(type))
        continue;  // rounds in ways that NCCL does not define
      for (const int root : roots(operation, members))
        for (const bool graph : graphs)
          add({operation, members, type, reduction, root, graph, in_place && !graph, {}}, sizes);
    }
  }
  void pair(Operation operation, int first, int second, DataType type, const Sizes& sizes,
            const std::vector<bool>& graphs) {
    for (const bool graph : graphs)
      add({operation, {first, second}, type, Reduction::sum, 0, graph, false, {}}, sizes);
  }
  void every_pair(DataType type, const Sizes& sizes, const std::vector<bool>& graphs) {
    for (int first = 0; first < ranks_; ++first)
      for (int second = first + 1; second < ranks_; ++second)
        for (const Operation operation : {Operation::send, Operation::sendrecv})
          pair(operation, first, second, type, sizes, graphs);
  }
  std::vector<Block> take() {
    std::vector<Block> all = std::move(coarse_);
    all.insert(all.end(), fine_.begin(), fine_.end());
    return all;
  }

 private:
  std::vector<int> roots(Operation operation, const std::vector<int>& members) const {
    const int size = static_cast<int>(members.size());
    if (!has_root(operation) || !options_.root) return {0};
    if (*options_.root < 0) return first_ranks(size);
    if (*options_.root >= size)
      throw InputError(fmt::format("nccl: root: found {}, expected a rank below {}", *options_.root, size));
    return {*options_.root};
  }
  void add(Block block, const Sizes& sizes) {
    block.sizes = sizes.coarse;
    if (!block.sizes.empty()) coarse_.push_back(block);
    block.sizes = sizes.fine;
    if (!block.sizes.empty()) fine_.push_back(std::move(block));
  }

  const Options& options_;
  int ranks_;
  std::vector<Block> coarse_, fine_;
};

std::vector<int> sweep_groups(const Options& options, int ranks) {
  if (options.group_sizes) return *options.group_sizes;
  std::vector<int> sizes(static_cast<std::size_t>(ranks - 1));
  std::iota(sizes.begin(), sizes.end(), 2);
  std::reverse(sizes.begin(), sizes.end());  // all GPUs first
  return sizes;
}

std::vector<DataType> main_types(const Options& options) {
  if (options.types) return *options.types;
  if (options.effort == Effort::thorough) return {DataType::bfloat16, DataType::float32};
  return {DataType::bfloat16};
}

/// NCCL's own choices: every group, every pair, and fp32 beside bf16 for all GPUs.
std::vector<Block> default_blocks(const Options& options, int ranks) {
  BlockList list(options, ranks);
  const bool quick = options.effort == Effort::quick;
  const Sizes sizes = sweep_sizes(options, quick ? Density::coarse : Density::full);
  const auto graphs = graph_modes(options);
  for (const int size : sweep_groups(options, ranks))
    for (const DataType type : main_types(options))
      for (const Operation operation : collective_operations())
        list.collective(operation, first_ranks(size), type, sizes, graphs,
                        options.effort == Effort::thorough || (!quick && size == ranks));
  if (options.pairs.value_or(true))
    list.every_pair(main_types(options).front(),
                    sweep_sizes(options, quick ? Density::sparse : Density::medium),
                    quick ? std::vector<bool>{graphs.front()} : graphs);
  if (!options.types && options.effort != Effort::thorough && sweep_groups(options, ranks).size() > 0)
    for (const Operation operation : collective_operations()) {
      if (quick && operation != Operation::all_reduce) continue;
      list.collective(operation, first_ranks(ranks), DataType::float32, sizes,
                      quick ? std::vector<bool>{graphs.front()} : graphs, false);
    }
  return list.take();
}

/// What a forced algorithm can do: NCCL's tree is an all-reduce; send/recv has no algorithm.
std::vector<Operation> operations_of(const Variant& variant, Effort effort) {
  if (effort == Effort::quick || variant.algorithm == "Tree") return {Operation::all_reduce};
  if (!variant.algorithm.empty() || !variant.protocol.empty())
    return {Operation::all_reduce, Operation::all_gather, Operation::reduce_scatter, Operation::broadcast};
  return collective_operations();
}

std::vector<Block> forced_blocks(const Options& options, const Variant& variant, int ranks) {
  BlockList list(options, ranks);
  const bool quick = options.effort == Effort::quick, thorough = options.effort == Effort::thorough;
  const Sizes sizes = sweep_sizes(options, thorough ? Density::full
                                           : quick  ? Density::coarse
                                                    : Density::medium);
  const auto all_graphs = graph_modes(options);
  const std::vector<bool> graphs = thorough ? all_graphs : std::vector<bool>{all_graphs.front()};
  const auto groups = sweep_groups(options, ranks);
  for (const int size : groups) {
    if (size != groups.front() && !thorough) continue;
    for (const DataType type : main_types(options))
      for (const Operation operation : operations_of(variant, options.effort))
        list.collective(operation, first_ranks(size), type, sizes, graphs, false);
  }
  const bool only_channels = variant.algorithm.empty() && variant.protocol.empty();
  if (only_channels && options.pairs.value_or(true) && !quick)
    for (const Operation operation : {Operation::send, Operation::sendrecv})
      list.pair(operation, 0, 1, main_types(options).front(), sizes, graphs);
  return list.take();
}

/// The blocks of the operations that the user names: one table each, as nccl-tests prints it.
std::vector<Block> named_blocks(const Options& options, const Variant& variant, int ranks) {
  BlockList list(options, ranks);
  const Sizes sizes{given_sizes(options), {}};
  const std::vector<int> groups = options.group_sizes.value_or(std::vector<int>{ranks});
  for (const DataType type : options.types.value_or(std::vector<DataType>{DataType::float32}))
    for (const Operation operation : options.operations) {
      if (is_between_two(operation)) {
        for (int first = 0; first < ranks; ++first)
          for (int second = first + 1; second < ranks; ++second)
            if (options.pairs.value_or(true) || (first == 0 && second == 1))
              list.pair(operation, first, second, type, sizes, graph_modes(options));
        continue;
      }
      if (variant.algorithm == "Tree" && operation != Operation::all_reduce) continue;
      for (const int size : groups)
        list.collective(operation, first_ranks(size), type, sizes, graph_modes(options), true);
    }
  return list.take();
}

/// The variants in the order that covers them coarsely first.
std::vector<Variant> sweep_variants(const Options& options) {
  const VariantChoice& choice = options.variants;
  if (choice.algorithms || choice.protocols || choice.channels || !options.sweep() ||
      options.effort == Effort::thorough) {
    const bool all = options.sweep() && options.effort == Effort::thorough && !choice.algorithms &&
                     !choice.protocols && !choice.channels;
    using Words = std::vector<std::string>;
    const Words algorithms = choice.algorithms.value_or(all ? Words{"", "Ring", "Tree"} : Words{""});
    const Words protocols = choice.protocols.value_or(all ? Words{"", "LL", "LL128", "Simple"} : Words{""});
    const std::vector<int> channels =
        choice.channels.value_or(all ? std::vector{0, 2, 4, 8} : std::vector{0});
    std::vector<Variant> product;
    for (const int limit : channels)
      for (const std::string& algorithm : algorithms)
        for (const std::string& protocol : protocols) product.push_back({algorithm, protocol, limit});
    return product;
  }
  std::vector<Variant> variants = {
      {},          {"Ring", "", 0}, {"Tree", "", 0},  {"", "", 2},      {"", "", 4},
      {"", "", 8}, {"", "LL", 0},   {"", "LL128", 0}, {"", "Simple", 0}};
  if (options.effort == Effort::standard)
    for (const char* algorithm : {"Ring", "Tree"})
      for (const char* protocol : {"LL", "LL128", "Simple"}) variants.push_back({algorithm, protocol, 0});
  return variants;
}

void check(const Options& options, int ranks) {
  if (ranks < 2)
    throw InputError(fmt::format("nccl: found {} GPU, expected at least 2 over all processes", ranks));
  for (const int size : options.group_sizes.value_or(std::vector<int>{}))
    if (size > ranks)
      throw InputError(
          fmt::format("nccl: groups: found {}, expected at most the {} GPUs of this run", size, ranks));
}

}  // namespace

std::string ranks_text(const std::vector<int>& ranks) {
  if (ranks.size() > 2 && ranks.back() - ranks.front() == static_cast<int>(ranks.size()) - 1)
    return fmt::format("{}-{}", ranks.front(), ranks.back());
  return fmt::format("{}", fmt::join(ranks, ","));
}

std::string Variant::text() const {
  std::vector<std::string> words;
  if (!algorithm.empty()) words.push_back(algorithm);
  if (!protocol.empty()) words.push_back(protocol);
  if (channels > 0) words.push_back(fmt::format("at most {} channels", channels));
  return words.empty() ? "default" : fmt::format("{}", fmt::join(words, ", "));
}

std::vector<std::pair<std::string, std::string>> Variant::environment() const {
  std::vector<std::pair<std::string, std::string>> variables;
  if (!algorithm.empty()) variables.emplace_back("NCCL_ALGO", algorithm);
  if (!protocol.empty()) variables.emplace_back("NCCL_PROTO", protocol);
  if (channels > 0) {
    variables.emplace_back("NCCL_MAX_NCHANNELS", std::to_string(channels));
    variables.emplace_back("NCCL_MAX_P2P_NCHANNELS", std::to_string(channels));
  }
  return variables;
}

std::string Block::text() const {
  std::string text = fmt::format("{} of GPUs {}, {}", name(operation), ranks_text(members), name(type));
  if (reduces(operation) && reduction != Reduction::sum) text += ", " + name(reduction);
  if (has_root(operation) && root != 0) text += fmt::format(", root {}", root);
  return text + (graph ? ", graph" : "");
}

std::size_t points(const Process& process) {
  std::size_t sum = 0;
  for (const Block& block : process.blocks) sum += block.sizes.size() * (block.in_place ? 2 : 1);
  return sum;
}

std::size_t Plan::points() const {
  std::size_t sum = 0;
  for (const Process& process : processes) sum += nccl::points(process);
  return sum;
}

EffortLimits limits(const Options& options) {
  EffortLimits result;
  switch (options.effort) {
    case Effort::quick:
      result = {0.04, 105, 0.03, 5};
      break;
    case Effort::standard:
      result = {0.2, 0, 0.01, 10};
      break;
    case Effort::thorough:
      result = {1.0, 0, 0.003, 20};
      break;
  }
  if (options.seconds) result.seconds = *options.seconds;
  return result;
}

Plan make_plan(const Options& options, int ranks) {
  check(options, ranks);
  Plan plan;
  for (const Variant& variant : sweep_variants(options)) {
    Process process{variant, {}};
    if (!options.sweep())
      process.blocks = named_blocks(options, variant, ranks);
    else if (variant.forced())
      process.blocks = forced_blocks(options, variant, ranks);
    else
      process.blocks = default_blocks(options, ranks);
    const std::vector<Block> once = process.blocks;
    for (int cycle = 1; cycle < options.cycles; ++cycle)
      process.blocks.insert(process.blocks.end(), once.begin(), once.end());
    if (!process.blocks.empty()) plan.processes.push_back(std::move(process));
  }
  if (plan.processes.empty())
    throw InputError(
        "nccl: found nothing to measure, expected an operation that the chosen algorithm has, a group or "
        "pairs");
  return plan;
}

double estimated_seconds(const Plan& plan, const EffortLimits& effort) {
  constexpr double start_seconds = 4;     // of a process with its communicators
  constexpr double check_seconds = 0.03;  // of a point: fill, warm up, check, capture
  return start_seconds * static_cast<double>(plan.processes.size()) +
         (effort.seconds_per_point + check_seconds) * static_cast<double>(plan.points());
}

std::string list_text(const Plan& plan, const EffortLimits& effort, int ranks) {
  std::string text =
      fmt::format("# {} GPUs, {} processes one after another, {} points, about {:.0f} s{}\n", ranks,
                  plan.processes.size(), plan.points(), estimated_seconds(plan, effort),
                  effort.seconds > 0 ? fmt::format(", stopped after {:.0f} s", effort.seconds) : "");
  for (const Process& process : plan.processes) {
    std::string variables;
    for (const auto& [variable, value] : process.variant.environment())
      variables += fmt::format(" {}={}", variable, value);
    text += fmt::format("{}:{}\n", process.variant.text(), variables);
    for (const Block& block : process.blocks)
      text += fmt::format("  {}{}: {}\n", block.text(), block.in_place ? ", in place as well" : "",
                          sizes_text(block.sizes));
  }
  return text;
}

}  // namespace sextant::nccl
