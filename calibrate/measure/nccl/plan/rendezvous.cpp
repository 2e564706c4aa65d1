#include "calibrate/measure/nccl/plan/rendezvous.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "calibrate/measure/nccl/plan/tcp_meeting.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant::nccl {
namespace {

namespace files = std::filesystem;
using Clock = std::chrono::steady_clock;

/// True in every process if the launcher says that all are on this node.
bool on_one_node(const ProcessPlace& place, const Environment& environment) {
  const std::string size = std::to_string(place.size);
  for (const char* local_size : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"})
    if (environment(local_size) == size) return true;
  return place.launcher == "Slurm" && environment("SLURM_STEP_NUM_NODES") == "1";
}

int port_number(const std::string& text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535)
    throw InputError(
        fmt::format("environment: MASTER_PORT is \"{}\", expected a port from 1 to 65535", text));
  return port;
}

/// Polls until `done` is true.
template <class Condition>
void wait_for(const Condition& done, double patience_seconds, const std::string& what) {
  const auto end = Clock::now() + std::chrono::duration<double>(patience_seconds);
  while (!done()) {
    if (Clock::now() > end)
      throw Error(ExitCode::failure,
                  fmt::format("rendezvous: waited {:.0f} s for {}", patience_seconds, what));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::string content(const files::path& path) {
  try {
    return files::exists(path) ? read_text_file(path.string()) : std::string();
  } catch (const InputError&) {
    return {};  // removed between the two calls
  }
}

std::string new_nonce() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}", random(), random(), static_cast<unsigned>(getpid()));
}

/// A file that goes with this value, whatever happens.
struct Removed {
  std::string path;
  ~Removed() {
    std::error_code ignored;
    files::remove(path, ignored);
  }
};

/// Every process but the first leaves a nonce; the first answers all of them in the file that carries the
/// payload, so that nobody takes an old file for this one.
class FileMeeting {
 public:
  FileMeeting(std::string base, const ProcessPlace& place, double patience)
      : base_(std::move(base)), place_(place), patience_(patience) {}

  std::string lead(const std::string& payload) const {
    std::string answer;
    for (int rank = 1; rank < place_.size; ++rank) {
      std::string nonce;
      wait_for([&] { return !(nonce = content(hello(rank))).empty(); }, patience_,
               fmt::format("process {} at {}", rank, hello(rank)));
      answer += nonce + ' ';
    }
    write_text_file(base_, answer + '\n' + payload);
    for (int rank = 1; rank < place_.size; ++rank)
      wait_for([&] { return !files::exists(hello(rank)); }, patience_,
               fmt::format("process {} to read {}", rank, base_));
    files::remove(base_);
    return payload;
  }

  std::string follow() const {
    const std::string nonce = new_nonce();
    const Removed greeting{hello(place_.rank)};
    write_text_file(greeting.path, nonce);
    std::string text;
    wait_for(
        [&] {
          text = content(base_);
          return text.find(nonce + ' ') < text.find('\n');
        },
        patience_, fmt::format("process 0 at {}", base_));
    return text.substr(text.find('\n') + 1);
  }

 private:
  std::string hello(int rank) const { return fmt::format("{}.hello-{}", base_, rank); }

  std::string base_;
  const ProcessPlace& place_;
  double patience_;
};

}  // namespace

MeetingPoint meeting_point(const std::string& file, const ProcessPlace& place,
                           const Environment& environment) {
  if (!file.empty()) return {file, "", 0};
  const auto host = environment("MASTER_ADDR"), port = environment("MASTER_PORT");
  if (host.has_value() != port.has_value())
    throw InputError("environment: found one of MASTER_ADDR and MASTER_PORT, expected both or none");
  if (host) return {"", *host, port_number(*port)};
  if (place.size == 1) return {};
  if (!on_one_node(place, environment))
    throw InputError(
        "nccl: found processes on several nodes, expected --rendezvous FILE on a shared file system, or "
        "MASTER_ADDR and "
        "MASTER_PORT of the first process's host");
  const std::string folder = environment("TMPDIR").value_or("/tmp");
  // Processes that a script or an mpirun starts on one node share its session.
  const std::string job = place.job.empty() ? std::to_string(getsid(0)) : place.job;
  std::string safe = job;
  for (char& letter : safe)
    if (letter == '/') letter = '_';
  return {fmt::format("{}/sextant-measure.{}.{}", folder, getuid(), safe), "", 0};
}

std::string share_from_first(const MeetingPoint& point, const ProcessPlace& place, int generation,
                             const std::string& payload, double patience_seconds) {
  if (place.size == 1) return payload;
  if (point.file.empty())
    return share_over_tcp(point.host, point.port, place.rank, place.size, generation, payload,
                          patience_seconds);
  const FileMeeting meeting(fmt::format("{}.{}", point.file, generation), place, patience_seconds);
  return place.rank == 0 ? meeting.lead(payload) : meeting.follow();
}

}  // namespace sextant::nccl
