#include "calibrate/measure/nccl/plan/options.hpp"

#include <fmt/core.h>
#include <getopt.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "calibrate/measure/common/size_text.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

[[noreturn]] void refuse(const std::string& option, const std::string& found, const std::string& expected) {
  throw InputError(fmt::format("nccl: {}: found \"{}\", expected {}", option, found, expected));
}

template <class Number>
Number number(const std::string& option, const std::string& text, Number least, const std::string& expected) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least)
    refuse(option, text, expected);
  return value;
}

int count(const std::string& option, const std::string& text, int least) {
  return number(option, text, least, fmt::format("a whole number from {}", least));
}

bool zero_or_one(const std::string& option, const std::string& text) {
  if (text != "0" && text != "1") refuse(option, text, "0 or 1");
  return text == "1";
}

/// Flags of nccl-tests that ask for something this program does not do: only the value that asks for nothing.
void only_zero(const std::string& option, const std::string& text) {
  if (text != "0") refuse(option, text, "0: sextant-measure does not have it");
}

std::uint64_t parse_bytes(const std::string& option, const std::string& text) {
  return static_cast<std::uint64_t>(measure::parse_size(text, "nccl: " + option));
}

std::vector<std::string> items(const std::string& text) {
  std::vector<std::string> result;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    result.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

std::string lower(std::string text) {
  for (char& letter : text)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return text;
}

/// Comma-separated words of a closed list, in any case; "default" becomes the empty text.
std::vector<std::string> words(const std::string& option, const std::string& text,
                               const std::vector<std::string>& known, const std::string& expected) {
  std::vector<std::string> result;
  for (const std::string& item : items(text)) {
    if (item == "default") {
      result.emplace_back();
      continue;
    }
    std::string match;
    for (const std::string& word : known)
      if (lower(word) == lower(item)) match = word;
    if (match.empty()) refuse(option, item, expected);
    result.push_back(match);
  }
  return result;
}

std::vector<int> channel_limits(const std::string& option, const std::string& text) {
  std::vector<int> result;
  for (const std::string& item : items(text))
    result.push_back(item == "default" ? 0 : number(option, item, 1, "a number from 1, or default"));
  return result;
}

std::vector<GemmShape> gemm_shapes(const std::string& option, const std::string& text) {
  const std::string expected = "shapes MxNxK of numbers from 1, such as 8192x8192x8192,16x8192x28672";
  std::vector<GemmShape> result;
  for (const std::string& item : items(text)) {
    const std::size_t first = item.find('x'), second = item.find('x', first + 1);
    if (std::count(item.begin(), item.end(), 'x') != 2) refuse(option, item, expected);
    const auto part = [&](std::size_t begin, std::size_t end) {
      return number(option, item.substr(begin, end - begin), std::int64_t{1}, expected);
    };
    result.push_back({part(0, first), part(first + 1, second), part(second + 1, item.size())});
  }
  return result;
}

std::vector<bool> stream_priorities(const std::string& option, const std::string& text) {
  std::vector<bool> result;
  for (const std::string& item : items(text)) {
    if (item != "same" && item != "high") refuse(option, item, "same, high or both");
    result.push_back(item == "high");
  }
  return result;
}

std::vector<Reduction> reduction_choice(const std::string& option, const std::string& text) {
  if (text == "all") return reductions();
  const auto found = reduction_named(text);
  if (!found) refuse(option, text, "sum, prod, max, min, avg or all");
  return {*found};
}

std::vector<DataType> type_choice(const std::string& option, const std::string& text) {
  if (text == "all") return data_types();
  const auto found = data_type_named(text);
  if (!found)
    refuse(option, text, "int8, uint8, int32, uint32, int64, uint64, half, float, double, bfloat16 or all");
  return {*found};
}

using Handler = std::function<void(Options&, const std::string& option, const std::string& value)>;

struct Flag {
  const char* name;
  char letter;  ///< 0: only in long form
  bool takes_value;
  Handler apply;
};

std::vector<Flag> nccl_tests_flags() {
  using Text = const std::string&;
  return {
      {"nthreads", 't', true, [](Options& o, Text n, Text v) { o.threads = count(n, v, 1); }},
      {"ngpus", 'g', true, [](Options& o, Text n, Text v) { o.gpus_per_thread = count(n, v, 1); }},
      {"minbytes", 'b', true, [](Options& o, Text n, Text v) { o.min_bytes = parse_bytes(n, v); }},
      {"maxbytes", 'e', true, [](Options& o, Text n, Text v) { o.max_bytes = parse_bytes(n, v); }},
      {"stepbytes", 'i', true, [](Options& o, Text n, Text v) { o.step_bytes = parse_bytes(n, v); }},
      {"stepfactor", 'f', true, [](Options& o, Text n, Text v) { o.step_factor = count(n, v, 1); }},
      {"iters", 'n', true, [](Options& o, Text n, Text v) { o.iterations = count(n, v, 1); }},
      {"agg_iters", 'm', true, [](Options& o, Text n, Text v) { o.aggregate = count(n, v, 1); }},
      {"warmup_iters", 'w', true, [](Options& o, Text n, Text v) { o.warm_up = count(n, v, 0); }},
      {"run_cycles", 'N', true, [](Options& o, Text n, Text v) { o.cycles = count(n, v, 1); }},
      {"parallel_init", 'p', true, [](Options& o, Text n, Text v) { o.parallel_init = zero_or_one(n, v); }},
      {"check", 'c', true, [](Options& o, Text n, Text v) { o.check = count(n, v, 0); }},
      {"op", 'o', true, [](Options& o, Text n, Text v) { o.reductions = reduction_choice(n, v); }},
      {"datatype", 'd', true, [](Options& o, Text n, Text v) { o.types = type_choice(n, v); }},
      {"root", 'r', true,
       [](Options& o, Text n, Text v) { o.root = v == "all" || v == "-1" ? -1 : count(n, v, 0); }},
      {"blocking", 'z', true, [](Options& o, Text n, Text v) { o.blocking = count(n, v, 0) > 0; }},
      {"stream_null", 'y', true, [](Options& o, Text n, Text v) { o.null_stream = zero_or_one(n, v); }},
      {"timeout", 'T', true, [](Options& o, Text n, Text v) { o.timeout_seconds = count(n, v, 0); }},
      {"cudagraph", 'G', true, [](Options& o, Text n, Text v) { o.graph_launches = count(n, v, 0); }},
      {"average", 'a', true,
       [](Options& o, Text n, Text v) {
         o.average = count(n, v, 0);
         if (o.average > 3) refuse(n, v, "0 (rank 0), 1 (average), 2 (least) or 3 (most)");
       }},
      {"output_file", 'J', true, [](Options& o, Text, Text v) { o.output = v; }},
      {"report_cputime", 'C', true, [](Options&, Text n, Text v) { only_zero(n, v); }},
      {"report_timestamps", 'S', true, [](Options&, Text n, Text v) { only_zero(n, v); }},
      {"local_register", 'R', true, [](Options&, Text n, Text v) { only_zero(n, v); }},
      {"cta_policy", 'x', true, [](Options&, Text n, Text v) { only_zero(n, v); }},
      {"device_implementation", 'D', true, [](Options&, Text n, Text v) { only_zero(n, v); }},
      {"memory_report", 'M', true, [](Options&, Text n, Text v) { only_zero(n, v); }},
      {"help", 'h', false, [](Options& o, Text, Text) { o.help = true; }},
  };
}

std::vector<Flag> own_flags() {
  using Text = const std::string&;
  return {
      {"quick", 0, false, [](Options& o, Text, Text) { o.effort = Effort::quick; }},
      {"thorough", 0, false, [](Options& o, Text, Text) { o.effort = Effort::thorough; }},
      {"seconds", 0, true,
       [](Options& o, Text n, Text v) { o.seconds = number(n, v, 1.0, "seconds, at least 1"); }},
      {"output", 0, true, [](Options& o, Text, Text v) { o.output = v; }},
      {"resume", 0, false, [](Options& o, Text, Text) { o.resume = true; }},
      {"list", 0, false, [](Options& o, Text, Text) { o.list = true; }},
      {"overlap", 0, false, [](Options& o, Text, Text) { o.overlap.wanted = true; }},
      {"gemm", 0, true, [](Options& o, Text n, Text v) { o.overlap.gemms = gemm_shapes(n, v); }},
      {"priority", 0, true,
       [](Options& o, Text n, Text v) { o.overlap.high_priority = stream_priorities(n, v); }},
      {"allow-multicast", 0, false, [](Options& o, Text, Text) { o.allow_multicast = true; }},
      {"algo", 0, true,
       [](Options& o, Text n, Text v) {
         o.variants.algorithms = words(n, v, {"Ring", "Tree"}, "ring, tree or default");
       }},
      {"proto", 0, true,
       [](Options& o, Text n, Text v) {
         o.variants.protocols = words(n, v, {"LL", "LL128", "Simple"}, "LL, LL128, Simple or default");
       }},
      {"channels", 0, true, [](Options& o, Text n, Text v) { o.variants.channels = channel_limits(n, v); }},
      {"groups", 0, true,
       [](Options& o, Text n, Text v) {
         o.group_sizes.emplace();
         if (v == "none") return;
         for (const std::string& item : items(v))
           o.group_sizes->push_back(number(n, item, 2, "sizes from 2 such as 2,4, or none"));
       }},
      {"pairs", 0, true,
       [](Options& o, Text n, Text v) {
         if (v != "all" && v != "none") refuse(n, v, "all or none");
         o.pairs = v == "all";
       }},
      {"gpu", 0, true, [](Options& o, Text, Text v) { o.gpu = v; }},
      {"link", 0, true,
       [](Options& o, Text n, Text v) {
         o.link =
             words(n, v, {"nvlink", "pcie", "roce", "ib", "tcp"}, "nvlink, pcie, roce, ib or tcp").front();
       }},
      {"rendezvous", 0, true, [](Options& o, Text, Text v) { o.rendezvous = v; }},
      {"nccl-library", 0, true, [](Options& o, Text, Text v) { o.nccl_library = v; }},
      {"source", 0, true, [](Options& o, Text, Text v) { o.source = v; }},
      {"child-process", 0, true, [](Options& o, Text n, Text v) { o.child.process = count(n, v, 0); }},
      {"child-block", 0, true, [](Options& o, Text n, Text v) { o.child.first_block = count(n, v, 0); }},
      {"child-rows", 0, true, [](Options& o, Text n, Text v) { o.child.rows_descriptor = count(n, v, 0); }},
      {"child-seconds", 0, true,
       [](Options& o, Text n, Text v) { o.child.seconds = number(n, v, 0.0, "seconds"); }},
  };
}

/// getopt_long's tables for the flags, and its answers as one code per flag.
struct GetoptTables {
  std::string letters = "-:";  // arguments in order, and ':' for a missing value
  std::vector<option> names;

  explicit GetoptTables(const std::vector<Flag>& flags) {
    constexpr int beyond_letters = 256;
    for (std::size_t i = 0; i < flags.size(); ++i) {
      names.push_back({flags[i].name, flags[i].takes_value ? required_argument : no_argument, nullptr,
                       beyond_letters + static_cast<int>(i)});
      if (!flags[i].letter) continue;
      letters += flags[i].letter;
      if (flags[i].takes_value) letters += ':';
    }
    names.push_back({nullptr, 0, nullptr, 0});
  }
  /// The flag that a code of getopt_long means, or nullptr.
  static const Flag* flag(const std::vector<Flag>& flags, int code) {
    if (code >= 256) return &flags[static_cast<std::size_t>(code - 256)];
    for (const Flag& each : flags)
      if (each.letter == code) return &each;
    return nullptr;
  }
};

/// Nothing is left aside silently: what --overlap does not vary it does not take, and the reverse.
void check_overlap(const Options& o) {
  const OverlapOptions usual;
  if (!o.overlap.wanted) {
    if (o.overlap.gemms != usual.gemms || o.overlap.high_priority != usual.high_priority)
      throw InputError("nccl: found --gemm or --priority without --overlap, expected them with it");
    return;
  }
  const auto refuse_with = [](bool found, const char* option) {
    if (found) throw InputError(fmt::format("nccl: found {} with --overlap, expected one of them", option));
  };
  refuse_with(o.variants.algorithms.has_value(), "--algo");
  refuse_with(o.variants.protocols.has_value(), "--proto");
  refuse_with(o.group_sizes.has_value(), "--groups");
  refuse_with(o.pairs.has_value(), "--pairs");
  refuse_with(o.types.has_value(), "--datatype");
  refuse_with(o.graph_launches.has_value(), "--cudagraph");
  refuse_with(o.iterations.has_value(), "--iters");
  refuse_with(o.aggregate > 1, "--agg_iters");
  refuse_with(o.null_stream, "--stream_null");
  refuse_with(o.blocking, "--blocking");
}

void check(const Options& o) {
  check_overlap(o);
  if (o.min_bytes && o.max_bytes && *o.min_bytes > *o.max_bytes)
    throw InputError(
        fmt::format("nccl: minbytes is {} and maxbytes {}, expected no more", *o.min_bytes, *o.max_bytes));
  if (o.step_bytes && *o.step_bytes == 0) refuse("stepbytes", "0", "at least 1 byte");
  if (o.resume && o.output.empty())
    throw InputError("nccl: --resume without a file, expected --output FILE of the run to continue");
  if (o.blocking && o.graph_launches.value_or(0) > 0)
    throw InputError(
        "nccl: found --blocking with --cudagraph, expected one of them: a graph does not wait for the host");
  if (o.null_stream && o.graph_launches.value_or(0) > 0)
    throw InputError(
        "nccl: found --stream_null 1 with --cudagraph, expected one of them: the null stream is not "
        "captured");
}

}  // namespace

