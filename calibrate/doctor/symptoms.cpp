#include "calibrate/doctor/symptoms.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/base/figure.hpp"

namespace sextant {
namespace {

constexpr auto shipped_path = "calibrate/doctor/catalogue/symptoms.json";
constexpr Range positive{1e-9, 1e15};
constexpr Range not_negative{0, 1e15};
const std::vector<std::string> severities = {"wrong", "doubtful", "note"};

Finding read_symptom(const JsonValue& value) {
  const JsonObject entry = value.object();
  Finding finding;
  finding.symptom = entry.text("key");
  finding.severity = static_cast<Severity>(entry.choice("severity", severities));
  finding.expected = entry.text("expected");
  finding.source = entry.text("source");
  finding.mend = entry.text("mend");
  entry.finish();
  return finding;
}

CleanFabric read_clean(const JsonValue& value) {
  const JsonObject entry = value.object();
  const std::vector<double> bandwidth = entry.at("bandwidth").numbers(positive);
  const std::vector<double> latency = entry.at("latency_us").numbers(positive);
  if (bandwidth.size() != 2 || latency.size() != 2) value.fail("expected a low and a high figure each");
  const CleanFabric clean{entry.number("gbps", positive), bandwidth[0], bandwidth[1], latency[0], latency[1]};
  entry.finish();
  return clean;
}

ExpectedBusbw read_busbw(const JsonValue& value) {
  const JsonObject entry = value.object();
  const ExpectedBusbw expected{entry.text("op"),
                               entry.text("link"),
                               static_cast<int>(entry.integer("ranks", {2, 1e6})),
                               static_cast<int>(entry.integer("nodes", {1, 1e6})),
                               entry.number("gbps", not_negative),
                               entry.number("from_bytes", positive),
                               entry.number("low", positive),
                               entry.number("high", positive),
                               entry.text("source")};
  entry.finish();
  return expected;
}

/// Replaces each {word}; a word that nobody gave stays as it is.
std::string filled(const std::string& text, const std::map<std::string, std::string>& words) {
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t open = std::min(text.find('{', at), text.size());
    result.append(text, at, open - at);
    if (open == text.size()) break;
    const std::size_t close = text.find('}', open);
    const auto word =
        close == std::string::npos ? words.end() : words.find(text.substr(open + 1, close - open - 1));
    if (word == words.end()) {
      result += '{';
      at = open + 1;
    } else {
      result += word->second;
      at = close + 1;
    }
  }
  return result;
}

}  // namespace

std::string to_string(Severity severity) {
  return severities[static_cast<std::size_t>(severity)];
}

bool Diagnosis::something_wrong() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity != Severity::note; });
}

Symptoms::Symptoms(const JsonValue& value) {
  const JsonObject document = value.object();
  document.choice("format", {"sextant symptoms"});
  document.integer("version", {1, 1});
  for (const auto& [name, title] : document.at("sources").object().entries()) sources_[name] = title.text();
  for (const auto& [name, figure] : document.at("thresholds").object().entries())
    thresholds_[name] = read_figure(figure, positive).value;
  const JsonObject clean = document.at("clean_fabric").object();
  clean.text("source");
  for (const JsonValue& row : clean.at("rates").array()) clean_.push_back(read_clean(row));
  clean.finish();
  for (const JsonValue& row : document.at("expected_busbw").array())
    expected_busbw_.push_back(read_busbw(row));
  for (const JsonValue& row : document.at("symptoms").array()) {
    Finding finding = read_symptom(row);
    if (!symptoms_.emplace(finding.symptom, finding).second) row.fail("found the same key twice");
  }
  document.finish();
}

double Symptoms::threshold(const std::string& name) const {
  const auto found = thresholds_.find(name);
  if (found == thresholds_.end())
    throw InputError(fmt::format("{}: found no threshold '{}'", shipped_path, name));
  return found->second;
}

Finding Symptoms::describe(const std::string& symptom,
                           const std::map<std::string, std::string>& words) const {
  const auto found = symptoms_.find(symptom);
  if (found == symptoms_.end())
    throw InputError(fmt::format("{}: found no symptom '{}'", shipped_path, symptom));
  Finding finding = found->second;
  for (std::string* text : {&finding.expected, &finding.source, &finding.mend}) *text = filled(*text, words);
  return finding;
}

std::optional<CleanFabric> Symptoms::clean_fabric(double gbps) const {
  constexpr double near = 0.1;
  for (const CleanFabric& clean : clean_)
    if (std::abs(clean.gbps - gbps) <= near * clean.gbps) return clean;
  return std::nullopt;
}

Symptoms shipped_symptoms() {
  const auto files = embedded_files(shipped_path);
  if (files.empty()) throw InputError(fmt::format("{}: not built into this binary", shipped_path));
  return Symptoms(JsonValue::parse(files.front().content, shipped_path));
}

}  // namespace sextant
