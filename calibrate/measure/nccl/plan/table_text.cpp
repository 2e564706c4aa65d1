#include "calibrate/measure/nccl/plan/table_text.hpp"

#include <fmt/core.h>

namespace sextant::nccl {
namespace {

/// A number in `width` characters, with as many decimals as fit: 2, 1 or none.
std::string number(double value, int width) {
  int digits = 0;
  for (double bound = 1; value >= bound && digits < 20; bound *= 10) ++digits;
  if (digits < width - 2) return fmt::format("{:{}.2f}", value, width);
  if (digits < width - 1) return fmt::format("{:{}.1f}", value, width);
  if (digits < width + 1) return fmt::format("{:{}.0f}", value, width);
  return fmt::format("{:{}.0e}", value, width);
}

std::string cell_text(const std::optional<TableCell>& cell) {
  if (!cell) return fmt::format("  {:>7}  {:>6}  {:>6}  {:>6}", "N/A", "N/A", "N/A", "N/A");
  const std::string wrong = cell->wrong ? fmt::format("{:6g}", static_cast<double>(*cell->wrong)) : "   N/A";
  return fmt::format("  {}  {}  {}  {}", number(cell->us, 7), number(cell->bandwidth.algbw, 6),
                     number(cell->bandwidth.busbw, 6), wrong);
}

}  // namespace

std::string table_heading() {
  std::string text = fmt::format(
      "# {:>10}  {:>12}  {:>8}  {:>6}  {:>6}           out-of-place                       in-place          "
      "\n",
      "", "", "", "", "");
  const char* columns =
      "# {:>10}  {:>12}  {:>8}  {:>6}  {:>6}  {:>7}  {:>6}  {:>6}  {:>6}  {:>7}  {:>6}  {:>6}  {:>6}\n";
  text += fmt::format(fmt::runtime(columns), "size", "count", "type", "redop", "root", "time", "algbw",
                      "busbw", "#wrong", "time", "algbw", "busbw", "#wrong");
  text += fmt::format(fmt::runtime(columns), "(B)", "(elements)", "", "", "", "(us)", "(GB/s)", "(GB/s)", "",
                      "(us)", "(GB/s)", "(GB/s)", "");
  return text;
}

std::string table_line(std::size_t size, std::size_t count, const std::string& type,
                       const std::string& reduction, int root, const std::optional<TableCell>& out_of_place,
                       const std::optional<TableCell>& in_place) {
  return fmt::format("{:12}  {:12}  {:>8}  {:>6}  {:>6}{}{}", size, count, type, reduction, root,
                     cell_text(out_of_place), cell_text(in_place));
}

std::string table_footer(long long wrong, double mean_busbw) {
  return fmt::format("# {:<20} : {} {}\n# {:<20} : {:g} \n#\n", "Out of bounds values", wrong,
                     wrong ? "FAILED" : "OK", "Avg bus bandwidth", mean_busbw);
}

}  // namespace sextant::nccl
