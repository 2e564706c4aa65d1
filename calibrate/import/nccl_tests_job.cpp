#include "calibrate/import/nccl_tests_job.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <array>
#include <cctype>
#include <cmath>
#include <utility>

#include "models/base/error.hpp"
#include "models/hardware/catalogue.hpp"

namespace sextant::detail {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> tests = {
    {{"all_reduce", "all_reduce"},
     {"all_gather", "all_gather"},
     {"reduce_scatter", "reduce_scatter"},
     {"alltoall", "all_to_all"},
     {"broadcast", "broadcast"},
     {"reduce", "reduce"},
     {"gather", "gather"},
     {"scatter", "scatter"},
     {"sendrecv", "sendrecv"}}};

/// nccl-tests' bus bandwidth over its algorithm bandwidth (its doc/PERFORMANCE.md).
double bus_factor(const std::string& operation, int ranks) {
  if (operation == "broadcast" || operation == "reduce" || operation == "sendrecv") return 1;
  const double others = static_cast<double>(ranks - 1) / ranks;
  return operation == "all_reduce" ? 2 * others : others;
}

// Both bandwidths are printed to the hundredth.
constexpr double rounding = 0.011;

bool agree(double a, double b) {
  return std::abs(a - b) <= rounding + shipped_import_limits().rates_agree * std::max(a, b);
}

/// Lower-case words of letters and digits.
std::set<std::string> name_words(const std::string& text) {
  std::set<std::string> found;
  std::string word;
  for (const char c : text + " ") {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isalnum(letter) != 0) {
      word += static_cast<char>(std::tolower(letter));
    } else if (!word.empty()) {
      found.insert(std::move(word));
      word.clear();
    }
  }
  return found;
}

/// "h200", "6000", "gb10"; not "80gb", which several cards have.
bool is_model_number(const std::string& word) {
  const bool has_digit = word.find_first_of("0123456789") != std::string::npos;
  return has_digit && !(word.ends_with("gb") && std::isdigit(static_cast<unsigned char>(word.front())) != 0);
}

/// How many words of a card's full name the driver's name has; 0 if no model number is among them.
std::size_t shared_words(const std::set<std::string>& device, const Gpu& gpu) {
  std::size_t shared = 0;
  bool number = false;
  for (const std::string& word : name_words(gpu.full_name)) {
    if (!device.contains(word)) continue;
    ++shared;
    number = number || is_model_number(word);
  }
  return number ? shared : 0;
}

/// The card that the driver's name fits better than it fits `told`; null if there is none: a name that is not
/// in the catalogue contradicts nothing.
const Gpu* other_gpu(const std::string& device_name, const Gpu& told) {
  const std::set<std::string> device = name_words(device_name);
  std::size_t most = shared_words(device, told);
  const Gpu* best = nullptr;
  for (const Gpu& gpu : hardware_catalogue().gpus)
    if (const std::size_t shared = shared_words(device, gpu); shared > most) {
      most = shared;
      best = &gpu;
    }
  return best;
}

/// Racks of superchips (GB200) have one NVLink network.
bool nvlink_between_nodes(const std::string& gpu) {
  return !gpu.empty() && find_gpu(gpu).form_factor == "superchip";
}

/// As told, as NCCL's log says, or that of the GPU within one node.
std::string any_link_of(const NcclTestsJob& job, const ForeignOrigin& origin, const std::string& file) {
  if (!origin.link.empty() && !job.link.empty() && origin.link != job.link)
    throw InputError(fmt::format("{}: found the link {} in NCCL's log, expected {} as --link says", file,
                                 job.link, origin.link));
  if (!origin.link.empty()) return origin.link;
  if (!job.link.empty()) return job.link;
  if (job.hosts.size() == 1) {
    for (const Gpu& gpu : hardware_catalogue().gpus)
      if (gpu.name == origin.gpu) return gpu.nvlink_gbps ? "nvlink" : "pcie";
  }
  throw InputError(
      fmt::format("{}: the link between the {} nodes is not known, expected --link roce, ib or tcp", file,
                  job.hosts.size()));
}

}  // namespace

