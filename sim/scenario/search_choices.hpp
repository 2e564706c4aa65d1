#pragma once
#include <string>
#include <utility>
#include <vector>

#include "models/base/json_reader.hpp"
#include "sim/serving/engine_options.hpp"
#include "sim/serving/replica_model.hpp"

namespace sextant {

/// What a search looks for among the layouts that meet the SLO.
enum class Objective {
  throughput,  ///< most output tokens/s, or the highest rate
  cost,        ///< least USD per million output tokens
  energy,      ///< least joules per output token
  pareto       ///< ranked as throughput, with the front of throughput, latency, cost and energy
};
std::string to_string(Objective);

/// One combination of the formats and engine options that a search may choose from.
struct SearchChoice {
  std::string name;  ///< "weights fp8, max_num_seqs 512"; empty where there is nothing to choose
  std::vector<std::pair<std::string, std::string>>
      changes;  ///< (path, JSON text) that make it the scenario's
  ServedModel model;
  EngineOptions engine;
  bool apart = false;  ///< a pool that prefills and one that decodes, instead of one that does both
};

/// A combination that no engine would take, and why.
struct RefusedChoice {
  std::string name, reason;
};

/// A scenario's "search" block.
struct SearchQuestion {
  Objective objective = Objective::throughput;
  std::vector<SearchChoice> choices;  ///< empty: the scenario's own model and engine alone
  std::vector<RefusedChoice> refused;
};

/// Reads a model, and an engine that is to serve it, of a scenario document. Throws InputError.
ServedModel read_model(const JsonValue&);
EngineOptions read_engine(const JsonObject& scenario, const Cluster&, const ServedModel&);

/// The draft of a speculating engine, whose weights and KV the model's GPUs hold too. Throws InputError.
void add_drafter(const JsonObject& scenario, const EngineOptions&, ServedModel&);

/// Reads the "search" block of a scenario document: `objective`, and lists `weights`, `kv` and
/// `engine`.{option} and `disaggregation`, every combination of which is a choice. A combination that the
/// model or the engine does not allow is refused with its reason; a value that is in no allowed combination
/// is an error. Throws InputError.
SearchQuestion read_search(const JsonValue& document, const Cluster&);

}  // namespace sextant
