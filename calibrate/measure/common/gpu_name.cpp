#include "calibrate/measure/common/gpu_name.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "models/base/error.hpp"
#include "models/hardware/catalogue.hpp"

namespace sextant::measure {
namespace {

std::set<std::string> words(const std::string& text) {
  std::set<std::string> found;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      found.insert(word);
      word.clear();
    }
  }
  return found;
}

bool has_digit(const std::string& word) {
  return std::any_of(word.begin(), word.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

std::string catalogue_gpu(const std::string& device_name) {
  const std::set<std::string> device = words(device_name);
  const Gpu* best = nullptr;
  int best_shared = 0, best_others = 0;
  for (const Gpu& gpu : hardware_catalogue().gpus) {
    int shared = 0, others = 0;
    bool number = false;
    for (const std::string& word : words(gpu.full_name)) {
      device.contains(word) ? ++shared : ++others;
      number = number || (device.contains(word) && has_digit(word));
    }
    if (!number || shared < best_shared || (shared == best_shared && others >= best_others)) continue;
    best = &gpu;
    best_shared = shared;
    best_others = others;
  }
  if (best == nullptr)
    throw InputError(
        fmt::format("found the device '{}', which is not in the catalogue: name it with --gpu", device_name));
  return best->name;
}

}  // namespace sextant::measure
