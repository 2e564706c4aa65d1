#include "calibrate/measure/fabric/fabric_command.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <sstream>

#include "calibrate/measure/common/context.hpp"
#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "calibrate/measure/fabric/fabric_options.hpp"
#include "calibrate/measure/fabric/hosts.hpp"
#include "calibrate/measure/fabric/process.hpp"
#include "calibrate/measure/fabric/topology.hpp"
#include "models/base/error.hpp"

namespace sextant::measure_fabric {
namespace {

constexpr double start_seconds = 30;     // a launcher may need so long
constexpr double silence_seconds = 120;  // of a client between two rows
constexpr double nccl_seconds = 300;

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

/// The conductor on the host where the command was typed.
class Fabric {
 public:
  Fabric(Options options, const std::string& version)
      : options_(std::move(options)), version_(version), hosts_(read_hosts(options_.hosts_file)) {
    const bool slurm = std::getenv("SLURM_JOB_ID") != nullptr;
    const bool mpirun = on_path("mpirun");
    if (options_.launch.empty()) options_.launch = usual_launcher(slurm, mpirun);
    if (options_.mpi.empty() && slurm) options_.mpi = "srun --overlap --ntasks={n} --nodelist={hosts}";
    if (options_.mpi.empty() && mpirun) options_.mpi = "mpirun -n {n} --map-by node --host {hosts}";
    if (options_.program.empty()) options_.program = std::filesystem::read_symlink("/proc/self/exe").string();
  }

  int run() {
    if (options_.list) return list();
    open_file();
    for (const Host& host : hosts_) describe(host);
    for (std::size_t a = 0; a < hosts_.size(); ++a)
      for (std::size_t b = 0; b < hosts_.size(); ++b)
        if (a != b || hosts_.size() == 1) measure_pair(a, b);
    fmt::print(out(), "# {} rows{}\n", rows_, file_->path() == "-" ? "" : ", in " + file_->path());
    for (const std::string& text : failed_) fmt::print(out(), "# failed: {}\n", text);
    for (const std::string& text : skipped_) fmt::print(out(), "# skipped: {}\n", text);
    return static_cast<int>(failed_.empty() ? ExitCode::ok : ExitCode::failure);
  }

 private:
  std::FILE* out() const { return options_.output == "-" ? stderr : stdout; }
  bool wants(const char* part) const {
    return std::find(options_.parts.begin(), options_.parts.end(), part) != options_.parts.end();
  }

  int list() const {
    fmt::print("# on each host: {} {} fabric --describe\n", options_.launch, options_.program);
    for (const Host& from : hosts_)
      for (const Host& to : hosts_)
        if (&from != &to || hosts_.size() == 1)
          fmt::print("{} to {} ({}): {}\n", from.name, to.name, to.address, fmt::join(options_.parts, ", "));
    return static_cast<int>(ExitCode::ok);
  }

  std::vector<std::string> command(const Host& host, const std::vector<std::string>& arguments) const {
    std::vector<std::string> words;
    if (options_.launch != "local") words = launch_words(options_.launch, host.name);
    words.push_back(options_.program);
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }

  void open_file() {
    using Existing = measure::ResultFile::Existing;
    file_.emplace(options_.output, options_.resume ? Existing::resume : Existing::refuse);
    measure::Provenance provenance;
    provenance.version = version_;
    provenance.arguments = {"fabric"};
    provenance.arguments.insert(provenance.arguments.end(), options_.arguments.begin(),
                                options_.arguments.end());
    provenance.details["launch"] = options_.launch;
    file_->append_line(measure::context_line(provenance));
  }

  /// What a host has goes into the file as a context line of its own.
  void describe(const Host& host) {
    Process process(command(host, {"fabric", "--describe"}));
    const std::optional<std::string> line = process.line(start_seconds);
    if (!line || process.wait(start_seconds) != 0)
      throw Error(ExitCode::failure, fmt::format("{}: cannot be described; does `{}` work?", host.name,
                                                 fmt::join(command(host, {"fabric", "--describe"}), " ")));
    inventories_.push_back(Inventory::read(JsonValue::parse(*line, host.name)));
    file_->append_line(*line);
    const Inventory& found = inventories_.back();
    fmt::print(out(), "# {}: {} NIC ports, {} GPUs\n", host.name, found.nics.size(), found.gpus.size());
    for (const PcieDevice& gpu : found.gpus)
      for (const Nic& nic : found.nics)
        fmt::print(out(), "#   GPU {} to {}: {}\n", gpu.name, nic.name, pcie_distance(gpu, nic));
    std::fflush(out());
  }

  /// Both directions are measured: the loops give each pair in both orders, and data flow from `from` to
  /// `to`.
  void measure_pair(std::size_t from, std::size_t to) {
    const Host &sender = hosts_[from], &receiver = hosts_[to];
    if (wants("tcp"))
      attempt(fmt::format("tcp, {} to {}", sender.name, receiver.name), [&] {
        const std::string port = next_port();
        converse(
            receiver, {"tcp", "--server", "--once", "--wait", "60", "-p", port}, sender,
            {"tcp", "-o", "-", "-p", port, "-P", options_.streams, "-t", fmt::format("{}", options_.seconds),
             "--pair", sender.name + "-" + receiver.name, receiver.address});
      });
    if (wants("rdma")) measure_nics(from, to);
    if (wants("nccl") && from <= to) measure_nccl(from, to);
  }

