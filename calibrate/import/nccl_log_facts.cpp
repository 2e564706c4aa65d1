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

void read_message(std::string_view message, NcclLogFacts& facts) {
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
  facts.nodes = std::max(facts.nodes, number_after(message, "nNodes "));
  if (const long long gdr = number_after(message, " GDR "); gdr >= 0 && message.starts_with("Connected all"))
    facts.stated_gdr = facts.stated_gdr.value_or(true) && gdr > 0;
  read_connection(message, facts);
  read_channels(message, facts);
}

}  // namespace

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