void NcclTestsJob::name_test(const std::string& program, const std::string& where) {
  std::string_view name = program;
  if (const std::size_t slash = name.rfind('/'); slash != std::string_view::npos)
    name.remove_prefix(slash + 1);
  const std::size_t end = name.find("_perf");
  if (end == std::string_view::npos) return;
  for (const auto& [theirs, ours] : tests)
    if (name.substr(0, end) == theirs) {
      operation = ours;
      return;
    }
  throw InputError(
      fmt::format("{}: found the test {}, expected one of a collective or sendrecv_perf", where, name));
}

void expect_told(const NcclTestsJob& job, const ForeignOrigin& origin, const std::string& where) {
  if (!origin.operation.empty() && !job.operation.empty() && origin.operation != job.operation)
    throw InputError(
        fmt::format("{}: found {}, expected {} as --op says", where, job.operation, origin.operation));
  if (origin.gpu.empty() || job.gpus.empty()) return;
  const Gpu& told = find_gpu(origin.gpu);
  for (const std::string& device : job.gpus)
    if (other_gpu(device, told) == nullptr) return;
  const std::string& device = *job.gpus.begin();
  throw InputError(fmt::format("{}: found the GPU '{}', which is {}, expected {} as was said (--gpu)", where,
                               device, other_gpu(device, told)->name, told.name));
}

std::string link_of(const NcclTestsJob& job, const ForeignOrigin& origin, const std::string& file) {
  std::string link = any_link_of(job, origin, file);
  const bool within_a_node = link == "pcie" || (link == "nvlink" && !nvlink_between_nodes(origin.gpu));
  if (job.hosts.size() > 1 && within_a_node)
    throw InputError(fmt::format("{}: found the link {} between {} nodes, expected roce, ib or tcp", file,
                                 link, job.hosts.size()));
  return link;
}

void pass_cell(RowGate& gate, const NcclTestsJob& job, const NcclTestsCell& cell, Measurement measurement,
               const RowPlace& place) {
  constexpr double bytes_per_us_of_gbps = 1e3;
  const double rate = cell.bytes / cell.us / bytes_per_us_of_gbps;
  if (cell.exact_time && !agree(rate, cell.algorithm_gbps))
    throw InputError(
        fmt::format("{}: found {:.6g} B in {:.6g} us and an algorithm bandwidth of {:.6g} GB/s, expected "
                    "{:.6g} GB/s; is one of them in another unit?",
                    gate.where(place), cell.bytes, cell.us, cell.algorithm_gbps, rate));
  const double bus = cell.algorithm_gbps * bus_factor(job.operation, job.ranks);
  if (std::abs(bus - cell.bus_gbps) > 2 * rounding + shipped_import_limits().rates_agree * bus)
    throw InputError(
        fmt::format("{}: found a bus bandwidth of {:.6g} GB/s, expected {:.6g} GB/s for {} over {} ranks",
                    gate.where(place), cell.bus_gbps, bus, job.operation, job.ranks));
  measurement.note =
      fmt::format("{}; {}", cell.in_place ? "in-place" : "out-of-place", fmt::join(job.gpus, ", "));
  const int nodes = static_cast<int>(job.hosts.size());
  if (job.operation == "sendrecv") {
    if (job.ranks != 2) return gate.leave_out("sendrecv_perf in a ring of more than two ranks", place);
    measurement.note += "; sendrecv_perf: both ways at once";
    PointToPointRow row;
    row.ranks = 2, row.nodes = nodes, row.link = job.link, row.bytes = cell.bytes, row.us = cell.us,
    row.gdr = job.gdr;
    measurement.row = row;
  } else {
    CollectiveRow row;
    row.op = job.operation;
    row.ranks = job.ranks;
    row.nodes = nodes;
    row.link = job.link;
    row.bytes = cell.bytes;
    row.us = cell.us;
    row.dtype = cell.type;
    row.impl = "nccl";
    row.nvls = job.nvls;
    row.gdr = job.gdr;
    measurement.row = row;
  }
  gate.pass(measurement, cell.us, place);
}

}  // namespace sextant::detail
