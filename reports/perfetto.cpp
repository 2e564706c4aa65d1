#include "reports/perfetto.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string>

namespace sextant {
namespace {

/// Exact: whole nanoseconds as microseconds.
std::string microseconds(Time time) {
  return fmt::format("{}.{:03}", time.ns / 1000, time.ns % 1000);
}

/// Perfetto treats process 0 as the idle one, so replicas count from 1 there.
std::uint32_t process(std::uint32_t replica) {
  return replica + 1;
}

}  // namespace

PerfettoWriter::PerfettoWriter(Sink sink, int replicas, int stages, std::int64_t most_events)
    : sink_(std::move(sink)), most_events_(most_events), counters_(static_cast<std::size_t>(replicas)) {
  sink_("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [");
  for (std::uint32_t r = 0; r < counters_.size(); ++r) {
    event(fmt::format(R"({{"ph":"M","name":"process_name","pid":{},"args":{{"name":"replica {}"}}}})",
                      process(r), r));
    for (int s = 0; s < stages; ++s)
      event(fmt::format(R"({{"ph":"M","name":"thread_name","pid":{},"tid":{},"args":{{"name":"stage {}"}}}})",
                        process(r), s + 1, s));
  }
  events_ = 0;  // names do not count
}

void PerfettoWriter::event(std::string_view json) {
  sink_(first_ ? "\n" : ",\n");
  first_ = false;
  sink_(json);
  ++events_;
}

/// Whether nothing more is written; closes what is open when that begins.
bool PerfettoWriter::full(Time now) {
  if (cut_at_) return true;
  if (events_ < most_events_) return false;
  cut_at_ = now;
  for (const auto& [id, request] : open_) close(id, request, now, R"(,"args":{"cut":true})");
  open_.clear();
  return true;
}

void PerfettoWriter::async(char phase, std::uint64_t id, std::uint32_t replica, Time time,
                           std::string_view name, std::string_view arguments) {
  event(fmt::format(R"({{"ph":"{}","cat":"request","id":{},"pid":{},"tid":0,"ts":{},"name":"{}"{}}})", phase,
                    id, process(replica), microseconds(time), name, arguments));
}

void PerfettoWriter::close(std::uint64_t id, const OpenRequest& request, Time now,
                           std::string_view arguments) {
  async('e', id, request.replica, now, request.running ? "running" : "waiting");
  async('e', id, request.replica, now, fmt::format("request {}", id), arguments);
}

void PerfettoWriter::arrived(std::uint64_t id, std::uint32_t replica, Time now) {
  if (full(now)) return;
  open_[id] = {replica, false};
  async('b', id, replica, now, fmt::format("request {}", id));
  async('b', id, replica, now, "waiting");
}

void PerfettoWriter::rejected(std::uint64_t id, Time now) {
  const auto found = open_.find(id);
  if (full(now) || found == open_.end()) return;
  close(id, found->second, now, R"(,"args":{"rejected":true})");
  open_.erase(found);
}

/// Its slices end in one process and begin again in the other.
void PerfettoWriter::handed_over(std::uint64_t id, std::uint32_t replica, Time now) {
  const auto found = open_.find(id);
  if (full(now) || found == open_.end()) return;
  close(id, found->second, now, "");
  found->second = {replica, false};
  async('b', id, replica, now, fmt::format("request {}", id));
  async('b', id, replica, now, "waiting");
}

void PerfettoWriter::admitted(std::uint64_t id, Time now) {
  const auto found = open_.find(id);
  if (full(now) || found == open_.end()) return;
  async('e', id, found->second.replica, now, "waiting");
  async('b', id, found->second.replica, now, "running");
  found->second.running = true;
}

void PerfettoWriter::preempted(std::uint64_t id, Time now) {
  const auto found = open_.find(id);
  if (full(now) || found == open_.end()) return;
  async('e', id, found->second.replica, now, "running");
  async('n', id, found->second.replica, now, "preempted");
  async('b', id, found->second.replica, now, "waiting");
  found->second.running = false;
}

void PerfettoWriter::finished(const RequestTimes& request) {
  const auto found = open_.find(request.id);
  if (full(request.last_token) || found == open_.end()) return;
  async('n', request.id, found->second.replica, request.first_token, "first token");
  close(request.id, found->second, request.last_token,
        fmt::format(R"(,"args":{{"prompt_tokens":{},"output_tokens":{}}})", request.prompt_tokens,
                    request.output_tokens));
  open_.erase(found);
}

void PerfettoWriter::pass(const ObservedPass& pass) {
  if (full(pass.begin)) return;
  std::int64_t prompt_tokens = 0;
  for (const PrefillChunk& chunk : pass.shape->chunks) prompt_tokens += chunk.new_tokens;
  const std::size_t chunks = pass.shape->chunks.size();
  std::string name = fmt::format("batch {}:", pass.batch);
  if (pass.shape->decodes > 0) name += fmt::format(" {} decodes", pass.shape->decodes);
  if (chunks > 0) name += fmt::format(" {} prompt tokens", prompt_tokens);
  event(fmt::format(
      R"({{"ph":"X","cat":"pass","pid":{},"tid":{},"ts":{},"dur":{},"name":"{}","args":{{"batch":{},"decodes":{},)"
      R"("decode_context_sum":{},"chunks":{},"prompt_tokens":{}}}}})",
      process(pass.replica), pass.stage + 1, microseconds(pass.begin), microseconds(pass.end - pass.begin),
      name, pass.batch, pass.shape->decodes, pass.shape->decode_context_sum, chunks, prompt_tokens));
}

/// Of several changes at one instant only the last is written, once time has gone on.
void PerfettoWriter::load(std::uint32_t replica, Time now, const ReplicaLoad& load) {
  if (full(now)) return;
  Counters& counters = counters_.at(replica);
  if (counters.changed && counters.at < now) write_counters(replica);
  counters.at = now;
  counters.load = load;
  counters.changed = true;
}

void PerfettoWriter::counter(std::uint32_t replica, const Counters& counters, std::string_view name,
                             std::int64_t value) {
  event(fmt::format(R"({{"ph":"C","pid":{},"ts":{},"name":"{}","args":{{"value":{}}}}})", process(replica),
                    microseconds(counters.at), name, value));
}

void PerfettoWriter::write_counters(std::uint32_t replica) {
  Counters& counters = counters_.at(replica);
  const ReplicaLoad &load = counters.load, &before = counters.written;
  const bool all = !counters.any_written;
  if (all || load.waiting != before.waiting) counter(replica, counters, "waiting requests", load.waiting);
  if (all || load.running != before.running) counter(replica, counters, "running requests", load.running);
  if (all || load.kv_blocks_used != before.kv_blocks_used)
    counter(replica, counters, "KV blocks used", load.kv_blocks_used);
  counters.written = load;
  counters.any_written = true;
  counters.changed = false;
}

void PerfettoWriter::finish() {
  if (!cut_at_)
    for (std::uint32_t r = 0; r < counters_.size(); ++r)
      if (counters_.at(r).changed) write_counters(r);
  sink_("\n]\n}\n");
}

}  // namespace sextant
