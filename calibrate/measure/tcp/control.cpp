#include "calibrate/measure/tcp/control.hpp"

#include <fmt/core.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "calibrate/measure/common/interrupt.hpp"
#include "models/base/error.hpp"

namespace sextant::tcp {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_bytes = 1 << 20;  // of one message: more is another program talking
constexpr double interrupt_check_seconds = 0.2;

[[noreturn]] void gone(const std::string& peer, const std::string& how, const std::string& awaited) {
  throw Error(ExitCode::failure, fmt::format("{} went away ({}) while waiting for {}", peer, how, awaited));
}

}  // namespace

void Control::send(const std::string& json) {
  const std::string line = json + "\n";
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t count = ::send(socket_.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      // What it said before it went is the better reason.
      if (pending()) receive(0, "an answer");
      gone(peer_, std::strerror(errno), "it to listen");
    }
    sent += static_cast<std::size_t>(count);
  }
}

void Control::send_error(const std::string& reason) noexcept {
  try {
    send(error_message(reason));
  } catch (const std::exception&) {
    // It has its own reason to stop already.
    return;
  }
}

void Control::read_more(const std::string& awaited) {
  std::array<char, 65536> buffer{};
  const ssize_t count = recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (count < 0 && errno == EINTR) return;
  if (count < 0) gone(peer_, std::strerror(errno), awaited);
  if (count == 0) gone(peer_, "connection closed", awaited);
  received_.append(buffer.data(), static_cast<std::size_t>(count));
  if (received_.size() > most_bytes)
    throw Error(ExitCode::failure, fmt::format("{}: found more than {} bytes without a line end, expected "
                                               "sextant-measure at the other end",
                                               peer_, most_bytes));
}

Message Control::receive(double seconds, const std::string& awaited) {
  const auto begin = Clock::now();
  while (!has_line()) {
    if (measure::interrupted()) throw Interrupted();
    const double left = seconds - std::chrono::duration<double>(Clock::now() - begin).count();
    if (readable(socket_, std::clamp(left, 0.0, interrupt_check_seconds)))
      read_more(awaited);
    else if (left <= 0)
      throw Error(ExitCode::failure,
                  fmt::format("{} sent nothing for {:.0f} s while waiting for {}", peer_, seconds, awaited));
  }
  const std::size_t end = received_.find('\n');
  const std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  JsonObject body = JsonValue::parse(line, peer_).object();
  std::string type = body.text("type");
  if (type == "error") throw Error(ExitCode::failure, fmt::format("{}: {}", peer_, body.text("reason")));
  return {std::move(type), std::move(body)};
}

JsonObject Control::expect(const std::string& type, double seconds) {
  Message message = receive(seconds, fmt::format("\"{}\"", type));
  while (message.type == "going") message = receive(seconds, fmt::format("\"{}\"", type));
  if (message.type != type)
    throw Error(ExitCode::failure,
                fmt::format("{}: found the message \"{}\", expected \"{}\"", peer_, message.type, type));
  return message.body;
}

void Control::prefer_reason_of_peer() {
  constexpr double moment = 0.5;
  const auto begin = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < moment)
    if (pending_within(moment)) receive(moment, "its reason");
}

bool Control::pending() const {
  return pending_within(0);
}

bool Control::pending_within(double seconds) const {
  return has_line() || readable(socket_, seconds);
}

std::string error_message(const std::string& reason) {
  return nlohmann::json{{"type", "error"}, {"reason", reason}}.dump(-1, ' ', false,
                                                                    nlohmann::json::error_handler_t::replace);
}

std::string plain_message(const std::string& type,
                          const std::vector<std::pair<std::string, double>>& numbers) {
  nlohmann::json json{{"type", type}};
  for (const auto& [key, value] : numbers) json[key] = value;
  return json.dump();
}

}  // namespace sextant::tcp
