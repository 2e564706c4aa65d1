#include "sim/cli/catalog_profiles.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

constexpr std::string_view profile_folder = "calibrate/profiles/";

/// What the head of a profile file says; the figures stay where the cost model reads them.
struct ShippedProfile {
  std::string name;    ///< file name without its ending
  std::string format;  ///< "sextant gpu profile"
  std::string provenance;
  std::string scaled_from;
  EmbeddedFile file;
};

std::vector<ShippedProfile> shipped_profiles() {
  std::vector<ShippedProfile> profiles;
  for (const EmbeddedFile& file : embedded_files(profile_folder)) {
    const JsonObject head = JsonValue::parse(file.content, std::string(file.path)).object();
    const auto text = [&](const char* key) {
      const auto value = head.find(key);
      return value && value->is_text() ? value->text() : std::string();
    };
    profiles.push_back({std::filesystem::path(file.path).stem().string(), text("format"), text("provenance"),
                        text("scaled_from"), file});
  }
  return profiles;
}

}  // namespace

std::string list_profiles(TextStyle style) {
  Table table({{"profile", Table::Align::left},
               {"format", Table::Align::left},
               {"provenance", Table::Align::left, true}});
  for (const ShippedProfile& profile : shipped_profiles())
    table.add({profile.name, profile.format,
               profile.scaled_from.empty()
                   ? profile.provenance
                   : fmt::format("scaled from {}; {}", profile.scaled_from, profile.provenance)});
  return table.text(style);
}

std::string profile_entry(const std::string& name, TextStyle style) {
  std::vector<std::string> names;
  for (const ShippedProfile& profile : shipped_profiles()) {
    names.push_back(profile.name);
    if (profile.name != name) continue;
    std::string text = paint(profile.name, Tone::strong, style) + "\n";
    text += wrapped("format: " + profile.format, "  ", style.width);
    text += wrapped("file: " + std::string(profile.file.path), "  ", style.width);
    if (!profile.scaled_from.empty())
      text += wrapped("scaled from: " + profile.scaled_from, "  ", style.width);
    if (!profile.provenance.empty()) text += wrapped("provenance: " + profile.provenance, "  ", style.width);
    return text + "\n" + std::string(profile.file.content);
  }
  throw InputError(fmt::format("catalog: found no profile '{}'{}", name, did_you_mean(name, names)));
}

}  // namespace sextant
