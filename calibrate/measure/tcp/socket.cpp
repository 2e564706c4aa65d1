#include "calibrate/measure/tcp/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>

#include "calibrate/measure/common/interrupt.hpp"
#include "models/base/error.hpp"

namespace sextant::tcp {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int backlog = 128;
constexpr double server_start_seconds = 2;  // how long a refusal may mean "not yet"

int milliseconds(double seconds) {
  return seconds < 0 ? -1 : static_cast<int>(std::ceil(seconds * 1e3));
}

void set(const Socket& socket, int level, int option, int value) {
  setsockopt(socket.get(), level, option, &value, sizeof value);
}

/// A host that has gone without closing its connection is noticed by the kernel within six seconds.
void watch_peer(const Socket& socket) {
  constexpr int idle_seconds = 1, between_seconds = 1, probes = 5, unanswered_milliseconds = 6000;
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, idle_seconds);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, between_seconds);
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, probes);
  set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, unanswered_milliseconds);
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
}

template <class Address>
Socket bound(int family, const Address& address) {
  Socket socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return socket;
  set(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (family == AF_INET6) set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(socket.get(), backlog) != 0)
    return Socket();
  return socket;
}

/// 0, or why this address cannot be reached; ETIMEDOUT when nobody answers before `end`.
int try_address(const addrinfo& address, Clock::time_point end, Socket& result) {
  Socket socket(
      ::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
  if (!socket.valid()) return errno;
  if (connect(socket.get(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return errno;
    pollfd waiting{socket.get(), POLLOUT, 0};
    const double left = std::chrono::duration<double>(end - Clock::now()).count();
    if (poll(&waiting, 1, milliseconds(std::max(0.0, left))) <= 0) return ETIMEDOUT;
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) return problem;
  }
  fcntl(socket.get(), F_SETFL, fcntl(socket.get(), F_GETFL) & ~O_NONBLOCK);
  watch_peer(socket);
  result = std::move(socket);
  return 0;
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) close(descriptor_);
}

Socket listen_on(int port) {
  sockaddr_in6 any6{};
  any6.sin6_family = AF_INET6;
  any6.sin6_port = htons(static_cast<std::uint16_t>(port));
  any6.sin6_addr = in6addr_any;
  if (Socket socket = bound(AF_INET6, any6); socket.valid()) return socket;
  // A host without IPv6.
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(static_cast<std::uint16_t>(port));
  if (Socket socket = bound(AF_INET, any); socket.valid()) return socket;
  throw Error(ExitCode::failure, fmt::format("port {}: cannot listen: {}", port, std::strerror(errno)));
}

int local_port(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Socket connect_to(const std::string& host, int port, double seconds) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list); code != 0)
    throw InputError(
        fmt::format("{}: found no such host ({}), expected a name or an address", host, gai_strerror(code)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(list, &freeaddrinfo);
  const auto begin = Clock::now();
  const auto end =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  int problem = 0;
  do {
    for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
      Socket result;
      problem = try_address(*each, end, result);
      if (problem == 0) return result;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  } while (problem == ECONNREFUSED && !measure::interrupted() &&
           Clock::now() < begin + std::chrono::duration<double>(std::min(seconds, server_start_seconds)));
  const char* meaning = problem == ECONNREFUSED ? "; is the server started there?"
                        : problem == ETIMEDOUT  ? "; does a firewall drop the port?"
                                                : "";
  throw Error(ExitCode::failure,
              problem == ETIMEDOUT
                  ? fmt::format("{}:{}: no answer within {:.0f} s{}", host, port, seconds, meaning)
                  : fmt::format("{}:{}: {}{}", host, port, std::strerror(problem), meaning));
}

Socket accept_from(const Socket& listener, double seconds) {
  constexpr double slice = 0.2;  // Ctrl-C is noticed within it
  const auto begin = Clock::now();
  while (!measure::interrupted()) {
    const double spent = std::chrono::duration<double>(Clock::now() - begin).count();
    if (seconds >= 0 && spent > seconds) return Socket();
    if (!readable(listener, slice)) continue;
    Socket client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) continue;
    watch_peer(client);
    return client;
  }
  return Socket();
}

std::string peer_address(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, NI_MAXHOST> text{};
  if (getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, text.data(), text.size(), nullptr, 0,
                  NI_NUMERICHOST) != 0)
    return "unknown";
  const std::string found = text.data();
  constexpr std::string_view mapped = "::ffff:";
  return found.starts_with(mapped) ? found.substr(mapped.size()) : found;
}

bool readable(const Socket& socket, double seconds) {
  pollfd waiting{socket.get(), POLLIN, 0};
  return poll(&waiting, 1, milliseconds(seconds)) > 0;
}

}  // namespace sextant::tcp
