#include "calibrate/measure/nccl/plan/tcp_meeting.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

using Clock = std::chrono::steady_clock;

/// A socket, closed when it goes.
class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

/// What a process says of itself when it connects. Both ends run the same program on hosts of one byte order.
struct Hello {
  std::uint32_t generation = 0, rank = 0;
};

bool wait_readable(int descriptor, double seconds) {
  pollfd waiting{descriptor, POLLIN, 0};
  return poll(&waiting, 1, static_cast<int>(seconds * 1e3)) > 0;
}

bool send_all(int descriptor, const void* data, std::size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t sent = send(descriptor, next, bytes, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    next += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int descriptor, void* data, std::size_t bytes, double seconds) {
  char* next = static_cast<char*>(data);
  while (bytes > 0) {
    if (!wait_readable(descriptor, seconds)) return false;
    const ssize_t received = recv(descriptor, next, bytes, 0);
    if (received <= 0) return false;
    next += received;
    bytes -= static_cast<std::size_t>(received);
  }
  return true;
}

Socket listen_on(int port) {
  Socket listener(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int off = 0, on = 1;
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(static_cast<std::uint16_t>(port));
  any.sin6_addr = in6addr_any;
  if (listener.valid() && !setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) &&
      !setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) &&
      !bind(listener.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) &&
      !listen(listener.get(), 128))
    return listener;
  // A host without IPv6.
  Socket plain(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any4{};
  any4.sin_family = AF_INET;
  any4.sin_port = htons(static_cast<std::uint16_t>(port));
  if (plain.valid() && !setsockopt(plain.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) &&
      !bind(plain.get(), reinterpret_cast<const sockaddr*>(&any4), sizeof any4) && !listen(plain.get(), 128))
    return plain;
  throw Error(ExitCode::failure, fmt::format("rendezvous: port {}: {}", port, std::strerror(errno)));
}

Socket connect_to(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return Socket(-1);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  for (const addrinfo* each = found; each; each = each->ai_next) {
    Socket connection(socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, each->ai_protocol));
    if (connection.valid() && connect(connection.get(), each->ai_addr, each->ai_addrlen) == 0)
      return connection;
  }
  return Socket(-1);
}

void serve(int port, int size, int generation, const std::string& payload, double patience_seconds) {
  const Socket listener = listen_on(port);
  const auto end = Clock::now() + std::chrono::duration<double>(patience_seconds);
  std::set<std::uint32_t> served;
  while (static_cast<int>(served.size()) < size - 1) {
    const double left = std::chrono::duration<double>(end - Clock::now()).count();
    if (left <= 0 || !wait_readable(listener.get(), left))
      throw Error(ExitCode::failure,
                  fmt::format("rendezvous: {} of {} processes came to port {} within {:.0f} s",
                              served.size() + 1, size, port, patience_seconds));
    const Socket peer(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    Hello hello;
    if (!peer.valid() || !receive_all(peer.get(), &hello, sizeof hello, 1)) continue;
    if (hello.generation != static_cast<std::uint32_t>(generation)) continue;
    const std::uint64_t bytes = payload.size();
    if (send_all(peer.get(), &bytes, sizeof bytes) && send_all(peer.get(), payload.data(), payload.size()))
      served.insert(hello.rank);
  }
}

/// One attempt; empty if the first process is not there yet.
std::string ask(const std::string& host, int port, const Hello& hello) {
  const Socket connection = connect_to(host, port);
  constexpr std::uint64_t most_bytes = 1 << 20;
  std::uint64_t bytes = 0;
  if (!connection.valid() || !send_all(connection.get(), &hello, sizeof hello) ||
      !receive_all(connection.get(), &bytes, sizeof bytes, 10) || bytes > most_bytes)
    return {};
  std::string payload(bytes, '\0');
  return receive_all(connection.get(), payload.data(), bytes, 10) ? payload : std::string();
}

}  // namespace

std::string share_over_tcp(const std::string& host, int port, int rank, int size, int generation,
                           const std::string& payload, double patience_seconds) {
  if (rank == 0) {
    serve(port, size, generation, payload, patience_seconds);
    return payload;
  }
  const auto end = Clock::now() + std::chrono::duration<double>(patience_seconds);
  const Hello hello{static_cast<std::uint32_t>(generation), static_cast<std::uint32_t>(rank)};
  while (Clock::now() < end) {
    std::string received = ask(host, port, hello);
    if (!received.empty()) return received;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  throw Error(ExitCode::failure,
              fmt::format("rendezvous: waited {:.0f} s for {}:{}", patience_seconds, host, port));
}

}  // namespace sextant::nccl
