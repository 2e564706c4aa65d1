#include "calibrate/measure/common/result_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr mode_t readable_by_all = 0644;

[[noreturn]] void cannot(const std::string& path, const char* what) {
  throw Error(ExitCode::failure, fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno)));
}

bool is_context(const Measurement& measurement) {
  const auto* other = std::get_if<OtherRow>(&measurement.row);
  return other != nullptr && other->kind == "context";
}

}  // namespace

std::string row_identity(const Measurement& measurement) {
  // A row that was not measured yet may stand in for a row: write_measurement does not mind a time of zero.
  nlohmann::json json = nlohmann::json::parse(write_measurement(measurement));
  for (const char* measured :
       {"us", "ms", "stage_ms", "gbps", "relative_speed", "measured", "source", "note", "watts_limit",
        "relative_to_watts", "clock_mhz", "watts", "collective_us_alone", "collective_us_beside",
        "gemm_us_alone", "gemm_us_beside"})
    json.erase(measured);
  // No key of a copy says whether the host's memory is pinned.
  if (std::holds_alternative<CopyRow>(measurement.row) && measurement.note.starts_with("pageable"))
    json["host"] = "pageable";
  return json.dump();
}

void ResultFile::Close::operator()(std::FILE* file) const {
  if (file != stdout) std::fclose(file);
}

ResultFile::ResultFile(std::string path, Existing existing) : path_(std::move(path)) {
  if (path_ == "-") {
    file_.reset(stdout);
    return;
  }
  if (existing == Existing::resume && std::filesystem::exists(path_)) read_existing();
  const int exclusive = existing == Existing::refuse ? O_EXCL : 0;
  const int descriptor =
      ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | exclusive, readable_by_all);
  if (descriptor < 0 && errno == EEXIST)
    throw InputError(fmt::format(
        "{}: found a file, expected none: name another one, or add to this one with --resume", path_));
  if (descriptor < 0) cannot(path_, "write");
  file_.reset(::fdopen(descriptor, "a"));
  if (!file_) cannot(path_, "write");
}

void ResultFile::read_existing() {
  std::ifstream input(path_, std::ios::binary);
  if (!input) cannot(path_, "read");
  std::ostringstream all;
  all << input.rdbuf();
  const std::string content = all.str();
  std::size_t begin = 0, number = 0;
  for (std::size_t end; (end = content.find('\n', begin)) != std::string::npos; begin = end + 1) {
    ++number;
    const std::string line = content.substr(begin, end - begin);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Measurement row = read_measurement(JsonValue::parse(line, fmt::format("{}:{}", path_, number)));
    if (is_context(row)) continue;
    known_.insert(row_identity(row));
    ++resumed_;
  }
  // What follows the last line end is half a line of an interrupted run.
  if (begin < content.size() && ::truncate(path_.c_str(), static_cast<off_t>(begin)) != 0)
    cannot(path_, "truncate");
}

bool ResultFile::has(const Measurement& measurement) const {
  return known_.contains(row_identity(measurement));
}

void ResultFile::append(const Measurement& measurement) {
  append_line(write_measurement(measurement));
  if (is_context(measurement)) return;
  known_.insert(row_identity(measurement));
  ++appended_;
}

void ResultFile::append_line(const std::string& json) {
  const std::string line = json + "\n";
  const bool written = std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size();
  if (!written || std::fflush(file_.get()) != 0) cannot(path_, "write");
}

}  // namespace sextant::measure
