#include "calibrate/import/nccl_log_facts.hpp"

#include <algorithm>
#include <array>

#include "calibrate/import/foreign.hpp"

namespace sextant {
namespace {

/// The number that follows `key` in a text; -1 without one.
long long number_after(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return -1;
  text.remove_prefix(at + key.size());
  return detail::whole_number(text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size())));
}

/// "3[30000]" -> 3; -1 if it is no rank.
long long rank_of(std::string_view word) {
  return detail::whole_number(word.substr(0, word.find('[')));
}

/// "Channel 00/0 : 0[0] -> 1[0] [send] via NET/IB/0/GDRDMA": which channel, from, to and by what.
void read_connection(std::string_view message, NcclLogFacts& facts) {
  constexpr std::string_view arrow = " -> ", by = " via ", colon = " : ";
  const std::size_t via = message.find(by), to = message.find(arrow), start = message.find(colon);
  if (via == std::string_view::npos || to == std::string_view::npos || start == std::string_view::npos)
    return;
  if (start > to || to > via) return;
  const auto from_words = detail::words_of(message.substr(start + colon.size(), to - start - colon.size()));
  const auto to_words = detail::words_of(message.substr(to + arrow.size(), via - to - arrow.size()));
  const auto transport = detail::words_of(message.substr(via + by.size()));
  if (from_words.empty() || to_words.empty() || transport.empty()) return;
  const long long source = rank_of(from_words.front()), target = rank_of(to_words.front());
  if (source < 0 || target < 0) return;
  facts.transports[{source, target}][std::string(transport.front())].insert(
      std::string(message.substr(0, start)));
}

/// "24 coll channels, 16 nvls channels, 32 p2p channels, …"
void read_channels(std::string_view message, NcclLogFacts& facts) {
  const auto words = detail::words_of(message);
  for (std::size_t i = 0; i + 2 < words.size(); ++i)
    if (words[i + 2].starts_with("channels") && detail::whole_number(words[i]) >= 0)
      // "8 p2p channels, 2 p2p channels per peer": the first is the number of all.
      facts.channels.emplace(words[i + 1], detail::whole_number(words[i]));
}

/// "NET/IB : Using [0]mlx5_0:1/RoCE [1]mlx5_1:1/RoCE [RO]; OOB eth0:…"
void read_adapters(std::string_view message, NcclLogFacts& facts) {
  for (const std::string_view word : detail::words_of(message.substr(0, message.find(';')))) {
    const std::size_t close = word.find(']');
    if (word.starts_with('[') && close != std::string_view::npos && close + 1 < word.size() &&
        detail::whole_number(word.substr(1, close - 1)) >= 0)
      facts.adapters.insert(std::string(word.substr(close + 1)));
  }
}

/// "NCCL_IB_HCA set to mlx5_0", "NCCL_IB_DISABLE set by environment to 0."
void read_variable(std::string_view message, NcclLogFacts& facts) {
  if (!message.starts_with("NCCL_")) return;
  for (const std::string_view words : {" set by environment to ", " set to "}) {
    const std::size_t at = message.find(words);
    if (at == std::string_view::npos) continue;
    std::string_view value = message.substr(at + words.size());
    if (value.ends_with('.')) value.remove_suffix(1);
    facts.environment[std::string(message.substr(0, at))] = value;
    return;
  }
}

/// "NET/IB : GPU Direct RDMA Enabled for HCA 0 'mlx5_0'", "GPU Direct RDMA Disabled for GPU ca000 / HCA 0
/// (distance 7 > 4)"
void read_gdr(std::string_view message, NcclLogFacts& facts) {
  constexpr std::string_view enabled = "GPU Direct RDMA Enabled for ",
                             disabled = "GPU Direct RDMA Disabled for ";
  const std::size_t yes = message.find(enabled), no = message.find(disabled);
  if (yes == std::string_view::npos && no == std::string_view::npos) return;
  const std::string_view rest =
      message.substr(yes != std::string_view::npos ? yes + enabled.size() : no + disabled.size());
  const std::size_t open = rest.find('\''),
                    close = rest.find('\'', open == std::string_view::npos ? open : open + 1);
  if (rest.starts_with("HCA") && close != std::string_view::npos && message.starts_with("NET/IB"))
    facts.adapter_gdr[std::string(rest.substr(open + 1, close - open - 1))] = yes != std::string_view::npos;
  if (rest.starts_with("GPU") && no != std::string_view::npos && facts.gdr_refused.empty())
    facts.gdr_refused = rest;
}

