#include "models/llm/weight_format.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr Range bit_counts{0, 64};

JsonObject formats_file() {
  const std::string path = "models/llm/catalogue/weight-formats.json";
  const std::vector<EmbeddedFile> files = embedded_files(path);
  if (files.empty()) throw InputError(fmt::format("{}: not embedded in this binary", path));
  return JsonValue::parse(files.front().content, path).object();
}

WeightFormat read_weight_format(const JsonObject& object) {
  WeightFormat format;
  format.name = object.text("name");
  format.bits = object.number("bits", {1, 64});
  format.group = object.integer_or("group", 0, {0, 1 << 20});
  format.group_rows = object.integer_or("group_rows", 1, {1, 1 << 20});
  format.scale_bits = object.number_or("scale_bits", 0, bit_counts);
  format.zero_bits = object.number_or("zero_bits", 0, bit_counts);
  format.channel_scale_bits = object.number_or("channel_scale_bits", 0, bit_counts);
  format.tensor_scale_bits = object.number_or("tensor_scale_bits", 0, bit_counts);
  format.gemm_type = object.text("gemm_type");
  format.moe_type = object.text("moe_type");
  format.pads_experts = object.boolean_or("pads_experts", false);
  format.source = object.text("source");
  object.finish();
  return format;
}

KvFormat read_kv_format(const JsonObject& object) {
  KvFormat format;
  format.name = object.text("name");
  format.bytes = object.number("bytes", {0.125, 8});
  object.text("source");
  object.finish();
  return format;
}

template <class Format>
Format find_format(const std::vector<Format>& formats, const std::string& name, const char* what) {
  std::vector<std::string> names;
  for (const Format& format : formats) {
    if (format.name == name) return format;
    names.push_back(format.name);
  }
  throw InputError(fmt::format("{} format: found \"{}\", expected one of {}{}", what, name,
                               fmt::join(names, ", "), did_you_mean(name, names)));
}

std::vector<WeightFormat> weight_formats() {
  std::vector<WeightFormat> formats;
  for (const JsonValue& item : formats_file().at("weights").array())
    formats.push_back(read_weight_format(item.object()));
  return formats;
}

}  // namespace

double WeightFormat::matrix_bytes(std::int64_t rows, std::int64_t columns) const {
  const auto outputs = static_cast<double>(rows);
  const std::int64_t groups = group > 0 ? (columns + group - 1) / group : 0;
  const std::int64_t scale_rows = (rows + group_rows - 1) / group_rows;
  const double total_bits =
      outputs * static_cast<double>(columns) * bits +
      static_cast<double>(scale_rows) * static_cast<double>(groups) * (scale_bits + zero_bits) +
      outputs * channel_scale_bits + tensor_scale_bits;
  return total_bits / 8;
}

WeightFormat weight_format(const std::string& name) {
  return find_format(weight_formats(), name, "weight");
}

KvFormat kv_format(const std::string& name) {
  std::vector<KvFormat> formats;
  for (const JsonValue& item : formats_file().at("kv").array())
    formats.push_back(read_kv_format(item.object()));
  return find_format(formats, name, "kv");
}

std::vector<std::string> weight_format_names() {
  std::vector<std::string> names;
  for (const WeightFormat& format : weight_formats()) names.push_back(format.name);
  return names;
}

}  // namespace sextant
