#include "reports/launch/nccl_environment.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "reports/launch/nccl_traffic.hpp"
#include "reports/number_text.hpp"
#include "reports/terminal.hpp"

namespace sextant {
namespace {

constexpr auto catalogue_path = "calibrate/doctor/catalogue/nccl-variables.json";

/// What the catalogue knows of a variable.
struct KnownVariable {
  NcclVariable variable;
  std::string claims, measured;
  double default_bytes = 0;
};

std::vector<KnownVariable> known_variables() {
  const auto files = embedded_files(catalogue_path);
  if (files.empty()) throw InputError(fmt::format("{}: not built into this binary", catalogue_path));
  const JsonObject document = JsonValue::parse(files.front().content, catalogue_path).object();
  document.choice("format", {"sextant nccl variables"});
  document.integer("version", {1, 1});
  std::vector<KnownVariable> known;
  for (const JsonValue& value : document.at("variables").array()) {
    const JsonObject entry = value.object();
    KnownVariable one;
    one.variable.name = entry.text("name");
    if (const auto text = entry.find("value")) one.variable.value = text->text();
    one.variable.look_up = entry.text_or("look_up", "");
    one.variable.reason = entry.text("reason");
    one.variable.source = entry.text("source");
    one.claims = entry.text_or("claims", "");
    one.measured = entry.text_or("measured", "");
    one.default_bytes = entry.number_or("default_bytes", 0, {0, 1e12});
    entry.boolean_or("needed_for_gpudirect", false);
    entry.finish();
    known.push_back(std::move(one));
  }
  document.finish();
  return known;
}

/// Decides, variable by variable, for one scenario and layout.
class Recommender {
 public:
  Recommender(const Scenario& scenario, const Candidate& candidate)
      : scenario_(scenario), traffic_(nccl_traffic(scenario, candidate)) {}

  /// Sets value, support and evidence; false: the scenario has no use for the variable.
  bool decide(const KnownVariable& known, NcclVariable& variable) const {
    const auto rule = rules().find(variable.name);
    if (rule == rules().end()) return left_to_nccl(known, variable);
    return (this->*rule->second)(known, variable);
  }

 private:
  using Rule = bool (Recommender::*)(const KnownVariable&, NcclVariable&) const;

  static const std::map<std::string, Rule>& rules() {
    static const std::map<std::string, Rule> table = {
        {"NCCL_DEBUG", &Recommender::debug},
        {"NCCL_IB_DISABLE", &Recommender::ib_disable},
        {"NCCL_NET_GDR_LEVEL", &Recommender::gpudirect},
        {"NCCL_IB_HCA", &Recommender::adapters},
        {"NCCL_IB_GID_INDEX", &Recommender::roce_only},
        {"NCCL_IB_TC", &Recommender::traffic_class},
        {"NCCL_SOCKET_IFNAME", &Recommender::between_nodes},
        {"NCCL_BUFFSIZE", &Recommender::buffer},
        {"NCCL_P2P_LEVEL", &Recommender::peers},
        {"NCCL_ALGO", &Recommender::algorithm},
        {"NCCL_CROSS_NIC", &Recommender::cross_nic},
        {"NCCL_IB_SL", &Recommender::rdma_left_alone},
        {"NCCL_IB_PCI_RELAXED_ORDERING", &Recommender::rdma_left_alone},
        {"NCCL_NVLS_ENABLE", &Recommender::multicast}};
    return table;
  }

  bool rdma() const { return traffic_.between_nodes && scenario_.cluster.network.transport != "tcp"; }
  bool roce() const { return rdma() && scenario_.cluster.network.transport == "roce"; }
  bool any_traffic() const {
    return traffic_.between_nodes || !traffic_.group.empty() || traffic_.inside_pcie_peers;
  }

  bool debug(const KnownVariable&, NcclVariable& variable) const {
    variable.support = NcclSupport::claimed;
    return any_traffic();
  }

  bool ib_disable(const KnownVariable&, NcclVariable& variable) const {
    if (!traffic_.between_nodes) return false;
    if (rdma()) return true;
    variable.value.emplace("1");
    variable.reason =
        "the scenario's network is TCP: NCCL must not try an RDMA device that is not part of it";
    variable.source = "the scenario's cluster.network.transport";
    return true;
  }

  bool gpudirect(const KnownVariable& known, NcclVariable& variable) const {
    if (!rdma()) return false;
    if (!scenario_.cluster.network.gpudirect) {
      variable.value = std::nullopt;
      variable.reason =
          "the scenario has no GPUDirect RDMA (cluster.network.gpudirect): a level would change nothing";
      return true;
    }
    return with_evidence(known, variable, gpudirect_evidence(scenario_, traffic_));
  }

  bool adapters(const KnownVariable&, NcclVariable& variable) const {
    if (!rdma()) return false;
    std::vector<std::string> names;
    for (int i = 0; i < std::max(1, traffic_.nics); ++i) names.push_back(fmt::format("mlx5_{}", i));
    variable.value = fmt::format("{}", fmt::join(names, ","));
    return true;
  }

  bool roce_only(const KnownVariable&, NcclVariable&) const { return roce(); }
  bool traffic_class(const KnownVariable&, NcclVariable&) const { return roce() && traffic_.through_switch; }
  bool between_nodes(const KnownVariable&, NcclVariable&) const { return traffic_.between_nodes; }