  void measure_nics(std::size_t from, std::size_t to) {
    const auto active = [&](std::size_t host) {
      std::vector<Nic> nics;
      for (const Nic& nic : inventories_[host].nics)
        if (nic.active) nics.push_back(nic);
      return nics;
    };
    const std::vector<Nic> senders = active(from), receivers = active(to);
    if (senders.empty() || receivers.empty())
      skipped_.push_back(
          fmt::format("rdma, {} to {}: no active RDMA port", hosts_[from].name, hosts_[to].name));
    for (std::size_t i = 0; i < senders.size(); ++i)
      for (std::size_t j = 0; j < receivers.size(); ++j)
        if (options_.every_nic || i == j || (from == to && senders.size() > 1))
          measure_rdma(hosts_[from], senders[i], hosts_[to], receivers[j]);
  }

  void measure_rdma(const Host& sender, const Nic& from, const Host& receiver, const Nic& to) {
    const std::string pair = fmt::format("{}/{}-{}/{}", sender.name, from.name, receiver.name, to.name);
    attempt("rdma, " + pair, [&] {
      const std::string port = next_port();
      converse(receiver,
               {"rdma", "--server", "--wait", "60", "-d", to.name, "-i", std::to_string(to.port), "-p", port},
               sender,
               {"rdma", "-d", from.name, "-i", std::to_string(from.port), "-p", port, "-o", "-", "--pair",
                pair, "--op", "write,send", "-s", options_.sizes, "-D", fmt::format("{}", options_.seconds),
                receiver.address});
    });
  }

  /// One process for each GPU of both hosts; NCCL's own pairs and groups.
  void measure_nccl(std::size_t first, std::size_t second) {
    const std::string names =
        first == second ? hosts_[first].name : fmt::format("{},{}", hosts_[first].name, hosts_[second].name);
    const std::size_t gpus =
        inventories_[first].gpus.size() + (first == second ? 0 : inventories_[second].gpus.size());
    if (gpus < 2 || options_.mpi.empty()) {
      skipped_.push_back(
          fmt::format("nccl, {}: {}", names, gpus < 2 ? "fewer than two GPUs" : "neither srun nor mpirun"));
      return;
    }
    attempt("nccl, " + names, [&] {
      std::vector<std::string> words;
      std::istringstream pattern(options_.mpi);
      std::string with_slots;
      for (const std::size_t host : {first, second})
        if (host == first || first != second)
          with_slots += fmt::format("{}{}:{}", with_slots.empty() ? "" : ",", hosts_[host].name,
                                    inventories_[host].gpus.size());
      const bool slots = options_.mpi.starts_with("mpirun");
      for (std::string word; pattern >> word;)
        words.push_back(
            replaced(replaced(word, "{n}", std::to_string(gpus)), "{hosts}", slots ? with_slots : names));
      words.insert(words.end(), {"env", "MASTER_ADDR=" + hosts_[first].address, "MASTER_PORT=" + next_port(),
                                 options_.program, "nccl", "--quick", "--output", "-"});
      Process process(words);
      take_rows(process, nccl_seconds);
    });
  }

  /// A server on one host and its client on another, whose rows are kept.
  void converse(const Host& server_host, const std::vector<std::string>& server_words,
                const Host& client_host, const std::vector<std::string>& client_words) {
    Process server(command(server_host, server_words));
    constexpr std::string_view waiting = "waits on port";
    std::optional<std::string> line;
    do {
      line = server.line(start_seconds);
      if (!line)
        throw Error(ExitCode::failure, fmt::format("the server on {} did not start", server_host.name));
    } while (line->find(waiting) == std::string::npos);
    Process client(command(client_host, client_words));
    take_rows(client, silence_seconds);
  }

  void take_rows(Process& process, double seconds) {
    while (const std::optional<std::string> line = process.line(seconds)) {
      if (!line->starts_with('{')) continue;
      const Measurement row = read_measurement(JsonValue::parse(*line, "client"));
      if (std::holds_alternative<OtherRow>(row.row) || file_->has(row))
        continue;  // its context: this file has one
      file_->append(row);
      ++rows_;
    }
    if (const int code = process.wait(start_seconds); code != 0)
      throw Error(ExitCode::failure, fmt::format("its client ended with code {}", code));
  }

  template <class Work>
  void attempt(const std::string& name, Work work) {
    fmt::print(out(), "# {}\n", name);
    std::fflush(out());
    try {
      work();
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      failed_.push_back(fmt::format("{}: {}", name, error.what()));
    }
  }

  std::string next_port() {
    constexpr int ports = 1000;
    return std::to_string(options_.port + port_++ % ports);
  }

  Options options_;
  const std::string& version_;
  std::vector<Host> hosts_;
  std::vector<Inventory> inventories_;
  std::optional<measure::ResultFile> file_;
  std::vector<std::string> failed_, skipped_;
  std::size_t rows_ = 0;
  int port_ = 0;
};

}  // namespace

int run_fabric_command(const std::vector<std::string>& arguments, const std::string& version) {
  Options options = parse_options(arguments);
  if (options.help) {
    fmt::print("{}", help_text());
    return static_cast<int>(ExitCode::ok);
  }
  if (options.describe) {
    fmt::print("{}\n", take_inventory("/sys").write());
    return static_cast<int>(ExitCode::ok);
  }
  measure::watch_for_interrupt();
  return Fabric(std::move(options), version).run();
}

}  // namespace sextant::measure_fabric
