#include "calibrate/measure/rdma/plan/options.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <getopt.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "calibrate/measure/common/size_text.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"

namespace sextant::rdma {
namespace {

constexpr int most_queue_pairs = 16;
constexpr std::int64_t most_bytes = std::int64_t{1} << 30;

[[noreturn]] void refuse(const std::string& option, const std::string& found, const std::string& expected) {
  throw InputError(fmt::format("rdma: {}: found \"{}\", expected {}", option, found, expected));
}

int whole(const std::string& option, const std::string& text, int least, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
    refuse(option, text, fmt::format("a whole number from {} to {}", least, most));
  return value;
}

double seconds(const std::string& option, const std::string& text) {
  constexpr double most = 3600;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value > 0) || value > most)
    refuse(option, text, "seconds above 0, at most 3600");
  return value;
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

template <class Value, class Named>
std::vector<Value> named(const std::string& option, const std::string& text, Named find,
                         const std::string& expected) {
  std::vector<Value> result;
  for (const std::string& item : items(text)) {
    const std::optional<Value> value = find(item);
    if (!value) refuse(option, item, expected);
    result.push_back(*value);
  }
  return result;
}

std::vector<std::int64_t> sizes(const std::string& option, const std::string& text) {
  const auto list = measure::parse_size_list(text, "rdma: " + option, 1);
  for (const std::int64_t bytes : list)
    if (bytes > most_bytes) refuse(option, text, "at most 1G");
  return list;
}

std::vector<int> queue_pairs(const std::string& option, const std::string& text) {
  std::vector<int> list;
  for (const std::string& item : items(text)) list.push_back(whole(option, item, 1, most_queue_pairs));
  return list;
}

int mtu(const std::string& option, const std::string& text) {
  const int value = whole(option, text, 1, path_mtus().back());
  if (std::find(path_mtus().begin(), path_mtus().end(), value) == path_mtus().end())
    refuse(option, text, "256, 512, 1024, 2048 or 4096: the RDMA MTU, not the interface's");
  return value;
}

using Text = const std::string&;
struct Flag {
  const char* name;
  char letter;  ///< 0: only in long form
  int argument;
  const char* setting;  ///< its word in effective(); nullptr: this end's own affair
  std::function<void(Options&, Text option, Text value)> apply;
};

std::vector<Flag> flags_of_this_end() {
  constexpr int most_port = 65535, most_gid = 255, most_gpu = 127;
  return {
      {"server", 0, no_argument, nullptr, [](Options& o, Text, Text) { o.server = true; }},
      {"keep", 0, no_argument, nullptr, [](Options& o, Text, Text) { o.keep = true; }},
      {"ib-dev", 'd', required_argument, nullptr, [](Options& o, Text, Text v) { o.device = v; }},
      {"ib-port", 'i', required_argument, nullptr,
       [](Options& o, Text n, Text v) { o.ib_port = whole(n, v, 1, 255); }},
      {"gid-index", 'x', required_argument, nullptr,
       [](Options& o, Text n, Text v) { o.gid_index = whole(n, v, 0, most_gid); }},
      {"port", 'p', required_argument, nullptr,
       [](Options& o, Text n, Text v) { o.port = whole(n, v, 1, most_port); }},
      {"use_cuda", 0, optional_argument, nullptr,
       [](Options& o, Text n, Text v) { o.gpu = v.empty() ? 0 : whole(n, v, 0, most_gpu); }},
      {"output", 'o', required_argument, nullptr, [](Options& o, Text, Text v) { o.output = v; }},
      {"resume", 0, no_argument, nullptr, [](Options& o, Text, Text) { o.resume = true; }},
      {"samples", 0, required_argument, nullptr, [](Options& o, Text, Text v) { o.samples = v; }},
      {"source", 0, required_argument, nullptr, [](Options& o, Text, Text v) { o.source = v; }},
      {"pair", 0, required_argument, nullptr, [](Options& o, Text, Text v) { o.pair = v; }},
      {"connect-seconds", 0, required_argument, nullptr,
       [](Options& o, Text n, Text v) { o.connect_seconds = seconds(n, v); }},
      {"patience", 0, required_argument, nullptr,
       [](Options& o, Text n, Text v) { o.patience_seconds = seconds(n, v); }},
      {"wait", 0, required_argument, nullptr,
       [](Options& o, Text n, Text v) { o.wait_seconds = seconds(n, v); }},
      {"corrupt-byte", 0, no_argument, nullptr, [](Options& o, Text, Text) { o.corrupt_byte = true; }},
      {"list", 0, no_argument, nullptr, [](Options& o, Text, Text) { o.list = true; }},
      {"quiet", 0, no_argument, nullptr, [](Options& o, Text, Text) { o.quiet = true; }},
      {"help", 'h', no_argument, nullptr, [](Options& o, Text, Text) { o.help = true; }},
      // perftest's, for what is always so here
      {"report_gbits", 0, no_argument, nullptr, [](Options&, Text, Text) {}},
      {"CPU-freq", 'F', no_argument, nullptr, [](Options&, Text, Text) {}},
  };
}

std::vector<Flag> flags_of_both_ends() {
  constexpr int most_depth = 16384, most_inline = 1024, most_level = 15, most_class = 255, most_timeout = 31;
  constexpr int most_iterations = 100'000'000;
  return {
      {"op", 0, required_argument, "op",
       [](Options& o, Text n, Text v) {
         o.operations = named<Operation>(n, v, operation_named, "send, write or read");
       }},
      {"test", 0, required_argument, "test",
       [](Options& o, Text n, Text v) { o.tests = named<Test>(n, v, test_named, "bw or lat"); }},
      {"all", 'a', no_argument, "size", [](Options& o, Text, Text) { o.sizes = all_sizes(); }},
      {"size", 's', required_argument, "size", [](Options& o, Text n, Text v) { o.sizes = sizes(n, v); }},
      {"qp", 'q', required_argument, "qp", [](Options& o, Text n, Text v) { o.qps = queue_pairs(n, v); }},
      {"bidirectional", 'b', no_argument, "bidirectional",
       [](Options& o, Text, Text) { o.both_ways = true; }},
      {"tx-depth", 't', required_argument, "tx-depth",
       [](Options& o, Text n, Text v) { o.tx_depth = whole(n, v, 1, most_depth); }},
      {"rx-depth", 'r', required_argument, "rx-depth",
       [](Options& o, Text n, Text v) { o.rx_depth = whole(n, v, 1, most_depth); }},
      {"inline_size", 'I', required_argument, "inline_size",
       [](Options& o, Text n, Text v) { o.inline_bytes = whole(n, v, 0, most_inline); }},
      {"cq-mod", 'Q', required_argument, "cq-mod",
       [](Options& o, Text n, Text v) { o.cq_moderation = whole(n, v, 1, most_depth); }},
      {"mtu", 'm', required_argument, "mtu", [](Options& o, Text n, Text v) { o.mtu = mtu(n, v); }},
      {"sl", 'S', required_argument, "sl",
       [](Options& o, Text n, Text v) { o.service_level = whole(n, v, 0, most_level); }},
      {"tclass", 0, required_argument, "tclass",
       [](Options& o, Text n, Text v) { o.traffic_class = whole(n, v, 0, most_class); }},
      {"tos", 'T', required_argument, "tclass",
       [](Options& o, Text n, Text v) { o.traffic_class = whole(n, v, 0, most_class); }},
      {"qp-timeout", 'u', required_argument, "qp-timeout",
       [](Options& o, Text n, Text v) { o.qp_timeout = whole(n, v, 1, most_timeout); }},
      {"iters", 'n', required_argument, "iters",
       [](Options& o, Text n, Text v) { o.iterations = whole(n, v, 1, most_iterations); }},
      {"duration", 'D', required_argument, "duration",
       [](Options& o, Text n, Text v) { o.seconds = seconds(n, v); }},
  };
}

/// getopt_long's tables for the flags; the value it returns is `first_code` plus the flag's index.
constexpr int first_code = 1000;

void check(const Options& options) {
  if (options.help) return;
  if (options.server != options.host.empty())
    throw InputError(
        options.server
            ? fmt::format("rdma: found --server and the host \"{}\", expected one of them", options.host)
            : "rdma: found no host, expected the server's name, or --server to be one");
  if (options.keep && !options.server) throw InputError("rdma: found --keep without --server, expected both");
  if (options.server)
    for (const auto& [name, value] : {std::pair{"--output", options.output}, {"--samples", options.samples}})
      if (!value.empty())
        throw InputError(fmt::format("rdma: found {} on the server, expected it on the client", name));
}

std::string yes_no(bool value) {
  return value ? "yes" : "no";
}

template <class Value>
std::string or_default(const std::optional<Value>& value) {
  return value ? fmt::format("{}", *value) : "default";
}

}  // namespace

