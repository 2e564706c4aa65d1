#include "calibrate/import/import_report.hpp"

#include <fmt/core.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

void count(std::map<std::string, Exclusion>& reasons, const std::string& reason, const std::string& where) {
  Exclusion& exclusion = reasons[reason];
  if (exclusion.rows++ == 0) exclusion.first = where;
}

std::string grouped(std::int64_t rows) {
  return rows < 1000 ? std::to_string(rows) : fmt::format("{},{:03}", grouped(rows / 1000), rows % 1000);
}

std::int64_t sum(const std::map<std::string, Exclusion>& reasons) {
  std::int64_t rows = 0;
  for (const auto& [reason, exclusion] : reasons) rows += exclusion.rows;
  return rows;
}

std::string list(const std::map<std::string, Exclusion>& reasons) {
  std::string text;
  for (const auto& [reason, exclusion] : reasons)
    text += fmt::format("\n  {} {} (first {})", grouped(exclusion.rows), reason, exclusion.first);
  return text;
}

}  // namespace

void ImportReport::exclude(const std::string& reason, const std::string& where) {
  if (strict) throw InputError(where);
  count(excluded, reason, where);
}

void ImportReport::leave_out(const std::string& reason, const std::string& where) {
  count(left_out, reason, where);
}

std::int64_t ImportReport::excluded_rows() const {
  return sum(excluded);
}

std::int64_t ImportReport::passed_rows() const {
  std::int64_t rows = 0;
  for (const auto& [kind, number] : passed) rows += number;
  return rows;
}

std::string ImportReport::text() const {
  std::string text = fmt::format("{} of {} rows passed on", grouped(passed_rows()), grouped(read));
  const char* separator = ": ";
  for (const auto& [kind, rows] : passed) {
    text += fmt::format("{}{} {}", separator, grouped(rows), kind);
    separator = ", ";
  }
  if (!excluded.empty())
    text +=
        fmt::format("\nexcluded {} of {} rows:{}", grouped(excluded_rows()), grouped(read), list(excluded));
  if (!left_out.empty()) text += fmt::format("\nleft out {} rows:{}", grouped(sum(left_out)), list(left_out));
  if (repeated != 0) {
    text += fmt::format("\n{} rows repeat what an earlier one measures", grouped(repeated));
    if (disagreeing != 0)
      text += fmt::format(", {} disagree (first {})", grouped(disagreeing), first_disagreement);
  }
  return text + "\n";
}

}  // namespace sextant
