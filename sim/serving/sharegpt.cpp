#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

/// vLLM's own bounds (vllm/benchmarks/datasets.py, is_valid_sequence).
constexpr std::int64_t shortest = 4, longest_prompt = 1024, longest_together = 2048;

/// Unicode characters of a text in UTF-8: every byte that does not continue one.
std::int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

/// Goes through the document without keeping it: the file has hundreds of megabytes. A conversation is an
/// object at depth 1; its texts are the "value"s of the objects in its "conversations".
class ShareGptReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  ShareGptReader(const std::string& path, double characters_per_token)
      : path_(path), characters_per_token_(characters_per_token) {}

  std::vector<Request> take() {
    if (requests_.empty())
      throw InputError(
          fmt::format("{}: found no usable one among {} conversations, expected at least one whose "
                      "prompt has {} to {} tokens and whose answer has {} or more",
                      path_, conversations_, shortest, longest_prompt, shortest));
    return std::move(requests_);
  }

  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_unsigned(number_unsigned_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool string(string_t& text) override {
    if (!started_) wrong_shape();
    if (in_texts_ && depth_ == 4 && key_ == "value" && texts_ < 2) lengths_[texts_++] = characters(text);
    return true;
  }
  bool key(string_t& key) override {
    if (depth_ == 2 || depth_ == 4) key_ = key;
    return true;
  }
  bool start_object(std::size_t) override {
    if (!started_) wrong_shape();
    if (++depth_ == 2) texts_ = 0;
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1) end_conversation();
    return true;
  }
  bool start_array(std::size_t) override {
    started_ = true;
    if (++depth_ == 3) in_texts_ = key_ == "conversations";
    return true;
  }
  bool end_array() override {
    if (--depth_ == 2) in_texts_ = false;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    throw InputError(fmt::format("{}: byte {}: {}", path_, position, error.what()));
  }

 private:
  bool other() {
    if (!started_) wrong_shape();
    return true;
  }
  [[noreturn]] void wrong_shape() const {
    throw InputError(path_ + ": found no array, expected ShareGPT's array of conversations");
  }
  std::int64_t tokens(std::int64_t length) const {
    return static_cast<std::int64_t>(std::ceil(static_cast<double>(length) / characters_per_token_));
  }
  void end_conversation() {
    ++conversations_;
    if (texts_ < 2) return;
    Request request;
    request.prompt_tokens = tokens(lengths_[0]);
    request.output_tokens = tokens(lengths_[1]);
    if (request.prompt_tokens < shortest || request.output_tokens < shortest ||
        request.prompt_tokens > longest_prompt ||
        request.prompt_tokens + request.output_tokens > longest_together)
      return;
    requests_.push_back(request);
  }

  const std::string& path_;
  double characters_per_token_;
  bool started_ = false, in_texts_ = false;
  int depth_ = 0;
  std::string key_;
  std::size_t texts_ = 0;
  std::array<std::int64_t, 2> lengths_{};
  std::int64_t conversations_ = 0;
  std::vector<Request> requests_;
};

}  // namespace

std::vector<Request> read_sharegpt(const std::string& path, double characters_per_token) {
  if (!(characters_per_token > 0))
    throw InputError(fmt::format("{}: found characters_per_token {}, expected a number above 0", path,
                                 characters_per_token));
  const std::string text = read_text_file(path);
  ShareGptReader reader(path, characters_per_token);
  nlohmann::json::sax_parse(text, &reader);
  return reader.take();
}

}  // namespace sextant
