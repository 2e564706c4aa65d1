#include "sim/sweep/shard_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto format_name = "sextant sweep shard";
constexpr int format_version = 1;

std::string header_line(const ShardHeader& header) {
  const Json line = {{"format", format_name},
                     {"version", format_version},
                     {"shard", header.shard.text()},
                     {"points", header.points},
                     {"grid", Json::parse(header.identity)}};
  return line.dump() + "\n";
}

ShardHeader read_header(std::string_view line, const std::string& path) {
  const JsonObject object = JsonValue::parse(line, path + ":1").object();
  if (object.text("format") != format_name)
    object.at("format").fail(
        fmt::format("found \"{}\", expected \"{}\"", object.text("format"), format_name));
  object.integer("version", {format_version, format_version});
  ShardHeader header;
  header.shard = read_shard(object.text("shard"));
  header.points = static_cast<std::uint64_t>(object.at("points").json().get<std::int64_t>());
  header.identity = object.at("grid").dump();
  object.finish();
  return header;
}

/// What a whole row starts with; its JSON was written by run_point.
std::uint64_t point_of(std::string_view row, const std::string& where) {
  const JsonObject object = JsonValue::parse(row, where).object();
  constexpr Range points{0, 9.3e18};
  return static_cast<std::uint64_t>(object.integer("point", points));
}

/// Calls `line` for each line that has its end; returns the bytes up to the last of them.
std::size_t whole_lines(std::string_view text,
                        const std::function<void(std::string_view, std::size_t)>& line) {
  std::size_t at = 0, number = 0;
  for (std::size_t end; (end = text.find('\n', at)) != std::string_view::npos; at = end + 1)
    line(text.substr(at, end - at), ++number);
  return at;
}

}  // namespace

ShardFile::ShardFile(const std::string& path, const ShardHeader& header)
    : path_(path), done_(static_cast<std::size_t>(header.shard.size(header.points))) {
  try {
    open();
    take_up(header);
  } catch (...) {
    if (file_ >= 0) close(file_);
    throw;
  }
}

ShardFile::~ShardFile() {
  close(file_);  // which gives the lock back
}

void ShardFile::open() {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0)
    throw Error(ExitCode::failure, fmt::format("{}: cannot write: {}", path_, std::strerror(errno)));
  // A file system without locks leaves it to the engine that no two tasks are one shard.
  if (flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    throw InputError(fmt::format("{}: found another process that writes this shard, expected none", path_));
}

void ShardFile::take_up(const ShardHeader& header) {
  const std::string text = read_text_file(path_);
  const std::size_t whole = whole_lines(text, [&](std::string_view line, std::size_t number) {
    if (number == 1) {
      const ShardHeader found = read_header(line, path_);
      const std::string difference = identity_difference(found.identity, header.identity);
      if (!difference.empty())
        throw InputError(
            fmt::format("{}: found rows of another grid, which differs in {}", path_, difference));
      if (found.shard.text() != header.shard.text())
        throw InputError(
            fmt::format("{}: found shard {}, expected {}", path_, found.shard.text(), header.shard.text()));
      return;
    }
    const std::uint64_t point = point_of(line, fmt::format("{}:{}", path_, number));
    if (point >= header.points || !header.shard.holds(point))
      throw InputError(fmt::format("{}:{}: found point {}, expected one of shard {} of {} points", path_,
                                   number, point, header.shard.text(), header.points));
    const auto i = static_cast<std::size_t>(point / header.shard.count);
    if (!done_[i]) ++rows_;
    done_[i] = true;
  });
  if (whole < text.size() && ftruncate(file_, static_cast<off_t>(whole)) != 0)
    throw Error(ExitCode::failure, fmt::format("{}: cannot cut: {}", path_, std::strerror(errno)));
  if (whole == 0) write(header_line(header));
}

void ShardFile::write(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      throw Error(ExitCode::failure, fmt::format("{}: cannot write: {}", path_, std::strerror(errno)));
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void ShardFile::append(const std::string& row) {
  const std::lock_guard lock(mutex_);
  if (broken_)
    return;  // behind half a row (a full disk) nothing may follow: it is the torn line that a restart cuts
             // off
  broken_ = true;
  write(row + "\n");
  broken_ = false;
}

ShardHeader read_shard_file(const std::string& path,
                            const std::function<void(std::uint64_t, std::string_view)>& row) {
  const std::string text = read_text_file(path);
  ShardHeader header;
  const std::size_t whole = whole_lines(text, [&](std::string_view line, std::size_t number) {
    if (number == 1)
      header = read_header(line, path);
    else
      row(point_of(line, fmt::format("{}:{}", path, number)), line);
  });
  if (whole == 0) throw InputError(path + ": found no whole line, expected a shard's rows");
  return header;
}

}  // namespace sextant