std::optional<int> Options::local_ranks() const {
  if (!threads && !gpus_per_thread) return std::nullopt;
  return threads.value_or(1) * gpus_per_thread.value_or(1);
}

Options parse_options(const std::vector<std::string>& arguments) {
  std::vector<Flag> flags = nccl_tests_flags();
  for (Flag& flag : own_flags()) flags.push_back(std::move(flag));
  const GetoptTables tables(flags);

  std::vector<std::string> kept = arguments;
  std::string program = "nccl";
  std::vector<char*> pointers = {program.data()};
  for (std::string& argument : kept) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  Options options;
  options.arguments = arguments;
  const int argument_count = static_cast<int>(pointers.size()) - 1;
  const auto operation = [&](const std::string& text) {
    const auto found = operation_named(text);
    if (!found)
      refuse("operation", text,
             "all_reduce, all_gather, reduce_scatter, broadcast, all_to_all, send or sendrecv");
    options.operations.push_back(*found);
  };
  optind = 0;  // getopt starts anew
  opterr = 0;
  for (;;) {
    int long_index = -1;
    const int code = getopt_long(argument_count, pointers.data(), tables.letters.c_str(), tables.names.data(),
                                 &long_index);
    if (code == -1) break;
    if (code == 1) {
      operation(optarg);
      continue;
    }
    const std::string found =
        optind > 0 && optind <= argument_count ? pointers[static_cast<std::size_t>(optind - 1)] : "";
    if (code == ':') throw InputError(fmt::format("nccl: {} has no value, expected one", found));
    const Flag* flag = code == '?' ? nullptr : GetoptTables::flag(flags, code);
    if (!flag)
      throw InputError(
          fmt::format("nccl: found {}, expected one of nccl-tests' flags or those of nccl --help", found));
    flag->apply(options, flag->name, optarg ? optarg : "");
  }
  for (int i = optind; i < argument_count; ++i) operation(pointers[static_cast<std::size_t>(i)]);
  check(options);
  return options;
}

}  // namespace sextant::nccl
