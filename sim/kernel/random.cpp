#include "sim/kernel/random.hpp"

#include <bit>
#include <cmath>
#include <stdexcept>

#include "sim/kernel/portable_math.hpp"

namespace sextant {

namespace {

/// SplitMix64 (Steele, Lea and Flood 2014).
std::uint64_t split_mix(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
  return z ^ z >> 31;
}

/// 64-bit FNV-1a.
std::uint64_t hash_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::string_view component, std::uint64_t replication) {
  std::uint64_t mixed = seed;
  mixed = split_mix(mixed) ^ hash_of(component);
  mixed = split_mix(mixed) ^ replication;
  for (std::uint64_t& word : state_) word = split_mix(mixed);
}

/// xoshiro256** (Blackman and Vigna 2018).
std::uint64_t RandomStream::bits() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double RandomStream::uniform() {
  return (static_cast<double>(bits() >> 12) + 0.5) * 0x1p-52;  // exact: 52 bits and a half
}

/// Lemire 2019: the high half of a product, rejecting the few low halves that would favour some results.
std::uint64_t RandomStream::below(std::uint64_t n) {
  if (n == 0) throw std::logic_error("random stream: below(0), expected a positive bound");
  __extension__ using Product = unsigned __int128;
  Product product = static_cast<Product>(bits()) * n;
  if (static_cast<std::uint64_t>(product) < n) {
    const std::uint64_t unfair = (0 - n) % n;  // 2^64 mod n
    while (static_cast<std::uint64_t>(product) < unfair) product = static_cast<Product>(bits()) * n;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

double RandomStream::exponential(double mean) {
  return -mean * portable_log(uniform());
}

/// Marsaglia's polar method. The second number of the pair is dropped, so that a stream has no hidden
/// half-step.
double RandomStream::normal() {
  for (;;) {
    const double x = 2 * uniform() - 1;
    const double y = 2 * uniform() - 1;
    const double square = x * x + y * y;
    if (square > 0 && square < 1) return x * std::sqrt(-2 * portable_log(square) / square);
  }
}

double RandomStream::lognormal(double median, double sigma) {
  return median * portable_exp(sigma * normal());
}

/// Marsaglia and Tsang 2000; below shape 1 by gamma(shape + 1) * u^(1/shape).
double RandomStream::gamma(double shape, double scale) {
  if (!(shape > 0)) throw std::logic_error("random stream: gamma of a shape that is not positive");
  if (shape < 1) {
    const double boosted = gamma(shape + 1, scale);
    return boosted * portable_exp(portable_log(uniform()) / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal();
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    const double u = uniform();
    if (portable_log(u) < 0.5 * x * x + d * (1 - v + portable_log(v))) return d * v * scale;
  }
}

}  // namespace sextant
