#pragma once
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "sim/planner/search.hpp"

namespace sextant {

/// A small scenario drawn at random: two or three nodes with mixed cards, a few layers of a dense model or a
/// mixture of experts, a closed or an open loop.
class RandomScenario {
 public:
  /// `gpus`: at most so many; `layers`: of the model, whose other layers are left out.
  RandomScenario(unsigned seed, int gpus, int layers)
      : random_(seed), scenario_(read_scenario(JsonValue::parse(text(gpus), "random.json"))) {
    auto& kinds = scenario_.model.architecture.layers;
    if (static_cast<int>(kinds.size()) > layers) kinds.resize(static_cast<std::size_t>(layers));
  }
  const Scenario& scenario() const { return scenario_; }
  const std::string& description() const { return text_; }

 private:
  int pick(int from, int to) { return std::uniform_int_distribution(from, to)(random_); }
  template <class T>
  T one_of(const std::vector<T>& values) {
    return values[static_cast<std::size_t>(pick(0, static_cast<int>(values.size()) - 1))];
  }

  std::string text(int most) {
    const std::vector<std::string> nics = {"connectx-7-200", "connectx-7-400", "connectx-5-100"};
    const int nodes = pick(2, 3);
    int left = most;
    std::string list;
    for (int n = 0; n < nodes && left > 0; ++n) {
      const int most_here = std::min(left - (nodes - 1 - n), 3);
      int here = n + 1 == nodes ? std::min(left, 3) : pick(1, std::max(1, most_here));
      left -= here;
      std::string node, gpus;
      switch (pick(0, 3)) {
        case 0:
          node = "hgx", gpus = "\"h200-sxm\": " + std::to_string(here);
          break;
        case 1:
          node = "server-pcie";
          gpus = "\"rtx-pro-6000-server\": " + std::to_string(here);
          break;
        default:
          node = "workstation";
          gpus = "\"rtx-pro-6000-workstation\": " + std::to_string(std::max(1, here - 1));
          if (here > 1) gpus += ", \"rtx-pro-6000-max-q\": 1";
      }
      list += (n > 0 ? ", " : "") + ("{\"node\": \"" + node) + "\", \"gpus\": {" + gpus + "}, \"nic\": \"" +
              one_of(nics) + "\"}";
    }
    const std::string model = one_of<std::string>({R"("llama-3.1-405b", "weights": "bf16")",
                                                   R"("llama-3.1-70b", "weights": "bf16")",
                                                   R"("qwen3-30b-a3b", "weights": "bf16")"});
    const std::string load = pick(0, 2) > 0
                                 ? "\"max_concurrency\": " + std::to_string(one_of<int>({1, 3, 16, 100, 400}))
                                 : "\"request_rate\": " + std::to_string(one_of<int>({1, 10, 100, 1000}));
    text_ = R"({"name": "random", "cluster": {"nodes": [)" + list + R"(]}, "model": {"name": )" + model +
            R"(}, "deployment": "search", "engine": {"gpu_memory_utilization": )" +
            one_of<std::string>({"0.3", "0.4", "0.5", "0.9"}) + R"(, "max_num_seqs": )" +
            std::to_string(one_of<int>({8, 64, 256})) + R"(, "max_model_len": 4096}, "workload": {)" + load +
            R"(, "num_prompts": 50, "prompt": {"fixed": )" + std::to_string(one_of<int>({50, 500, 3000})) +
            R"(}, "output": {"fixed": )" + std::to_string(one_of<int>({10, 200, 1000})) + "}}}";
    return text_;
  }

  std::mt19937 random_;
  std::string text_;
  Scenario scenario_;
};

}  // namespace sextant
