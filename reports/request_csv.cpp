#include "reports/request_csv.hpp"

#include <fmt/core.h>

#include <string>

namespace sextant {

RequestCsvWriter::RequestCsvWriter(std::function<void(std::string_view)> sink) : sink_(std::move(sink)) {
  sink_(
      "request,replica,status,arrival_s,queue_ms,ttft_ms,tpot_ms,e2el_ms,preemptions,prompt_tokens,"
      "output_tokens\r\n");
}

void RequestCsvWriter::arrived(std::uint64_t id, std::uint32_t replica, Time now) {
  InFlight& request = in_flight_[id];
  request.replica = replica;
  request.arrival = now;
}

/// A request without tokens is rejected before it goes to a replica.
void RequestCsvWriter::rejected(std::uint64_t id, Time now) {
  const auto found = in_flight_.find(id);
  const std::string replica = found == in_flight_.end() ? "" : std::to_string(found->second.replica);
  sink_(fmt::format("{},{},rejected,{:.9f},,,,,0,,\r\n", id, replica, now.seconds()));
  if (found != in_flight_.end()) in_flight_.erase(found);
}

void RequestCsvWriter::admitted(std::uint64_t id, Time now) {
  InFlight& request = in_flight_[id];
  if (!request.was_admitted) request.admitted = now;
  request.was_admitted = true;
}

void RequestCsvWriter::preempted(std::uint64_t id, Time) {
  ++in_flight_[id].preemptions;
}

void RequestCsvWriter::finished(const RequestTimes& times) {
  const InFlight& request = in_flight_[times.id];
  const Time ttft = times.first_token - times.arrival, e2el = times.last_token - times.arrival;
  const std::string tpot =
      times.output_tokens > 1
          ? fmt::format("{:.6f}", (e2el - ttft).ms() / static_cast<double>(times.output_tokens - 1))
          : "";
  sink_(fmt::format("{},{},finished,{:.9f},{:.6f},{:.6f},{},{:.6f},{},{},{}\r\n", times.id, request.replica,
                    times.arrival.seconds(), (request.admitted - request.arrival).ms(), ttft.ms(), tpot,
                    e2el.ms(), request.preemptions, times.prompt_tokens, times.output_tokens));
  in_flight_.erase(times.id);
}

}  // namespace sextant
