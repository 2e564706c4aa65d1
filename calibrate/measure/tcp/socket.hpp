#pragma once
#include <string>
#include <utility>

namespace sextant::tcp {

/// A connected or listening TCP socket, closed when it goes.
class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();
  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

/// Listens on every address of this host, IPv6 and IPv4; port 0 takes a free one. Throws Error.
Socket listen_on(int port);
/// The port that a socket has on this side.
int local_port(const Socket&);

/// Connects within `seconds`; a refusal is tried again for as long as a server may need to start. Throws
/// Error that says whether nobody listens, nobody answers (a firewall?) or the name is unknown.
Socket connect_to(const std::string& host, int port, double seconds);

/// Waits for a client; an invalid socket after `seconds` (negative: waits for ever), or on Ctrl-C.
Socket accept_from(const Socket& listener, double seconds);

/// The address at the other end, without its port.
std::string peer_address(const Socket&);

/// Whether there is something to read, or the end of the connection, within `seconds`.
bool readable(const Socket&, double seconds);

}  // namespace sextant::tcp
