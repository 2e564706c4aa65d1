#include "tests/fuzz/targets.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/rdma_facts.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/profile/engine_profile.hpp"
#include "models/profile/gpu_profile.hpp"
#include "models/profile/link_profile.hpp"
#include "sim/scenario/mix_question.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant::fuzz {
namespace {

/// A file in memory, for readers that take a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(memfd_create("fuzz", 0)) {
    if (descriptor_ < 0) throw std::runtime_error("memfd_create failed");
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written <= 0) throw std::runtime_error("write failed");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// What is passed on must be a line that we read back.
void check(const Measurement& measurement) {
  const std::string line = write_measurement(measurement);
  const std::string again = write_measurement(read_measurement(JsonValue::parse(line, "line")));
  if (std::holds_alternative<OtherRow>(measurement.row)) return;  // written as it came
  if (again != line) throw std::logic_error("found " + again + ", expected " + line);
}

using Foreign = void (*)(const std::string&, const ForeignOrigin&, ImportReport&, const MeasurementSink&);

template <Foreign Import>
void foreign(std::string_view bytes) {
  const MemoryFile file(bytes);
  ImportReport report;
  ForeignOrigin origin;
  origin.gpu = "h100-sxm";
  origin.operation = "all_reduce";
  origin.rate_gbps = 400;
  origin.bytes = 536870912;
  Import(file.path(), origin, report, [](const Measurement& measurement) { check(measurement); });
  (void)report.text();
}

/// The first byte chooses the table.
void kernel_tables(std::string_view bytes) {
  using Table = void (*)(const std::string&, const TableOrigin&, ImportReport&, const MeasurementSink&);
  constexpr std::array<Table, 10> tables = {import_gemm_table,
                                            import_context_attention_table,
                                            import_generation_attention_table,
                                            import_moe_table,
                                            import_context_mla_table,
                                            import_generation_mla_table,
                                            import_mla_context_module_table,
                                            import_mla_generation_module_table,
                                            import_nccl_table,
                                            import_custom_allreduce_table};
  if (bytes.empty()) return;
  const MemoryFile file(bytes.substr(1));
  ImportReport report;
  tables[static_cast<unsigned char>(bytes.front()) % tables.size()](
      file.path(), {"h100-sxm", "nvlink"}, report,
      [](const Measurement& measurement) { check(measurement); });
  (void)report.text();
}

/// ibstat, ibv_devinfo, mlnx_qos, lspci: each may refuse.
void rdma_tools(std::string_view bytes) {
  const MemoryFile file(bytes);
  const auto attempt = [&](auto read) {
    try {
      (void)read(file.path());
    } catch (const InputError&) {
    }
  };
  attempt(read_ibstat);
  attempt(read_ibv_devinfo);
  attempt(read_mlnx_qos);
  attempt(read_lspci);
}

void json(std::string_view bytes) {
  const std::string text = JsonValue::parse(bytes, "file").dump();
  if (JsonValue::parse(text, "file").dump() != text)
    throw std::logic_error("the text of a value is not its own");
}

void measurement(std::string_view bytes) {
  check(read_measurement(JsonValue::parse(bytes, "file")));
}

void profile(std::string_view bytes) {
  const JsonValue value = JsonValue::parse(bytes, "file");
  const auto attempt = [&](auto&& read) {
    try {
      read(value);
    } catch (const InputError&) {
    }
  };
  attempt([](const JsonValue& file) { read_gpu_profile(file); });
  attempt([](const JsonValue& file) { read_link_profile(file); });
  attempt([](const JsonValue& file) { read_engine_profile(file); });
}

void scenario(std::string_view bytes) {
  const JsonValue document = JsonValue::parse(bytes, "file");
  if (asks_for_mix(document))
    read_mix_question(document);
  else
    read_scenario(document);
}

}  // namespace

const std::vector<Target>& targets() {
  static const std::string examples = "tests/fixtures/import";
  static const std::vector<Target> list = {
      {"kernel_tables", kernel_tables, {}},
      {"nccl_tests", foreign<import_nccl_tests>, {{examples, "nccl-tests"}}},
      {"perftest", foreign<import_perftest>, {{examples, "perftest"}}},
      {"iperf3", foreign<import_iperf3>, {{examples, "iperf3"}}},
      {"nvbandwidth", foreign<import_nvbandwidth>, {{examples, "nvbandwidth"}}},
      {"topology", foreign<import_topology>, {{examples, "topo"}}},
      {"nccl_log", foreign<import_nccl_log>, {{examples, "nccl"}, {"tests/calibrate/doctor/logs", ""}}},
      {"rdma_tools", rdma_tools, {{examples, "rdma-"}}},
      {"measurements", foreign<import_measurements>, {}},
      {"measurement", measurement, {}},
      {"json", json, {{examples, "iperf3"}}},
      {"profile",
       profile,
       {{"tests/fixtures", "gpu.toy"},
        {"tests/fixtures/profiles", "link."},
        {"tests/fixtures/profiles", "engine."}}},
      {"scenario", scenario, {{"scenarios", ""}}}};
  return list;
}

const Target& find_target(std::string_view name) {
  for (const Target& target : targets())
    if (name == target.name) return target;
  throw std::invalid_argument("no such target: " + std::string(name));
}

}  // namespace sextant::fuzz
