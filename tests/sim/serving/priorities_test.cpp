#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

// A fifth of 10,000 requests first, the rest later: 2,000 +- 4 x 40 (the binomial's deviation). The same
// number, the same priority, whatever the load.
TEST(Priorities, AreDrawnByTheRequestsNumber) {
  const auto read = [](const std::string& load) {
    return read_workload(JsonValue::parse(
        R"({"num_prompts": 10000, "prompt": {"fixed": 10}, "output": {"fixed": 5}, "seed": 7,
            "priorities": [{"priority": -1, "share": 0.2}, {"priority": 3, "share": 0.8}], )" +
            load + "}",
        "w"));
  };
  const auto slow = make_request_source(read(R"("request_rate": 1)"));
  const auto fast = make_request_source(read(R"("max_concurrency": 8)"));
  int first = 0;
  for (int i = 0; i < 10000; ++i) {
    const Request request = *slow->next();
    ASSERT_TRUE(request.priority == -1 || request.priority == 3);
    EXPECT_EQ(request.priority, fast->next()->priority);
    first += request.priority == -1 ? 1 : 0;
  }
  EXPECT_NEAR(first, 2000, 160);
}

TEST(Priorities, MustBeOfAllRequests) {
  try {
    read_workload(JsonValue::parse(
        R"({"num_prompts": 10, "prompt": {"fixed": 10}, "output": {"fixed": 5}, "request_rate": 1,
            "priorities": [{"priority": 0, "share": 0.2}, {"priority": 1, "share": 0.7}]})",
        "w"));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "w: priorities: found shares of 0.9 in all, expected 1");
  }
}

}  // namespace
}  // namespace sextant
