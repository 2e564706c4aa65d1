#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/profile/measurement_fields.hpp"
#include "sim/validation/summary.hpp"

namespace sextant {
namespace {

constexpr std::array statistics = {Statistic::median, Statistic::p90, Statistic::worst, Statistic::bias};

[[noreturn]] void refuse(const std::string& text, const std::string& message) {
  throw InputError(fmt::format("--fail-above {}: {}", text, message));
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

Statistic read_statistic(const std::string& text, const std::string& word) {
  std::vector<std::string> words;
  for (const Statistic statistic : statistics) {
    words.push_back(to_string(statistic));
    if (words.back() == word) return statistic;
  }
  refuse(text, fmt::format("found the statistic '{}', expected one of {}", word, fmt::join(words, ", ")));
}

double read_percent(const std::string& text, const std::string& word) {
  double percent = 0;
  const char* end = word.data() + word.size();
  const auto [stopped, error] = std::from_chars(word.data(), end, percent);
  if (error != std::errc{} || stopped != end || !std::isfinite(percent) || percent < 0)
    refuse(text, fmt::format("found '{}', expected a number of percent, 0 or more", word));
  return percent;
}

template <std::size_t... Index>
std::vector<std::string> kind_names(std::index_sequence<Index...>) {
  return {detail::kind_name<std::variant_alternative_t<Index, MeasurementRow>>()...};
}

bool meets(const ErrorBound& bound, const GroupSummary& group) {
  return group.kind == bound.kind && group.part == bound.part &&
         (bound.gpu.empty() || group.gpu == bound.gpu);
}

}  // namespace

std::vector<std::string> measurement_kinds() {
  // The last alternative, OtherRow, has its kind from the row: mamba is what it holds beside headers.
  std::vector<std::string> kinds =
      kind_names(std::make_index_sequence<std::variant_size_v<MeasurementRow> - 1>());
  kinds.emplace_back("mamba");
  return kinds;
}

std::string to_string(Statistic statistic) {
  switch (statistic) {
    case Statistic::median:
      return "median";
    case Statistic::p90:
      return "p90";
    case Statistic::worst:
      return "worst";
    case Statistic::bias:
      return "bias";
  }
  return "";
}

double value_of(const GroupSummary& group, Statistic statistic) {
  switch (statistic) {
    case Statistic::median:
      return group.median;
    case Statistic::p90:
      return group.p90;
    case Statistic::worst:
      return group.worst;
    case Statistic::bias:
      return group.bias;
  }
  return 0;
}

ErrorBound read_error_bound(const std::string& text) {
  ErrorBound bound;
  bound.text = text;
  const std::size_t equals = text.rfind('=');
  const std::vector<std::string> words = split(text.substr(0, equals), ':');
  if (equals == std::string::npos || words.size() < 2 || words.size() > 3)
    refuse(text,
           "expected KIND[/PART][:GPU]:STATISTIC=PERCENT such as gemm:median=5 or step:h100-sxm:p90=15");
  bound.percent = read_percent(text, text.substr(equals + 1));
  bound.statistic = read_statistic(text, words.back());
  const std::size_t slash = words[0].find('/');
  bound.kind = words[0].substr(0, slash);
  if (slash != std::string::npos) bound.part = words[0].substr(slash + 1);
  if (words.size() == 3) bound.gpu = words[1];
  const std::vector<std::string> kinds = measurement_kinds();
  if (std::find(kinds.begin(), kinds.end(), bound.kind) == kinds.end())
    refuse(text, fmt::format("found the kind '{}', expected one of {}{}", bound.kind, fmt::join(kinds, ", "),
                             did_you_mean(bound.kind, kinds)));
  if ((slash != std::string::npos && bound.part.empty()) || (words.size() == 3 && bound.gpu.empty()))
    refuse(text, "found an empty part or GPU, expected a name");
  return bound;
}

std::vector<std::string> missed(const std::vector<ErrorBound>& bounds,
                                const std::vector<GroupSummary>& groups) {
  std::vector<std::string> result;
  for (const ErrorBound& bound : bounds) {
    bool any = false;
    for (const GroupSummary& group : groups) {
      if (!meets(bound, group) || group.values == 0) continue;
      any = true;
      const double percent = 100 * value_of(group, bound.statistic);
      if (std::abs(percent) > bound.percent)
        result.push_back(
            fmt::format("{}: {:.2f} % on {}", bound.text, percent, group.gpu.empty() ? "-" : group.gpu));
    }
    if (!any) result.push_back(fmt::format("{}: no value of it was predicted", bound.text));
  }
  return result;
}

}  // namespace sextant
