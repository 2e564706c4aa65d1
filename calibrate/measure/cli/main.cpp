#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/measure/fabric/fabric_command.hpp"
#include "calibrate/measure/tcp/tcp_command.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"

// sextant-measure itself needs neither CUDA nor NCCL nor MPI, so that it starts on any host: what a verb
// needs is in an executable beside it, which takes this process's place.

namespace sextant::measure {
namespace {

struct Verb {
  const char* name;
  const char* executable;
  const char* does;
  const char* needs;  ///< to be built
};
constexpr const char* cuda = "a CUDA toolkit";
constexpr std::array verbs = {
    Verb{"gpu", "sextant-measure-gpu", "times the operators of a language model on one GPU", cuda},
    Verb{"nccl", "sextant-measure-gpu", "times collectives, as nccl-tests does", cuda},
    Verb{"step", "sextant-measure-gpu", "times whole steps of a model on the GPUs of this host", cuda},
    Verb{"rdma", "sextant-measure-rdma", "bandwidth and latency between two RDMA ports, as perftest does",
         "the headers of libibverbs (libibverbs-dev)"},
};

/// A verb of this executable itself, which needs nothing but sockets.
struct OwnVerb {
  const char* name;
  const char* does;
  int (*run)(const std::vector<std::string>& arguments, const std::string& version);
};
constexpr std::array own_verbs = {
    OwnVerb{"tcp", "bandwidth of TCP streams between two hosts", tcp::run_tcp_command},
    OwnVerb{"fabric", "the whole network of a cluster, host by host and pair by pair",
            measure_fabric::run_fabric_command},
};

std::string overview() {
  std::string text = "sextant-measure VERB [options]: measures this machine's hardware\n\nVerbs:\n";
  for (const Verb& verb : verbs) text += fmt::format("  {:<8}{}\n", verb.name, verb.does);
  for (const OwnVerb& verb : own_verbs) text += fmt::format("  {:<8}{}\n", verb.name, verb.does);
  return text + "\n`sextant-measure VERB --help` has each verb's options and an example.\n";
}

const Verb& find_verb(const std::string& name) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs) {
    if (name == verb.name) return verb;
    names.emplace_back(verb.name);
  }
  for (const OwnVerb& verb : own_verbs) names.emplace_back(verb.name);
  throw InputError(fmt::format("found the unknown verb '{}'{}; see sextant-measure --help", name,
                               did_you_mean(name, names)));
}

[[noreturn]] void start(const Verb& verb, char** words) {
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe");
  const std::string path = (own.parent_path() / verb.executable).string();
  execv(path.c_str(), words);
  if (errno == ENOENT)
    throw InputError(fmt::format("{}: not built: it needs {} (ninja {})", path, verb.needs, verb.executable));
  throw Error(ExitCode::failure, fmt::format("{}: cannot start: {}", path, std::strerror(errno)));
}

int run(int count, char** words) {
  const std::string_view first = count > 1 ? words[1] : "--help";
  if (first == "--help" || first == "-h") {
    fmt::print("{}", overview());
    return 0;
  }
  if (first == "--version") {
    fmt::print("sextant-measure " SEXTANT_VERSION "\n");
    return 0;
  }
  for (const OwnVerb& verb : own_verbs)
    if (first == verb.name)
      return verb.run(std::vector<std::string>(words + 2, words + count), SEXTANT_VERSION);
  start(find_verb(std::string(first)), words);
}

}  // namespace
}  // namespace sextant::measure

int main(int count, char** words) {
  try {
    return sextant::measure::run(count, words);
  } catch (const sextant::Error& error) {
    fmt::print(stderr, "sextant-measure: {}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "sextant-measure: internal error: {}\n", error.what());
    return 1;
  }
}
