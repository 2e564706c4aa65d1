#include "sim/sweep/grid.hpp"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "models/profile/profile_file.hpp"
#include "sim/kernel/fingerprint.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;
using Changes = std::vector<std::pair<std::string, std::string>>;

std::string with_thousands(std::uint64_t value) {
  std::string digits = fmt::format("{}", value);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

void add_text(Fingerprint& hash, std::string_view text) {
  hash.add(text.size());
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    word = word << 8 | static_cast<unsigned char>(text[i]);
    if (i % 8 == 7) hash.add(word);
  }
  hash.add(word);
}

std::string shipped_hash() {
  Fingerprint hash;
  for (const EmbeddedFile& file : embedded_files("")) {
    add_text(hash, file.path);
    add_text(hash, file.content);
  }
  return hash.text();
}

/// Hash of the user's own profiles, by name and content; empty without any.
std::string own_profiles_hash() {
  namespace fs = std::filesystem;
  const std::optional<std::string> folder = own_profiles_folder();
  if (!folder) return "";
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(*folder, error))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  Fingerprint hash;
  for (const fs::path& file : files) {
    add_text(hash, file.filename().string());
    add_text(hash, read_text_file(file.string()));
  }
  return hash.text();
}

/// Every text in the scenario that names a file beside it, with a hash of the file.
void hash_named_files(const Json& node, const std::filesystem::path& folder, Json& hashes) {
  if (node.is_structured()) {
    for (const Json& child : node) hash_named_files(child, folder, hashes);
    return;
  }
  if (!node.is_string()) return;
  const std::string name = node.get<std::string>();
  if (name.find('.') == std::string::npos || name.find('\0') != std::string::npos) return;
  const std::filesystem::path given(name), path = given.is_absolute() ? given : folder / given;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return;
  Fingerprint hash;
  add_text(hash, read_text_file(path.string()));
  hashes[name] = hash.text();
}

Json axes_json(const std::vector<Axis>& axes) {
  Json list = Json::array();
  for (const Axis& axis : axes)
    list.push_back({{"path", axis.path()}, {"values", Json::parse(axis.values_text())}});
  return list;
}

Json file_hashes(const JsonValue& scenario, const Json& axes) {
  Json files = Json::object();
  const std::filesystem::path folder = std::filesystem::path(scenario.file()).parent_path();
  hash_named_files(scenario.json(), folder, files);
  hash_named_files(axes, folder, files);
  return files;
}

std::string first_difference(const Json& a, const Json& b, const std::string& path) {
  constexpr std::size_t longest = 200;
  const auto shown = [](const Json* value) {
    if (value == nullptr) return std::string("nothing");
    const std::string text = value->dump();
    return text.size() > longest ? text.substr(0, longest) + "…" : text;
  };
  if (a == b) return "";
  if (a.is_object() && b.is_object()) {
    for (const auto& [key, value] : a.items()) {
      const std::string inside = path.empty() ? key : path + "." + key;
      if (!b.contains(key)) return fmt::format("{}: {} and nothing", inside, shown(&value));
      if (value != b[key]) return first_difference(value, b[key], inside);
    }
    for (const auto& [key, value] : b.items())
      if (!a.contains(key))
        return fmt::format("{}: nothing and {}", path.empty() ? key : path + "." + key, shown(&value));
  }
  if (a.is_array() && b.is_array() && a.size() == b.size())
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a[i] != b[i]) return first_difference(a[i], b[i], fmt::format("{}[{}]", path, i));
  return fmt::format("{}: {} and {}", path, shown(&a), shown(&b));
}

/// Why the scenario with these changes cannot be read; nullopt if it can.
std::optional<std::string> obstacle(const JsonValue& scenario, const Changes& changes) {
  try {
    read_scenario(with_changes(scenario, changes));
    return std::nullopt;
  } catch (const InputError& error) {
    return error.what();
  }
}

}  // namespace

SweepGrid::SweepGrid(JsonValue scenario, std::vector<Axis> axes)
    : scenario_(std::move(scenario)), axes_(std::move(axes)) {
  expect_separate(axes_);
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  for (const Axis& axis : axes_) {
    if (points_ > most / axis.size())
      throw InputError(fmt::format("--axis {}: found more than 2^63 points, expected fewer", axis.path()));
    points_ *= axis.size();
  }
}

std::vector<std::string> SweepGrid::values(std::uint64_t point) const {
  std::vector<std::string> values(axes_.size());
  for (std::size_t i = axes_.size(); i-- > 0;) {
    values[i] = axes_[i].value(point % axes_[i].size());
    point /= axes_[i].size();
  }
  return values;
}

JsonValue SweepGrid::at(std::uint64_t point) const {
  Changes changes;
  const std::vector<std::string> texts = values(point);
  for (std::size_t i = 0; i < axes_.size(); ++i) changes.emplace_back(axes_[i].path(), texts[i]);
  return with_changes(scenario_, changes);
}

std::string SweepGrid::describe() const {
  std::string text = with_thousands(points_) + (points_ == 1 ? " point" : " points");
  for (std::size_t i = 0; i < axes_.size(); ++i)
    text += fmt::format("{}{} ({})", i == 0 ? ": " : " x ", axes_[i].path(), with_thousands(axes_[i].size()));
  return text;
}

std::string SweepGrid::named_files() const {
  std::string names;
  const Json files = file_hashes(scenario_, axes_json(axes_));
  for (const auto& [name, unused] : files.items()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

std::string SweepGrid::identity(const std::string& version) const {
  const Json axes = axes_json(axes_);
  const Json identity = {{"sextant", version},
                         {"shipped_data", shipped_hash()},
                         {"own_profiles", own_profiles_hash()},
                         {"scenario", scenario_.json()},
                         {"named_files", file_hashes(scenario_, axes)},
                         {"axes", axes}};
  return identity.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string identity_difference(const std::string& a, const std::string& b) {
  return first_difference(Json::parse(a), Json::parse(b), "");
}

void expect_readable(const SweepGrid& grid) {
  constexpr std::uint64_t tried_at_most = 1000;
  const std::vector<std::string> first = grid.values(0);
  Changes others;
  for (std::size_t i = 0; i < grid.axes().size(); ++i) others.emplace_back(grid.axes()[i].path(), first[i]);
  for (std::size_t i = 0; i < grid.axes().size(); ++i) {
    const Axis& axis = grid.axes()[i];
    std::optional<std::string> reason;
    bool readable = false;
    for (std::uint64_t v = 0; v < std::min(axis.size(), tried_at_most) && !readable; ++v) {
      Changes beside_first = others;
      beside_first[i].second = axis.value(v);
      const auto alone = obstacle(grid.scenario(), {beside_first[i]});
      readable = !alone || !obstacle(grid.scenario(), beside_first);
      if (!reason) reason = alone;
    }
    if (!readable)
      throw InputError(fmt::format("--axis {}: none of its values gives a scenario; {}: {}", axis.path(),
                                   axis.value(0), *reason));
  }
}

}  // namespace sextant
