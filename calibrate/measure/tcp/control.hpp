#pragma once
#include <string>
#include <utility>
#include <vector>

#include "calibrate/measure/tcp/socket.hpp"
#include "models/base/json_reader.hpp"

namespace sextant::tcp {

/// One message of a conversation: its type and the object that carries it.
struct Message {
  std::string type;
  JsonObject body;
};

/// The conversation of a measurement's two ends: a JSON object with the key "type" on each line. Every wait
/// has an end and every end a reason, so that neither side hangs on the other.
class Control {
 public:
  /// `peer` names the other end in messages: "server 10.0.0.1".
  Control(Socket socket, std::string peer) : socket_(std::move(socket)), peer_(std::move(peer)) {}

  /// `json`: one line without line end. Throws Error if the other end is gone.
  void send(const std::string& json);
  /// Tells the other end why this one stops; says nothing if it is gone.
  void send_error(const std::string& reason) noexcept;
  /// The next message, within `seconds`. Throws Error naming `awaited` on silence, "PEER: reason" if the
  /// other end reports an error, and if the connection closes.
  Message receive(double seconds, const std::string& awaited);
  /// The same; also throws Error unless the message is of that type. "going", the sign that the other end is
  /// alive and busy, is passed over and begins the wait anew.
  JsonObject expect(const std::string& type, double seconds);
  /// Whether receive would have something at once: a message, or the connection's end.
  bool pending() const;
  /// The same within `seconds`.
  bool pending_within(double seconds) const;

  /// When this end fails: gives the other half a second to say why it stopped, or to go, and throws that as
  /// the better reason.
  void prefer_reason_of_peer();

  const std::string& peer() const { return peer_; }
  const Socket& socket() const { return socket_; }

 private:
  bool has_line() const { return received_.find('\n') != std::string::npos; }
  void read_more(const std::string& awaited);
  Socket socket_;
  std::string peer_;
  std::string received_;
};

/// {"type":"error","reason":…}.
std::string error_message(const std::string& reason);
/// {"type":…} and numbers beside it.
std::string plain_message(const std::string& type,
                          const std::vector<std::pair<std::string, double>>& numbers = {});

}  // namespace sextant::tcp
