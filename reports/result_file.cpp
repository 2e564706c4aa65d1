#include "reports/result_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

constexpr int known_version = 1;

}  // namespace

nlohmann::ordered_json parse_result(std::string_view text, const std::string& file) {
  const JsonObject head = JsonValue::parse(text, file).object();
  const std::vector<std::string> formats = {"sextant plan",     "sextant metrics",    "sextant validation",
                                            "sextant sweep",    "sextant comparison", "sextant whatif",
                                            "sextant purchase", "sextant mix"};
  head.choice("format", formats);
  const std::int64_t version = head.integer("version");
  if (version != known_version)
    throw InputError(fmt::format("{}: version: found {}, expected {}: written by another release", file,
                                 version, known_version));
  return nlohmann::ordered_json::parse(text, nullptr, true, true);
}

nlohmann::ordered_json read_result(const std::string& path) {
  return parse_result(read_text_file(path), path);
}

}  // namespace sextant