Options parse_options(const std::vector<std::string>& arguments) {
  std::vector<Flag> flags = flags_of_this_end();
  for (Flag& flag : flags_of_both_ends()) flags.push_back(std::move(flag));
  std::vector<option> long_flags;
  std::string letters = ":";  // first: getopt prints nothing itself
  for (std::size_t i = 0; i < flags.size(); ++i) {
    long_flags.push_back({flags[i].name, flags[i].argument, nullptr, first_code + static_cast<int>(i)});
    if (flags[i].letter == 0) continue;
    letters += flags[i].letter;
    if (flags[i].argument == required_argument) letters += ':';
  }
  long_flags.push_back({nullptr, 0, nullptr, 0});

  Options options;
  options.arguments = arguments;
  std::vector<std::string> words = {"rdma"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  std::vector<std::string> settings;
  optind = 0;  // glibc: start anew
  const int count = static_cast<int>(words.size());
  for (int code;
       (code = getopt_long(count, pointers.data(), letters.c_str(), long_flags.data(), nullptr)) != -1;) {
    if (code == ':')
      throw InputError(fmt::format("rdma: {}: found no value, expected one",
                                   pointers[static_cast<std::size_t>(optind - 1)]));
    if (code == '?') {
      std::vector<std::string> known;
      for (const Flag& flag : flags) known.push_back(fmt::format("--{}", flag.name));
      const std::string found = optopt > 0 && optopt < first_code
                                    ? fmt::format("-{}", static_cast<char>(optopt))
                                    : pointers[static_cast<std::size_t>(optind - 1)];
      throw InputError(fmt::format("rdma: found the unknown option \"{}\"{}; see sextant-measure rdma --help",
                                   found, did_you_mean(found, known)));
    }
    const auto flag = std::find_if(flags.begin(), flags.end(), [&](const Flag& each) {
      return code >= first_code ? &each - flags.data() == code - first_code : each.letter == code;
    });
    flag->apply(options, fmt::format("--{}", flag->name), optarg != nullptr ? optarg : "");
    if (flag->setting != nullptr) settings.emplace_back(flag->setting);
  }
  // getopt_long has put the words that are no options last, in `pointers` alone.
  for (auto word = pointers.begin() + optind; *word != nullptr; ++word) {
    if (!options.host.empty())
      throw InputError(
          fmt::format("rdma: found the hosts \"{}\" and \"{}\", expected one", options.host, *word));
    options.host = *word;
  }
  check(options);
  const auto effective = options.effective();
  for (const std::string& setting : settings) options.given[setting] = effective.at(setting);
  return options;
}

std::map<std::string, std::string> Options::effective() const {
  std::vector<std::string> operation_words, test_words, size_words;
  for (const Operation each : operations) operation_words.push_back(name(each));
  for (const Test each : tests) test_words.push_back(name(each));
  for (const std::int64_t bytes : sizes) size_words.push_back(measure::size_text(bytes));
  return {{"op", fmt::format("{}", fmt::join(operation_words, ","))},
          {"test", fmt::format("{}", fmt::join(test_words, ","))},
          {"size", fmt::format("{}", fmt::join(size_words, ","))},
          {"qp", fmt::format("{}", fmt::join(qps, ","))},
          {"bidirectional", yes_no(both_ways)},
          {"tx-depth", std::to_string(tx_depth)},
          {"rx-depth", std::to_string(rx_depth)},
          {"inline_size", or_default(inline_bytes)},
          {"cq-mod", or_default(cq_moderation)},
          {"mtu", or_default(mtu)},
          {"sl", std::to_string(service_level)},
          {"tclass", std::to_string(traffic_class)},
          {"qp-timeout", std::to_string(qp_timeout)},
          {"iters", or_default(iterations)},
          {"duration", fmt::format("{}", seconds)}};
}

std::vector<Block> Options::blocks() const {
  std::vector<Block> result;
  const auto add = [&](Block block) {
    result.push_back(block);
    // The CPU cannot watch GPU memory for a write that has arrived; perftest has no such test either.
    const bool watched = block.test == Test::latency && block.operation == Operation::write;
    if (!gpu_memory() || watched) return;
    block.gpu = true;
    result.push_back(block);
  };
  for (const Test test : tests)
    for (const Operation operation : operations) {
      if (test == Test::latency) {
        add({operation, test, 1, false, false, sizes});
        continue;
      }
      for (const int count : qps) add({operation, test, count, both_ways, false, sizes});
    }
  return result;
}

std::string disagreement(const std::map<std::string, std::string>& client,
                         const std::map<std::string, std::string>& given_to_server) {
  std::vector<std::string> differences;
  for (const auto& [name, value] : given_to_server) {
    const auto found = client.find(name);
    const std::string theirs = found == client.end() ? "unknown" : found->second;
    if (theirs != value)
      differences.push_back(
          fmt::format("--{} is {} at the client and {} at the server", name, theirs, value));
  }
  return fmt::format("{}", fmt::join(differences, "; "));
}

}  // namespace sextant::rdma
