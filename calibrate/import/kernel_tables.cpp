#include "calibrate/import/kernel_tables.hpp"

#include <fmt/core.h>

#include <array>
#include <filesystem>

#include "models/base/error.hpp"

namespace sextant {
namespace {

struct TableKind {
  const char* name;
  void (*import)(const std::string&, const TableOrigin&, ImportReport&, const MeasurementSink&);
};

constexpr std::array<TableKind, 10> table_kinds = {
    {{"gemm_perf.csv", import_gemm_table},
     {"context_attention_perf.csv", import_context_attention_table},
     {"generation_attention_perf.csv", import_generation_attention_table},
     {"moe_perf.csv", import_moe_table},
     {"context_mla_perf.csv", import_context_mla_table},
     {"generation_mla_perf.csv", import_generation_mla_table},
     {"mla_context_module_perf.csv", import_mla_context_module_table},
     {"mla_generation_module_perf.csv", import_mla_generation_module_table},
     {"nccl_perf.csv", import_nccl_table},
     {"custom_allreduce_perf.csv", import_custom_allreduce_table}}};

}  // namespace

std::string table_repository(const std::string& source) {
  if (source.empty()) return "an unnamed source";
  const std::size_t path = source.find(' '), licence = source.rfind(" (");
  if (path == std::string::npos) return source;
  return source.substr(0, path) + (licence == std::string::npos ? "" : source.substr(licence));
}

std::vector<std::string> import_kernel_tables(const std::string& folder, const TableOrigin& origin,
                                              ImportReport& report, const MeasurementSink& sink) {
  if (!std::filesystem::is_directory(folder))
    throw InputError(fmt::format("{}: found no folder of that name", folder));
  std::vector<std::string> read;
  for (const TableKind& kind : table_kinds) {
    for (const char* suffix : {"", ".gz"}) {
      const std::string path = (std::filesystem::path(folder) / kind.name).string() + suffix;
      if (!std::filesystem::exists(path)) continue;
      kind.import(path, origin, report, sink);
      read.push_back(path);
      break;
    }
  }
  if (read.empty())
    throw InputError(
        fmt::format("{}: found no kernel table, expected gemm_perf.csv.gz or another of its kind", folder));
  return read;
}

std::vector<std::string> import_kernel_tables(const std::string& folder, const TableOrigin& origin,
                                              const MeasurementSink& sink) {
  ImportReport report;
  report.strict = true;
  return import_kernel_tables(folder, origin, report, sink);
}

}  // namespace sextant
