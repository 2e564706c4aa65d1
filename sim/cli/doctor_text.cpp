#include "sim/cli/doctor_text.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "reports/number_text.hpp"
#include "reports/terminal.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

Tone tone_of(Severity severity) {
  return severity == Severity::wrong      ? Tone::bad
         : severity == Severity::doubtful ? Tone::caution
                                          : Tone::plain;
}

double percent_change(double base, double changed) {
  return base > 0 ? 100 * (changed - base) / base : 0;
}

std::string changes_text(const std::vector<ScenarioChange>& changes) {
  std::vector<std::string> words;
  for (const auto& [path, value] : changes) words.push_back(path + "=" + value);
  return fmt::format("{}", fmt::join(words, " "));
}

std::string price_text(const DoctorReport& report, const FaultPrice& price) {
  if (!price.output_throughput) return fmt::format("not priced: {}", price.why_not);
  return fmt::format("{} output tokens/s in place of {} ({:+.1f} %)", number_text(*price.output_throughput),
                     number_text(report.base), percent_change(report.base, *price.output_throughput));
}

std::string cost_text(const DoctorReport& report, std::size_t index) {
  const Finding& finding = report.diagnosis.findings[index];
  if (report.scenario.empty())
    return finding.changes.empty()
               ? ""
               : fmt::format("give a scenario to have it priced ({})", changes_text(finding.changes));
  if (index >= report.prices.size() || !report.prices[index])
    return "not priced: the simulator has no word for it";
  return price_text(report, *report.prices[index]) + ", " + changes_text(finding.changes);
}

std::string finding_text(const DoctorReport& report, std::size_t index, TextStyle style) {
  const Finding& finding = report.diagnosis.findings[index];
  constexpr std::size_t label_width = 10;
  std::string head = to_string(finding.severity);
  std::transform(head.begin(), head.end(), head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const std::string indent(label_width, ' ');
  std::string text = paint(head, tone_of(finding.severity), style);
  text += indent.substr(std::min(label_width - 1, head.size()));
  text += wrapped(finding.subject + ": " + finding.found, indent, style.width).substr(label_width);
  const auto line = [&](const char* label, const std::string& what) {
    if (!what.empty()) text += wrapped(what, fmt::format("{}{:<10}", indent, label), style.width);
  };
  line("expected", finding.expected);
  line("says", finding.source);
  if (finding.severity != Severity::note) line("costs", cost_text(report, index));
  line("mend", finding.mend);
  return text;
}

std::string sources_text(const DoctorReport& report, const Symptoms& symptoms, TextStyle style) {
  std::vector<std::string> named;
  for (const auto& [name, title] : symptoms.sources())
    if (std::any_of(report.diagnosis.findings.begin(), report.diagnosis.findings.end(),
                    [&, key = name](const Finding& finding) {
                      return finding.source.find(key) != std::string::npos;
                    }))
      named.push_back(name + " " + title);
  return named.empty() ? "" : wrapped(fmt::format("{}", fmt::join(named, "; ")), "", style.width) + "\n";
}

int count(const Diagnosis& diagnosis, Severity severity) {
  return static_cast<int>(
      std::count_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                    [&](const Finding& finding) { return finding.severity == severity; }));
}

Json price_json(const DoctorReport& report, const FaultPrice& price) {
  if (!price.output_throughput) return {{"not_priced", price.why_not}};
  return {{"output_throughput", *price.output_throughput},
          {"change_percent", percent_change(report.base, *price.output_throughput)}};
}

}  // namespace

std::string doctor_text(const DoctorReport& report, const Symptoms& symptoms, TextStyle style) {
  const Diagnosis& diagnosis = report.diagnosis;
  std::string text;
  if (!report.scenario.empty())
    text += wrapped(fmt::format("{}: {} output tokens/s on the fabric as it should be ({})", report.scenario,
                                number_text(report.base), report.layout),
                    "", style.width) +
            "\n";
  for (std::size_t i = 0; i < diagnosis.findings.size(); ++i) text += finding_text(report, i, style) + "\n";
  if (report.together)
    text += wrapped("all findings together: " + price_text(report, *report.together), "", style.width) + "\n";
  text += sources_text(report, symptoms, style);
  for (const std::string& passed : diagnosis.passed) text += wrapped(passed, "ok        ", style.width);
  for (const Unchecked& one : diagnosis.unchecked)
    text += wrapped(fmt::format("could not check: {}: {}", one.what, one.why), "", style.width);
  const int wrong = count(diagnosis, Severity::wrong), doubtful = count(diagnosis, Severity::doubtful);
  text += fmt::format("\n{} wrong, {} doubtful, {} to note; {} as it should be; {} could not be checked\n",
                      wrong, doubtful, count(diagnosis, Severity::note), diagnosis.passed.size(),
                      diagnosis.unchecked.size());
  return text;
}

std::string doctor_json(const DoctorReport& report, const Symptoms& symptoms) {
  Json json = {{"format", "sextant doctor"}, {"version", 1}};
  json["scenario"] = report.scenario.empty() ? Json() : Json(report.scenario);
  if (!report.scenario.empty())
    json["base"] = {{"layout", report.layout}, {"output_throughput", report.base}};
  json["something_wrong"] = report.diagnosis.something_wrong();
  json["findings"] = Json::array();
  for (std::size_t i = 0; i < report.diagnosis.findings.size(); ++i) {
    const Finding& finding = report.diagnosis.findings[i];
    Json changes = Json::object();
    for (const auto& [path, value] : finding.changes) changes[path] = value;
    Json entry = {{"symptom", finding.symptom},   {"severity", to_string(finding.severity)},
                  {"subject", finding.subject},   {"found", finding.found},
                  {"expected", finding.expected}, {"source", finding.source},
                  {"mend", finding.mend},         {"changes", changes}};
    entry["cost"] =
        i < report.prices.size() && report.prices[i] ? price_json(report, *report.prices[i]) : Json();
    json["findings"].push_back(entry);
  }
  json["together"] = report.together ? price_json(report, *report.together) : Json();
  json["passed"] = report.diagnosis.passed;
  json["could_not_check"] = Json::array();
  for (const Unchecked& one : report.diagnosis.unchecked)
    json["could_not_check"].push_back({{"what", one.what}, {"why", one.why}});
  json["sources"] = symptoms.sources();
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sextant
