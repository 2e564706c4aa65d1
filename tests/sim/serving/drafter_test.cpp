#include "sim/serving/drafter.hpp"

#include <gtest/gtest.h>

#include "models/llm/catalogue.hpp"
#include "sim/serving/replica_model.hpp"

namespace sextant {
namespace {

ServedModel llama_70b() {
  return {find_model("llama-3.1-70b").architecture, weight_format("bf16"), kv_format("bf16"), {}};
}

Drafter drafter(Speculation::Method method, std::int64_t tokens, const std::string& name = "") {
  const ServedModel model = llama_70b();
  return *make_drafter({method, tokens, std::vector<double>(static_cast<std::size_t>(tokens), 0.5), name},
                       model.architecture, model.weights, model.kv);
}

// A layer of Llama 3.1 70B: 8192 x (8192 + 2 x 1024) + 8192 x 8192 + 3 x 8192 x 28672 = 855.6 M weights and
// three norms of 8192 (its own two and the last), and the matrix 8192 x 16384 in front: 990 M in 16 bit. Keys
// and values of 8 heads of 128: 4096 B a token. Embedding and head are the model's.
TEST(Drafter, AnEagleIsALayerAndAMatrix) {
  const Drafter eagle = drafter(Speculation::Method::eagle, 3);
  MemoryBudget budget;
  eagle.take_memory(budget, 1);
  EXPECT_DOUBLE_EQ(budget.weights, 2.0 * (855'638'016 + 3 * 8192 + 134'217'728));
  EXPECT_DOUBLE_EQ(budget.kv_bytes_per_token, 4096);
}

// 8.03 G parameters in 16 bit; 32 layers of 4096 B a token.
TEST(Drafter, ADraftModelBringsAllItsWeights) {
  const Drafter small = drafter(Speculation::Method::draft_model, 3, "llama-3.1-8b");
  MemoryBudget budget;
  small.take_memory(budget, 1);
  EXPECT_NEAR(budget.weights, 2 * 8.03e9, 2 * 0.01e9);
  EXPECT_DOUBLE_EQ(budget.kv_bytes_per_token, 32 * 4096);
}

// 32 heads over 4 GPUs; over 3 they cannot be cut, so each GPU holds the whole drafter.
TEST(Drafter, StaysWholeWhereItsHeadsCannotBeCut) {
  const Drafter small = drafter(Speculation::Method::draft_model, 3, "llama-3.1-8b");
  EXPECT_EQ(small.cut(4), 4);
  EXPECT_EQ(small.cut(3), 1);
}

TEST(Drafter, NgramsHaveNone) {
  const ServedModel model = llama_70b();
  EXPECT_FALSE(make_drafter({Speculation::Method::ngram, 2, {0.5, 0.5}, ""}, model.architecture,
                            model.weights, model.kv));
}

class DrafterCost : public testing::Test {
 protected:
  Cluster cluster_ =
      read_cluster(JsonValue::parse(R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 1}}]})", "x"));
  Machine machine_{cluster_, "bare"};

  ReplicaModel replica(std::optional<Drafter> drafter) const {
    ServedModel model = llama_70b();
    model.drafter = std::move(drafter);
    return {model, machine_, {{{0, 80}, cluster_.gpus()}}, {1, 1}};
  }
};

/// 16 sequences of 2000 cached tokens on average, so many new tokens each.
PassShape verification(std::int64_t tokens) {
  PassShape shape;
  shape.decodes = 16;
  shape.tokens_per_decode = tokens;
  shape.samples = 16 * tokens;
  shape.decode_context_sum = 16 * (2000 + tokens);
  return shape;
}

// Four tokens of 16 sequences are 64 tokens for GEMMs and head, as 64 decodes are, but their caches are read
// once and not four times.
TEST_F(DrafterCost, VerificationReadsTheCacheOnce) {
  const ReplicaModel model = replica(std::nullopt);
  PassShape decodes = verification(1);
  decodes.decodes = decodes.samples = 64;
  decodes.decode_context_sum = 4 * verification(4).decode_context_sum;
  const FamilySeconds verified = model.families(0, verification(4)), decoded = model.families(0, decodes);
  // But for the clock, which the other attention beside them moves a little.
  EXPECT_NEAR(verified[Family::gemm] / decoded[Family::gemm], 1, 1e-3);
  EXPECT_LT(verified[Family::attention_decode], 0.5 * decoded[Family::attention_decode]);
  EXPECT_GE(verified[Family::attention_decode], model.families(0, verification(1))[Family::attention_decode]);
}

// An eagle's first pass is over all 64 tokens with 16 rows of its head, the other two over 16 tokens.
TEST_F(DrafterCost, ADrafterPassesOnceForEachToken) {
  const Drafter eagle = drafter(Speculation::Method::eagle, 3);
  const StageCost alone(eagle.operators(1), machine_.profile(cluster_.gpus().front()), nullptr, 1);
  PassShape first = verification(4), next = verification(1);
  first.samples = 16;
  next.decode_context_sum = first.decode_context_sum + 16;
  const double expected = alone.cost(first).total() + 2 * alone.cost(next).total();
  const double with = replica(eagle).families(0, verification(4)).total();
  const double without = replica(std::nullopt).families(0, verification(4)).total();
  EXPECT_NEAR(with - without, expected, 1e-9);
  EXPECT_GT(expected, 0);
}

}  // namespace
}  // namespace sextant
