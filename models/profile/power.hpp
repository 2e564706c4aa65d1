#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/base/figure.hpp"
#include "models/base/json_reader.hpp"
#include "models/profile/gpu_profile.hpp"
#include "models/profile/power_model.hpp"

namespace sextant {

/// What a kernel keeps busy: the tensor cores, or the memory.
enum class Work { tensor, stream };

/// Watts drawn at a clock in MHz, no cycles skipped.
double watts(const PowerModel&, double clock_mhz, Work);
/// The clock in MHz at which that work draws the limit in watts, between the card's lowest and highest.
double clock_mhz(const PowerModel&, double limit_watts, Work);
/// Watts drawn under a limit: the limit, or less where the highest clock does not reach it.
double watts_under(const PowerModel&, double limit_watts, Work);
/// Speed of the work under a limit relative to that under another; skipped cycles counted.
double relative_speed(const PowerModel&, double limit_watts, Work, double than_watts);
/// The same relative to the card's default limit.
double relative_speed(const PowerModel&, double limit_watts, Work);

/// The profile of the card under another power limit: arithmetic as tensor-bound work, memory as streaming
/// work, kernel latency with the clock of streaming work (kernels so short draw little); intervals widened by
/// the model's spread, grades lowered to `scaled`. Throws InputError if the profile has no power model or
/// the limit is not one the card can be set to.
GpuProfile at_power_limit(const GpuProfile&, double limit_watts);

/// The profile of the card at a clock of so many times its usual one: arithmetic and kernel latency go with
/// the clock; memory stays, but where a power model says at which clock it is saturated, below that it falls
/// with the clock too. Grades are lowered to `scaled`. `limit_watts`: the limit the usual clock holds at, if
/// not the default. Throws InputError unless 0 < relative <= 1.
GpuProfile at_clock(const GpuProfile&, double relative, std::optional<double> limit_watts = std::nullopt);

/// The "power" section of a profile, or one entry of the file of all; strict. Throws InputError.
PowerModel read_power_model(const JsonValue&, const std::string& gpu);
nlohmann::ordered_json power_model_json(const PowerModel&);

/// {"format": "sextant power models", "version": 1, "provenance": …, "models": {NAME: …}}; strict.
std::vector<PowerModel> read_power_models(const JsonValue&);
std::string write_power_models(const std::vector<PowerModel>&, const std::string& provenance);
/// power.json of the folder in SEXTANT_PROFILES, else the shipped one.
JsonValue power_models_document();
/// The model of a GPU in that file; nullopt for one that it lacks.
std::optional<PowerModel> find_power_model(const std::string& gpu);

}  // namespace sextant
