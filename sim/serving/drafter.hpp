#pragma once
#include "models/llm/memory.hpp"
#include "models/llm/operators.hpp"
#include "sim/serving/speculation.hpp"

namespace sextant {

/// What drafts tokens on the same GPUs as the model, on those of its last stage: a whole small model, or one
/// layer on top of the model's hidden state (eagle, mtp), which shares its embedding and head.
struct Drafter {
  Architecture architecture;
  WeightFormat weights;
  KvFormat kv;
  bool shares_embedding = false;  ///< its embedding and head are the model's own
  std::int64_t tokens = 0;        ///< passes in a step: one for each token drafted

  /// The ways it is cut where the model is cut so: as many, or whole on each GPU if its heads cannot be (its
  /// draft_tensor_parallel_size of 1).
  std::int64_t cut(std::int64_t tensor_parallel) const;
  StageShape shape(std::int64_t tensor_parallel) const;
  /// What one GPU of the last stage does in one of its passes.
  StageOperators operators(std::int64_t tensor_parallel) const;
  /// Takes its weights and its tokens' keys and values out of a GPU's memory.
  void take_memory(MemoryBudget&, std::int64_t tensor_parallel) const;
};

/// The drafter of a model that is stored so; nullopt for n-grams, which cost nothing. Throws InputError for
/// an unknown draft model, and where the model has no attention layer that a head could be made of.
std::optional<Drafter> make_drafter(const Speculation&, const Architecture&, const WeightFormat&,
                                    const KvFormat&);

}  // namespace sextant
