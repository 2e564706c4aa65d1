#include "calibrate/measure/tcp/control.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <thread>

#include "calibrate/measure/tcp/flood.hpp"
#include "calibrate/measure/tcp/tcp_options.hpp"
#include "models/base/error.hpp"

namespace sextant::tcp {
namespace {

std::array<Socket, 2> joined() {
  std::array<int, 2> ends{};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  return {Socket(ends[0]), Socket(ends[1])};
}

template <class Work>
std::string reason(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

TEST(TcpControl, MessagesArriveInOrderAndSignsOfLifeArePassedOver) {
  auto ends = joined();
  Control a(std::move(ends[0]), "b"), b(std::move(ends[1]), "a");
  a.send(plain_message("going"));
  a.send(plain_message("first", {{"n", 1}}));
  a.send(plain_message("second"));
  EXPECT_EQ(b.expect("first", 1).number("n"), 1);
  EXPECT_TRUE(b.pending());
  EXPECT_EQ(reason([&] { b.expect("third", 1); }), "a: found the message \"second\", expected \"third\"");
  EXPECT_FALSE(b.pending());
}

TEST(TcpControl, EveryEndHasAReason) {
  auto ends = joined();
  Control b(std::move(ends[1]), "client a");
  EXPECT_EQ(reason([&] { b.expect("hello", 0.05); }),
            "client a sent nothing for 0 s while waiting for \"hello\"");
  {
    Control a(std::move(ends[0]), "b");
    a.send_error("no \"device\"");
  }
  EXPECT_EQ(reason([&] { b.expect("hello", 1); }), "client a: no \"device\"");
  EXPECT_EQ(reason([&] { b.expect("hello", 1); }),
            "client a went away (connection closed) while waiting for \"hello\"");
}

TEST(TcpControl, OtherProgramsAreRefused) {
  auto ends = joined();
  Control b(std::move(ends[1]), "peer");
  const std::string request = "GET / HTTP/1.1\n";
  ASSERT_GT(send(ends[0].get(), request.data(), request.size(), 0), 0);
  EXPECT_THROW(b.receive(1, "hello"), InputError);
}

TEST(TcpSocket, RefusalAndUnknownHost) {
  const int port = [] {
    const Socket listener = listen_on(0);
    return local_port(listener);
  }();
  const std::string text = reason([&] { connect_to("127.0.0.1", port, 0.1); });
  EXPECT_NE(text.find("is the server started there?"), std::string::npos) << text;
  EXPECT_FALSE(accept_from(listen_on(0), 0.01).valid());
}

/// Two streams over the loopback: what the receiver counts reaches the sender as it is.
TEST(TcpFlood, BothEndsReportWhatTheReceiverSaw) {
  const Socket listener = listen_on(0);
  std::vector<Socket> out, in;
  for (int i = 0; i < 2; ++i) {
    out.push_back(connect_to("127.0.0.1", local_port(listener), 1));
    in.push_back(accept_from(listener, 1));
  }
  auto ends = joined();
  Control a(std::move(ends[0]), "receiver"), b(std::move(ends[1]), "sender");
  FloodResult seen;
  std::thread receiver([&] { seen = receive_flood(in, b, 0.05); });
  const FloodResult told = send_flood(out, a, 0.05, 5);
  receiver.join();
  EXPECT_GT(told.gbps, 0);
  EXPECT_DOUBLE_EQ(told.gbps, seen.gbps);
}

TEST(TcpOptions, StreamsAndRefusals) {
  EXPECT_EQ(parse_options({"-P", "1,8", "host"}).streams, (std::vector<int>{1, 8}));
  EXPECT_EQ(parse_options({"host"}).streams, (std::vector<int>{1, 2, 4, 8, 16}));
  EXPECT_TRUE(parse_options({"--server", "-1"}).once);
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{{},
                                                                                     {"--server", "host"},
                                                                                     {"-P", "0", "host"},
                                                                                     {"-P", "65", "host"},
                                                                                     {"-t", "0", "host"},
                                                                                     {"a", "b"}})
    EXPECT_THROW(parse_options(wrong), InputError);
}

}  // namespace
}  // namespace sextant::tcp
