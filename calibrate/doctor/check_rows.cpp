#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "calibrate/doctor/doctor.hpp"

namespace sextant {
namespace {

std::string size_text(double bytes) {
  constexpr double mebibyte = 1048576, kibibyte = 1024;
  if (bytes >= mebibyte) return fmt::format("{:g} MiB", bytes / mebibyte);
  return bytes >= kibibyte ? fmt::format("{:g} KiB", bytes / kibibyte) : fmt::format("{:g} B", bytes);
}

std::string memory_text(const RdmaRow& row) {
  return row.gdr.value_or(false) ? ", GPU memory" : "";
}

/// Bus bandwidth as nccl-tests defines it, 10^9 B/s.
double busbw(const CollectiveRow& row) {
  constexpr double bytes_per_us_of_gbps = 1e3;
  const double n = row.ranks;
  const double factor = row.op == "all_reduce"                        ? 2 * (n - 1) / n
                        : row.op == "broadcast" || row.op == "reduce" ? 1
                                                                      : (n - 1) / n;
  return row.bytes / row.us / bytes_per_us_of_gbps * factor;
}

std::string group_text(const CollectiveRow& row) {
  return fmt::format("{} of {} ranks on {} node{} over {}", row.op, row.ranks, row.nodes,
                     row.nodes == 1 ? "" : "s", row.link);
}

template <class Row>
std::vector<const Row*> rows_of(const std::vector<Measurement>& measurements) {
  std::vector<const Row*> rows;
  for (const Measurement& one : measurements)
    if (const Row* row = std::get_if<Row>(&one.row)) rows.push_back(row);
  return rows;
}

}  // namespace

void Doctor::look_at_rows(const std::vector<Measurement>& measurements, const std::string& where) {
  // Of each kind of test the largest message for bandwidth, the smallest for latency.
  std::map<std::tuple<std::string, std::string, std::string, int, bool>, const Measurement*> judged;
  for (const Measurement& one : measurements) {
    const RdmaRow* row = std::get_if<RdmaRow>(&one.row);
    if (!row) continue;
    const Measurement*& best = judged[{row->device, row->op, row->test, row->qps, row->gdr.value_or(false)}];
    const RdmaRow* before = best ? std::get_if<RdmaRow>(&best->row) : nullptr;
    const bool better = !before || (row->test == "lat" ? row->bytes < before->bytes
                                                       : row->gbps.value_or(0) > before->gbps.value_or(0));
    if (better) best = &one;
  }
  for (const auto& [key, one] : judged) {
    const RdmaRow& row = std::get<RdmaRow>(one->row);
    if (row.test == "lat")
      look_at_latency(*one, row, where);
    else
      look_at_bandwidth(*one, row, where);
  }
  look_at_gpu_memory(rows_of<RdmaRow>(measurements), where);
  look_at_tcp(rows_of<TcpRow>(measurements), where);
  const auto collectives = rows_of<CollectiveRow>(measurements);
  look_at_busbw(collectives, where);
  look_at_drop(collectives, where);
}

void Doctor::look_at_bandwidth(const Measurement&, const RdmaRow& row, const std::string& where) {
  const std::string subject = fmt::format("ib_{}_bw, {}{}", row.op, row.device, memory_text(row));
  if (!row.gbps) return;
  if (row.bytes < symptoms_.threshold("bandwidth_bytes"))
    return could_not_check(
        subject, fmt::format("{} has messages of up to {} only, expected {} or more", where,
                             size_text(row.bytes), size_text(symptoms_.threshold("bandwidth_bytes"))));
  const double share = *row.gbps / row.rate_gbps;
  const double excellent = symptoms_.threshold("excellent_share"), good = symptoms_.threshold("good_share");
  const char* verdict = share > excellent ? "excellent" : share >= good ? "good" : "check";
  const std::string found = fmt::format("{:.2f} Gbit/s of {:g} at {}, {:.0f} %: {} ({})", *row.gbps,
                                        row.rate_gbps, size_text(row.bytes), 100 * share, verdict, where);
  std::string expected = fmt::format("over {:.0f} % of the line", 100 * excellent);
  if (const auto clean = symptoms_.clean_fabric(row.rate_gbps))
    expected +=
        fmt::format(", {:g} to {:g} Gbit/s on a clean fabric", clean->low_bandwidth, clean->high_bandwidth);
  if (row.gdr.value_or(false) && share <= excellent) return;  // judged beside host memory
  if (share > excellent) return pass(subject + ": " + found);
  if (share >= good) return find("bandwidth-fair", subject, found, {{"expected", expected}});
  std::vector<ScenarioChange> changes;
  if (const std::string nic = nic_of_rate(*row.gbps / excellent);
      !nic.empty() && nic != nic_of_rate(row.rate_gbps))
    changes = {{"cluster.nodes[*].nic", nic}};
  find("bandwidth-low", subject, found, {{"expected", expected}}, changes);
}

void Doctor::look_at_latency(const Measurement&, const RdmaRow& row, const std::string& where) {
  const std::string subject = fmt::format("ib_{}_lat, {}{}", row.op, row.device, memory_text(row));
  if (!row.us) return;
  if (row.bytes > symptoms_.threshold("latency_bytes"))
    return could_not_check(
        subject, fmt::format("{} has messages from {} on only, expected {} or less", where,
                             size_text(row.bytes), size_text(symptoms_.threshold("latency_bytes"))));
  const double broken = symptoms_.threshold("broken_latency_us");
  const auto clean = symptoms_.clean_fabric(row.rate_gbps);
  std::string expected = fmt::format("under {:g} us on one switch", broken);
  if (clean)
    expected +=
        fmt::format(", {:g} to {:g} us on a clean fabric", clean->low_latency_us, clean->high_latency_us);
  const std::string found = fmt::format("{:.2f} us at {} ({})", *row.us, size_text(row.bytes), where);
  if (*row.us > broken) return find("latency-broken", subject, found, {{"expected", expected}});
  if (clean && *row.us > clean->high_latency_us)
    return find("latency-high", subject, found, {{"expected", expected}});
  pass(subject + ": " + found);
}

void Doctor::look_at_gpu_memory(const std::vector<const RdmaRow*>& rows, const std::string& where) {
  std::map<std::string, std::pair<double, double>> best;  // by device and operation: host, GPU
  for (const RdmaRow* row : rows) {
    if (row->test != "bw" || !row->gbps || row->bytes < symptoms_.threshold("bandwidth_bytes")) continue;
    auto& [host, gpu] = best[row->device + ", " + row->op];
    double& which = row->gdr.value_or(false) ? gpu : host;
    which = std::max(which, *row->gbps);
  }
  for (const auto& [subject, rates] : best) {
    const auto [host, gpu] = rates;
    if (gpu == 0) continue;
    if (host == 0) {
      could_not_check(
          "GPUDirect of " + subject,
          fmt::format("{} has GPU memory alone; give the same test with host memory as well", where));
      continue;
    }
    const std::string found =
        fmt::format("GPU memory {:.1f}, host memory {:.1f} Gbit/s ({})", gpu, host, where);
    const Words words = {{"host", fmt::format("{:.1f}", host)}};
    if (host >= symptoms_.threshold("staging_ratio") * gpu)
      find("gdr-staged", subject, found, words, {{"cluster.network.gpudirect", "false"}});
    else if (gpu < symptoms_.threshold("gdr_share") * host)
      find("gdr-slower", subject, found, words, {{"cluster.network.gpudirect", "false"}});
    else
      pass(subject + ": GPUDirect works: " + found);
  }
}

void Doctor::look_at_tcp(const std::vector<const TcpRow*>& rows, const std::string& where) {
  const TcpRow* best = nullptr;
  for (const TcpRow* row : rows)
    if (!best || row->gbps > best->gbps) best = row;
  if (!best) return;
  const std::string subject = fmt::format("TCP, {} stream{}", best->streams, best->streams == 1 ? "" : "s");
  const auto line = port_gbps();
  if (!line)
    return could_not_check(
        subject,
        fmt::format("{:.1f} Gbit/s ({}), but the line rate is not known; give a scenario or --rate-gbps",
                    best->gbps, where));
  const double share = best->gbps / *line;
  const std::string found =
      fmt::format("{:.1f} Gbit/s of {:g}, {:.0f} % ({})", best->gbps, *line, 100 * share, where);
  if (share > 1)
    return could_not_check(subject, found + ": more than the line carries; is the line's rate another?");
  if (best->streams < symptoms_.threshold("tcp_streams") && share < symptoms_.threshold("tcp_share"))
    return could_not_check(
        subject,
        found + fmt::format(": fewer than {:g} streams are a host's figure, not the fabric's; use -P 8",
                            symptoms_.threshold("tcp_streams")));
  if (share >= symptoms_.threshold("tcp_share")) return pass(subject + ": " + found);
  find("tcp-low", subject, found,
       {{"expected", fmt::format("over {:.0f} % of the line", 100 * symptoms_.threshold("tcp_share"))}});
}

void Doctor::look_at_busbw(const std::vector<const CollectiveRow*>& rows, const std::string& where) {
  const double share = symptoms_.threshold("busbw_share");
  const auto line = port_gbps();
  std::map<std::string, std::pair<const CollectiveRow*, const ExpectedBusbw*>>
      judged;  // best row from each size on
  std::map<std::string, bool> unknown;
  for (const CollectiveRow* row : rows) {
    if (row->forced() || row->us <= 0) continue;
    const ExpectedBusbw* match = nullptr;
    bool group_known = false;
    for (const ExpectedBusbw& one : symptoms_.expected_busbw()) {
      if (one.op != row->op || one.ranks != row->ranks || one.nodes != row->nodes || one.link != row->link)
        continue;
      const auto rate = row->rate_gbps ? row->rate_gbps : line;
      if (one.gbps > 0 && (!rate || *rate != one.gbps)) continue;
      group_known = true;
      if (row->bytes >= one.from_bytes && (!match || one.from_bytes > match->from_bytes)) match = &one;
    }
    if (!group_known) unknown[group_text(*row)] = true;
    if (!match) continue;
    auto& [best, expected] =
        judged[fmt::format("{} from {}", group_text(*row), size_text(match->from_bytes))];
    if (!best || busbw(*row) > busbw(*best)) best = row;
    expected = match;
  }
  for (const auto& [subject, pair] : judged) {
    const auto& [row, expected] = pair;
    const double reached = busbw(*row);
    const std::string found =
        fmt::format("busbw {:.1f} GB/s at {} ({})", reached, size_text(row->bytes), where);
    if (reached >= share * expected->low) {
      pass(fmt::format("{}: {}, expected {:g} and more", subject, found, expected->low));
      continue;
    }
    std::vector<ScenarioChange> changes;
    if (row->nodes > 1) changes = {{"cluster.network.gpudirect", "false"}};
    find("busbw-low", subject, found,
         {{"expected", fmt::format("{:g} GB/s, at least {:g} ({:.0f} %)", expected->low,
                                   share * expected->low, 100 * share)},
          {"source", expected->source + "; [blog] below 70 % of expected is misconfigured"}},
         changes);
  }
  for (const auto& [group, seen] : unknown)
    could_not_check(group,
                    "no expected bus bandwidth is known for this group; sextant validate compares it with "
                    "the link's profile");
}

void Doctor::look_at_drop(const std::vector<const CollectiveRow*>& rows, const std::string& where) {
  std::map<std::string, std::map<int, double>> best;  // by operation: nodes -> busbw
  for (const CollectiveRow* row : rows)
    if (!row->forced() && row->us > 0)
      best[row->op][row->nodes] = std::max(best[row->op][row->nodes], busbw(*row));
  for (const auto& [op, by_nodes] : best) {
    const auto one = by_nodes.find(1), two = by_nodes.find(2);
    if (one == by_nodes.end() || two == by_nodes.end()) continue;
    const double drop = one->second / two->second;
    const std::string found = fmt::format("{:.1f} GB/s on one node, {:.1f} on two: {:.1f} times ({})",
                                          one->second, two->second, drop, where);
    if (drop < symptoms_.threshold("busbw_drop")) {
      pass(fmt::format("{}: {}", op, found));
      continue;
    }
    // From NVLink to one port the line alone is a larger step: only what falls short of the line is RDMA's
    // absence.
    const auto line = port_gbps();
    constexpr double bits_per_byte = 8;
    if (line && two->second * bits_per_byte >= symptoms_.threshold("busbw_share") * *line)
      pass(fmt::format("{}: {}, which is {:.0f} % of the {:g} Gbit/s line", op, found,
                       100 * two->second * bits_per_byte / *line, *line));
    else
      find("busbw-drop", op, found, {},
           {{"cluster.network.transport", "tcp"}, {"cluster.network.gpudirect", "false"}});
  }
}

}  // namespace sextant
