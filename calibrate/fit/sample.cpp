#include "calibrate/fit/sample.hpp"

#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

constexpr double prefill_fill_unit = 1024;             // gpu_profile.hpp, second coordinate of prefill
constexpr std::int64_t smallest_serving_width = 1024;  // n and k of a layer's GEMM, per GPU
constexpr std::int64_t smallest_serving_context = 128;
constexpr std::int64_t smallest_serving_prompt = 16;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a * 0x9E3779B97F4A7C15ULL + b;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  return x ^ (x >> 31);
}

std::uint64_t word(std::int64_t number) {
  return static_cast<std::uint64_t>(number);
}

}  // namespace

FitSample sample_of(const GemmRow& row) {
  const auto m = static_cast<double>(row.m), n = static_cast<double>(row.n), k = static_cast<double>(row.k);
  FitSample sample;
  sample.coordinates = {m, n, k};
  sample.flops = 2 * m * n * k;
  sample.resident_bytes = n * k * element_bytes(row.dtype);
  sample.bytes = m * k * activation_bytes(row.dtype) + sample.resident_bytes + m * n * output_bytes;
  sample.us = row.us;
  sample.shape = mix(word(row.n), word(row.k));
  sample.serving = row.n >= smallest_serving_width && row.k >= smallest_serving_width;
  return sample;
}

FitSample sample_of(const AttentionPrefillRow& row) {
  const auto heads = static_cast<double>(row.heads), head_dim = static_cast<double>(row.head_dim);
  const auto batch = static_cast<double>(row.batch), fresh = static_cast<double>(row.new_tokens);
  const auto past = static_cast<double>(row.past_tokens);
  const double pairs = fresh * past + fresh * (fresh + 1) / 2;
  FitSample sample;
  sample.coordinates = {pairs / fresh, heads * fresh * batch / prefill_fill_unit,
                        heads / static_cast<double>(row.kv_heads)};
  sample.flops = 4 * heads * head_dim * pairs * batch;
  const double kv_bytes_per_token =
      2 * static_cast<double>(row.kv_heads) * head_dim * element_bytes(row.kv_dtype);
  sample.bytes = batch * ((past + fresh) * kv_bytes_per_token + 2 * fresh * heads * head_dim * output_bytes);
  sample.us = row.us;
  sample.shape = mix(mix(word(row.new_tokens), word(row.past_tokens)), word(row.heads * row.batch));
  sample.serving = row.new_tokens >= smallest_serving_prompt;
  return sample;
}

FitSample sample_of(const AttentionDecodeRow& row) {
  const auto heads = static_cast<double>(row.heads), kv_heads = static_cast<double>(row.kv_heads);
  const auto head_dim = static_cast<double>(row.head_dim), batch = static_cast<double>(row.batch);
  const auto context = static_cast<double>(row.context);
  FitSample sample;
  sample.coordinates = {batch * kv_heads, context, heads / kv_heads};
  sample.flops = 4 * heads * head_dim * batch * context;
  sample.resident_bytes = 2 * kv_heads * head_dim * batch * context * element_bytes(row.kv_dtype);
  sample.bytes = sample.resident_bytes + 2 * batch * heads * head_dim * output_bytes;
  sample.us = row.us;
  sample.shape = mix(mix(word(row.batch * row.kv_heads), word(row.context)), word(row.heads / row.kv_heads));
  sample.serving = row.context >= smallest_serving_context;
  return sample;
}

}  // namespace sextant
