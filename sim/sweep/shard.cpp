#include "sim/sweep/shard.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>

#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr std::uint64_t most_shards = 1000000;

std::optional<std::uint64_t> whole(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::uint64_t number(const Environment& environment, const std::string& name, const std::string& beside) {
  const std::optional<std::string> text = environment(name);
  if (!text) throw InputError(fmt::format("{}: not set beside {}, expected both", name, beside));
  const std::optional<std::uint64_t> value = whole(*text);
  if (!value || *value > most_shards)
    throw InputError(
        fmt::format("{}: found '{}', expected a whole number up to {}", name, *text, most_shards));
  return *value;
}

Shard checked(std::uint64_t id, std::uint64_t lowest, std::uint64_t count, const std::string& name) {
  if (id < lowest || id - lowest >= count)
    throw InputError(fmt::format("{}: found {}, expected {} to {}: an array without gaps", name, id, lowest,
                                 lowest + count - 1));
  return {id - lowest, count};
}

}  // namespace

std::string Shard::text() const {
  return fmt::format("{}/{}", index + 1, count);
}

std::string Shard::file_name() const {
  const std::string of = fmt::format("{}", count);
  return fmt::format("shard-{:0{}}-of-{}.jsonl", index + 1, of.size(), of);
}

Shard read_shard(const std::string& text) {
  const std::size_t slash = text.find('/');
  const auto index = whole(std::string_view(text).substr(0, slash));
  const auto count =
      slash == std::string::npos ? std::nullopt : whole(std::string_view(text).substr(slash + 1));
  if (!index || !count || *index < 1 || *index > *count || *count > most_shards)
    throw InputError(
        fmt::format("--shard: found '{}', expected K/N such as 3/8, K from 1 to N, or auto", text));
  return {*index - 1, *count};
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::optional<Shard> shard_from(const Environment& environment) {
  if (environment("SLURM_ARRAY_TASK_ID")) {
    const std::uint64_t lowest =
        environment("SLURM_ARRAY_TASK_MIN") ? number(environment, "SLURM_ARRAY_TASK_MIN", "") : 0;
    return checked(number(environment, "SLURM_ARRAY_TASK_ID", ""), lowest,
                   number(environment, "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_ID"),
                   "SLURM_ARRAY_TASK_ID");
  }
  if (environment("JOB_COMPLETION_INDEX"))
    return checked(number(environment, "JOB_COMPLETION_INDEX", ""), 0,
                   number(environment, "JOB_COMPLETIONS", "JOB_COMPLETION_INDEX"), "JOB_COMPLETION_INDEX");
  return std::nullopt;
}

}  // namespace sextant
