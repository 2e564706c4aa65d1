#pragma once
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"

namespace sextant {

/// A catalogue entry: config.json as published, and a side-car with what the config does not say.
struct ModelEntry {
  Architecture architecture;
  std::string hugging_face_id;
  std::string config_source;        ///< where config.json was read
  double published_parameters = 0;  ///< as the publisher rounds it; 0 if not stated
  /// Published checkpoint sizes: format, bytes, source.
  struct Checkpoint {
    std::string weights;
    double bytes = 0;
    std::string source;
  };
  std::vector<Checkpoint> checkpoints;
  std::string notes;  ///< conflicts between sources, caveats; may be empty
};

std::vector<std::string> model_names();

/// A catalogue name, or a path to a config.json (anything with a '/' or ending in ".json"; how its tokens are
/// chosen is told by a generation_config.json beside it, else by
/// the catalogue's model of the same sizes, if there is one).
/// Throws InputError naming the nearest model.
ModelEntry find_model(const std::string& name_or_path);

}  // namespace sextant
