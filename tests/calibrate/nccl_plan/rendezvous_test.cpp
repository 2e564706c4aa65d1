#include "calibrate/measure/nccl/plan/rendezvous.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

constexpr double patience_seconds = 20;

/// What each of `size` processes (threads here) gets when the first one shares the payload.
std::vector<std::string> meet(const MeetingPoint& point, int size, const std::string& payload) {
  std::vector<std::string> received(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      const ProcessPlace place{rank, size, rank, "test", ""};
      received[static_cast<std::size_t>(rank)] =
          share_from_first(point, place, 7, rank == 0 ? payload : "", patience_seconds);
    });
  for (std::thread& thread : threads) thread.join();
  return received;
}

class FolderOfATest : public testing::Test {
 protected:
  FolderOfATest()
      : folder_(std::filesystem::temp_directory_path() / ("sextant-rendezvous-" + std::to_string(getpid()))) {
    std::filesystem::create_directory(folder_);
  }
  ~FolderOfATest() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(FolderOfATest, FileGivesEveryoneThePayloadAndLeavesNothing) {
  const std::string payload("id\0with\nbytes", 13);
  for (const std::string& each : meet({(folder_ / "meet").string(), "", 0}, 3, payload))
    EXPECT_EQ(each, payload);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(FolderOfATest, FileOfAnEarlierRunIsNotBelieved) {
  std::ofstream(folder_ / "meet.7") << "nonce-of-yesterday \nold payload";
  for (const std::string& each : meet({(folder_ / "meet").string(), "", 0}, 2, "new payload"))
    EXPECT_EQ(each, "new payload");
}

TEST_F(FolderOfATest, SaysWhomItWaitedFor) {
  const ProcessPlace first{0, 2, 0, "test", ""};
  try {
    share_from_first({(folder_ / "meet").string(), "", 0}, first, 0, "x", 0.05);
    FAIL() << "nobody else came";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("process 1"), std::string::npos) << error.what();
  }
}

/// A port that nobody used a moment ago.
int free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  socklen_t size = sizeof any;
  const bool found = bind(probe, reinterpret_cast<sockaddr*>(&any), size) == 0 &&
                     getsockname(probe, reinterpret_cast<sockaddr*>(&any), &size) == 0;
  close(probe);
  return found ? ntohs(any.sin_port) : 0;
}

TEST(TcpMeeting, GivesEveryoneThePayload) {
  for (const std::string& each : meet({"", "127.0.0.1", free_port()}, 3, "payload"))
    EXPECT_EQ(each, "payload");
}

TEST(Rendezvous, AloneNeedsNoMeetingPoint) {
  EXPECT_EQ(share_from_first({}, ProcessPlace{}, 0, "payload", 1), "payload");
}

}  // namespace
}  // namespace sextant::nccl
