#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// Checks "format" and "version" at the head of a profile file. Throws InputError.
void expect_format(const JsonObject&, const std::string& format, std::int64_t version);

/// KIND.NAME.json of the folder in the environment variable SEXTANT_PROFILES (a user's own calibration), else
/// of the embedded calibrate/profiles. Throws InputError naming the known profiles of that kind, for one that
/// says another name than its file, and where the variable names no folder.
JsonValue profile_document(const std::string& kind, const std::string& name);

/// The folder of the user's own profiles, SEXTANT_PROFILES; nullopt where none is named. Throws InputError if
/// it is no folder.
std::optional<std::string> own_profiles_folder();

/// The file of the user's own profile of that name; nullopt where there is none. Throws InputError where
/// SEXTANT_PROFILES names no folder.
std::optional<std::string> own_profile_file(const std::string& kind, const std::string& name);

/// [low, high] with 0 < low <= 1 <= high.
Spread read_spread(const JsonValue&);

/// One operator model over `dimensions` coordinates. `weights`: GEMMs carry bytes_per_weight. Its efficiency
/// may be {"same_as": KEY} of a model in `before`.
OperatorModel read_operator_model(const JsonValue&, std::size_t dimensions, bool weights,
                                  const std::map<std::string, OperatorModel>& before = {});
/// With `efficiency_of`, a reference to that model's grid stands in place of an equal one of its own.
nlohmann::ordered_json operator_model_json(const OperatorModel&, const std::string& efficiency_of = {});

/// A number above 0. Throws InputError otherwise.
double positive(const JsonValue&);

}  // namespace sextant
