#include "sim/serving/lengths.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/kernel/portable_math.hpp"

namespace sextant {
namespace {

constexpr Range token_range{1, 1e8};

LengthDistribution read_uniform(const JsonObject& object) {
  LengthDistribution length;
  length.kind = LengthDistribution::Kind::uniform;
  length.low = object.integer("min", token_range);
  length.high = object.integer("max", token_range);
  length.mean = static_cast<double>(length.low + length.high) / 2;
  object.finish();
  return length;
}

LengthDistribution read_lognormal(const JsonObject& object) {
  LengthDistribution length;
  length.kind = LengthDistribution::Kind::lognormal;
  const auto mean = object.find("mean"), median = object.find("median");
  length.sigma = object.number("sigma", {0, 10});
  length.low = object.integer_or("min", length.low, token_range);
  length.high = object.integer_or("max", length.high, token_range);
  object.finish();
  if (mean.has_value() == median.has_value())
    object.fail(
        fmt::format("found {} 'mean' and 'median', expected exactly one of them", mean ? "both" : "neither"));
  const JsonValue& middle = mean ? *mean : *median;
  const double number = middle.number(token_range);
  if (number < static_cast<double>(length.low) || number > static_cast<double>(length.high))
    middle.fail(
        fmt::format("found {}, expected it between min {} and max {}", number, length.low, length.high));
  length.mean = mean ? number : number * portable_exp(length.sigma * length.sigma / 2);
  return length;
}

std::vector<double> read_probabilities(const JsonValue& value) {
  const std::vector<double> numbers = value.numbers({0, 1});
  if (numbers.size() < 2 || numbers.front() != 0 || numbers.back() != 1)
    value.fail("expected probabilities from 0 to 1, both included");
  for (std::size_t i = 1; i < numbers.size(); ++i)
    if (numbers[i] <= numbers[i - 1])
      value.fail(fmt::format("found {} after {}, expected them rising", numbers[i], numbers[i - 1]));
  return numbers;
}

Quantiles read_quantiles(const std::vector<double>& probability, const JsonValue& tokens) {
  const Quantiles quantiles{probability, tokens.numbers(token_range)};
  if (quantiles.tokens.size() != probability.size())
    tokens.fail(fmt::format("found {} quantiles, expected one for each of the {} probabilities",
                            quantiles.tokens.size(), probability.size()));
  for (std::size_t i = 1; i < probability.size(); ++i)
    if (quantiles.tokens[i] < quantiles.tokens[i - 1])
      tokens.fail(fmt::format("found {} after {}, expected quantiles that do not fall", quantiles.tokens[i],
                              quantiles.tokens[i - 1]));
  return quantiles;
}

}  // namespace

LengthDistribution read_length(const JsonValue& value) {
  const JsonObject object = value.object();
  const auto fixed = object.find("fixed"), lognormal = object.find("lognormal"),
             uniform = object.find("uniform");
  object.finish();
  const int kinds = fixed.has_value() + lognormal.has_value() + uniform.has_value();
  if (kinds != 1)
    object.fail(
        fmt::format("found {} distributions, expected exactly one of fixed, lognormal, uniform", kinds));
  if (fixed) {
    LengthDistribution length;
    length.low = length.high = fixed->integer(token_range);
    length.mean = static_cast<double>(length.low);
    return length;
  }
  const LengthDistribution length =
      lognormal ? read_lognormal(lognormal->object()) : read_uniform(uniform->object());
  if (length.low > length.high)
    (lognormal ? *lognormal : *uniform)
        .fail(fmt::format("found min {} above max {}", length.low, length.high));
  return length;
}

std::size_t Quantiles::interval(double p) const {
  const auto above = std::upper_bound(probability.begin(), probability.end(), p);
  const auto index = static_cast<std::size_t>(above - probability.begin());
  return std::clamp<std::size_t>(index, 1, probability.size() - 1) - 1;
}

double Quantiles::at(double p) const {
  const std::size_t i = interval(p);
  const double part = (p - probability[i]) / (probability[i + 1] - probability[i]);
  return tokens[i] + part * (tokens[i + 1] - tokens[i]);
}

double Quantiles::mean() const {
  double sum = 0;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
    sum += (probability[i + 1] - probability[i]) * (tokens[i] + tokens[i + 1]) / 2;
  return sum;
}

double JointLengths::mean_output() const {
  double sum = 0;
  for (std::size_t i = 0; i < output.size(); ++i)
    sum += (prompt.probability[i + 1] - prompt.probability[i]) * output[i].mean();
  return sum;
}

JointLengths read_joint_lengths(const std::string& path) {
  const JsonObject object = JsonValue::read(path).object();
  JointLengths lengths;
  lengths.source = object.text("source");
  const JsonObject prompt = object.at("prompt").object();
  lengths.prompt = read_quantiles(read_probabilities(prompt.at("probability")), prompt.at("tokens"));
  prompt.finish();
  const JsonObject output = object.at("output").object();
  const std::vector<double> probability = read_probabilities(output.at("probability"));
  for (const JsonValue& tokens : output.at("tokens").array())
    lengths.output.push_back(read_quantiles(probability, tokens));
  if (lengths.output.size() + 1 != lengths.prompt.tokens.size())
    output.at("tokens").fail(fmt::format("found {} rows, expected one for each of the prompt's {} intervals",
                                         lengths.output.size(), lengths.prompt.tokens.size() - 1));
  output.finish();
  object.finish();
  return lengths;
}

LengthStream::LengthStream(const LengthDistribution& distribution, RandomStream random)
    : distribution_(distribution),
      median_(distribution.mean / portable_exp(distribution.sigma * distribution.sigma / 2)),
      random_(random) {}

std::int64_t LengthStream::next() {
  switch (distribution_.kind) {
    case LengthDistribution::Kind::fixed:
    case LengthDistribution::Kind::empirical:  // drawn by JointLengths; here its mean stands for it
      return std::llround(distribution_.mean);
    case LengthDistribution::Kind::uniform:
      return distribution_.low + static_cast<std::int64_t>(random_.below(
                                     static_cast<std::uint64_t>(distribution_.high - distribution_.low) + 1));
    case LengthDistribution::Kind::lognormal:
      break;
  }
  const double drawn = random_.lognormal(median_, distribution_.sigma);
  return std::llround(
      std::clamp(drawn, static_cast<double>(distribution_.low), static_cast<double>(distribution_.high)));
}

}  // namespace sextant