  bool buffer(const KnownVariable& known, NcclVariable& variable) const {
    if (!traffic_.between_nodes) return false;
    const double largest =
        std::max(traffic_.chunk_hop_bytes, traffic_.group.empty() ? 0 : traffic_.chunk_reduce_bytes);
    variable.evidence = fmt::format(
        "the largest transfer of this layout is {}, NCCL's default buffer {}; no measurement "
        "of either value is known here",
        bytes_text(largest), bytes_text(known.default_bytes));
    if (largest > known.default_bytes) return true;
    variable.value = std::nullopt;
    variable.support = NcclSupport::modelled;
    variable.reason =
        "left to NCCL: every transfer of this layout fits in the default buffer, a larger one would cost "
        "memory for nothing";
    return true;
  }

  bool peers(const KnownVariable& known, NcclVariable& variable) const {
    if (!traffic_.inside_pcie_peers) return false;
    return with_evidence(known, variable, peer_evidence(scenario_, traffic_));
  }

  bool algorithm(const KnownVariable& known, NcclVariable& variable) const {
    if (traffic_.group.empty()) {
      variable.reason = "left to NCCL: this layout has no tensor-parallel group, so nothing is reduced";
      variable.support = NcclSupport::modelled;
      return any_traffic();
    }
    left_to_nccl(known, variable);
    if (const std::string modelled = algorithm_evidence(traffic_, scenario_.cluster); !modelled.empty())
      variable.evidence =
          fmt::format("{}. Measured: {}. Against: {}", modelled, known.measured, known.claims);
    // Ring against tree was measured inside a node; the claim is about groups across nodes.
    if (traffic_.between_nodes) variable.support = NcclSupport::modelled;
    return true;
  }

  bool cross_nic(const KnownVariable& known, NcclVariable& variable) const {
    return rdma() && traffic_.nics > 1 && left_to_nccl(known, variable);
  }
  bool rdma_left_alone(const KnownVariable& known, NcclVariable& variable) const {
    return rdma() && left_to_nccl(known, variable);
  }
  bool multicast(const KnownVariable& known, NcclVariable& variable) const {
    return !traffic_.group.empty() && !traffic_.inside_pcie_peers && left_to_nccl(known, variable);
  }

  bool left_to_nccl(const KnownVariable& known, NcclVariable& variable) const {
    if (traffic_.group.empty() && !rdma()) return false;
    variable.evidence = known.measured;
    if (!known.claims.empty()) variable.evidence += fmt::format(". Against: {}", known.claims);
    variable.support = known.measured.empty() ? NcclSupport::claimed
                       : known.claims.empty() ? NcclSupport::measured
                                              : NcclSupport::contradicted;
    return true;
  }

  /// Modelled figures of this scenario, then measured ones, then claims.
  static bool with_evidence(const KnownVariable& known, NcclVariable& variable, const std::string& modelled) {
    variable.support = !known.measured.empty() ? NcclSupport::measured
                       : !modelled.empty()     ? NcclSupport::modelled
                                               : NcclSupport::claimed;
    for (const std::string& part : {modelled, known.measured, known.claims})
      if (!part.empty()) variable.evidence += (variable.evidence.empty() ? "" : ". ") + part;
    return true;
  }

  const Scenario& scenario_;
  NcclTraffic traffic_;
};

std::string comment(const std::string& text) {
  constexpr int width = 110;
  return wrapped(text, "# ", width);
}

/// The lines of `wrapped` start with blanks after the first; a script needs them to be comments too.
std::string comment_lines(const std::string& text) {
  std::string lines = comment(text);
  for (std::size_t at = lines.find("\n  "); at != std::string::npos; at = lines.find("\n  ", at + 1))
    lines[at + 1] = '#';
  return lines;
}

/// A word the shell takes as it is, whatever it holds.
std::string quoted(const std::string& text) {
  if (text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_,.:=^-") ==
      std::string::npos)
    return text;
  std::string word = "'";
  for (const char c : text)
    if (c == '\'')
      word += "'\\''";
    else
      word += c;
  word += '\'';
  return word;
}

}  // namespace

std::string to_string(NcclSupport support) {
  constexpr std::array<const char*, 4> words = {"measured", "modelled", "claimed, not measured",
                                                "a claim that measurement contradicts"};
  return words[static_cast<std::size_t>(support)];
}

std::vector<NcclVariable> nccl_environment(const Scenario& scenario, const Candidate& candidate) {
  const Recommender recommender(scenario, candidate);
  std::vector<NcclVariable> variables;
  for (const KnownVariable& known : known_variables()) {
    NcclVariable variable = known.variable;
    if (recommender.decide(known, variable)) variables.push_back(std::move(variable));
  }
  return variables;
}

std::string nccl_environment_script(const std::string& scenario_name,
                                    const std::vector<NcclVariable>& variables) {
  std::string text = comment_lines("NCCL's environment for " + scenario_name +
                                   ": source it on every node, before the engine");
  for (const NcclVariable& variable : variables) {
    text += '\n';
    text += comment_lines(fmt::format("{}: {}", variable.name, variable.reason));
    text += comment_lines(fmt::format("{}{}{}", to_string(variable.support),
                                      variable.evidence.empty() ? "" : ": ", variable.evidence));
    text += comment_lines("from: " + variable.source);
    if (!variable.look_up.empty()) text += comment_lines("look up: " + variable.look_up);
    if (variable.value)
      text += fmt::format("export {}={}\n", variable.name, quoted(*variable.value));
    else if (variable.must_be_filled_in())
      text += fmt::format("export {0}=\"${{{0}:?set it for this node, see above}}\"\n", variable.name);
    else
      text += fmt::format("# {} is not set\n", variable.name);
  }
  return text;
}

}  // namespace sextant