/// "NET/IB: [0] mlx5_0:uverbs0:1/RoCE provider=Mlx5 speed=200000 context=… pciPath=… ar=0", speed in Mbit/s.
void read_adapter_rate(std::string_view message, NcclLogFacts& facts) {
  if (!message.starts_with("NET/IB: [")) return;
  constexpr double mbits_per_gbit = 1000;
  const long long speed = number_after(message, " speed=");
  const auto words = detail::words_of(message);
  if (speed <= 0 || words.size() < 3) return;
  facts.adapter_gbps[std::string(words[2].substr(0, words[2].find(':')))] =
      static_cast<double>(speed) / mbits_per_gbit;
}

void read_message(std::string_view message, NcclLogFacts& facts) {
  read_variable(message, facts);
  read_gdr(message, facts);
  read_adapter_rate(message, facts);
  if (const std::size_t at = message.find("NCCL version "); at != std::string_view::npos) {
    const auto words = detail::words_of(message.substr(at + 13));
    if (!words.empty()) facts.version = words.front();
  }
  if (message.starts_with("Using network ")) facts.network = message.substr(14);
  if (message.starts_with("NET/IB : Using")) read_adapters(message, facts);
  if (message.starts_with("NVLS comm") || message.starts_with("NVLS multicast support is available"))
    facts.nvls_set_up = true;
  for (const std::string_view key : {"nRanks ", "nranks "})
    facts.ranks = std::max(facts.ranks, number_after(message, key));
  if (message.starts_with("comm ") || message.starts_with("ncclCommInitRank "))
    if (const long long rank = number_after(message, " rank "); rank >= 0)
      facts.ranks_that_speak.insert(rank);
  facts.nodes = std::max(facts.nodes, number_after(message, "nNodes "));
  if (const long long gdr = number_after(message, " GDR "); gdr >= 0 && message.starts_with("Connected all"))
    facts.stated_gdr = facts.stated_gdr.value_or(true) && gdr > 0;
  read_connection(message, facts);
  read_channels(message, facts);
}

}  // namespace

long long NcclLogFacts::node_count() const {
  const bool complete = ranks > 0 && static_cast<long long>(ranks_that_speak.size()) == ranks;
  return complete && !hosts.empty() ? std::min(nodes, static_cast<long long>(hosts.size())) : nodes;
}

bool NcclLogFacts::read(std::string_view raw) {
  const std::string line = detail::plain_line(raw);
  const std::string_view text = line;
  for (const std::string_view mark : {" NCCL INFO ", " NCCL WARN "}) {
    const std::size_t at = text.find(mark);
    if (at == std::string_view::npos) continue;
    ++lines;
    if (const std::string_view head = text.substr(0, at); head.find(':') != std::string_view::npos) {
      const auto words = detail::words_of(head.substr(0, head.find(':')));
      if (!words.empty()) hosts.insert(std::string(words.back()));
    }
    if (mark == " NCCL WARN " && first_warning.empty()) first_warning = text.substr(at + mark.size());
    read_message(text.substr(at + mark.size()), *this);
    return true;
  }
  // Printed by rank 0 alone: "NCCL version 2.21.5+cuda12.4".
  if (text.starts_with("NCCL version ")) {
    ++lines;
    read_message(text, *this);
    return true;
  }
  return false;
}

std::optional<bool> NcclLogFacts::gdr() const {
  std::optional<bool> all;
  for (const auto& [pair, ways] : transports)
    for (const auto& [transport, names] : ways)
      if (transport.starts_with("NET/"))
        all = all.value_or(true) && transport.find("GDRDMA") != std::string::npos;
  return all ? all : stated_gdr;
}

std::optional<bool> NcclLogFacts::nvls() const {
  if (const auto found = channels.find("nvls"); found != channels.end()) return found->second > 0;
  return nvls_set_up ? std::optional(true) : std::nullopt;
}

std::string NcclLogFacts::link() const {
  bool sockets = false, verbs = false;
  for (const auto& [pair, ways] : transports)
    for (const auto& [transport, names] : ways) {
      sockets = sockets || transport.starts_with("NET/Socket");
      verbs = verbs || transport.starts_with("NET/IB");
    }
  if (sockets && !verbs) return "tcp";
  if (sockets || !verbs || adapters.empty()) return "";
  const auto ends = [&](std::string_view end) {
    return std::all_of(adapters.begin(), adapters.end(),
                       [&](const std::string& name) { return name.ends_with(end); });
  };
  return ends("/RoCE") ? "roce" : ends("/IB") ? "ib" : "";
}

}  // namespace sextant
