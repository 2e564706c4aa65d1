#include "models/profile/measurement.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "models/base/text_file.hpp"
#include "models/profile/measurement_fields.hpp"
#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
using detail::Words;

/// Fills a row from the keys of an object.
class FieldReader {
 public:
  explicit FieldReader(const JsonObject& object) : object_(object) {}

  void text(const char* key, std::string& value, const Words& choices) {
    value = choices.empty() ? object_.text(key) : choices[object_.choice(key, choices)];
  }
  void optional_text(const char* key, std::string& value, const Words& choices) {
    if (object_.find(key)) text(key, value, choices);
  }
  template <class Integer>
  void count(const char* key, Integer& value, int least) {
    Range range{static_cast<double>(least)};
    if constexpr (sizeof(Integer) < sizeof(std::int64_t)) range.high = std::numeric_limits<Integer>::max();
    value = static_cast<Integer>(object_.integer(key, range));
  }
  template <class Integer>
  void optional_count(const char* key, Integer& value, int least) {
    if (object_.find(key)) count(key, value, least);
  }
  void optional_degree(const char* key, int& value) { optional_count(key, value, 1); }
  void boolean(const char* key, bool& value) { value = object_.boolean(key); }
  void positive(const char* key, double& value) { value = sextant::positive(object_.at(key)); }
  void amount(const char* key, double& value) { value = object_.number(key, {0}); }
  void optional_positive(const char* key, std::optional<double>& value) {
    if (const auto found = object_.find(key)) value = sextant::positive(*found);
  }
  void flag(const char* key, std::optional<bool>& value) {
    if (const auto found = object_.find(key)) value = found->boolean();
  }
  void numbers(const char* key, std::vector<double>& values) {
    if (const auto found = object_.find(key))
      for (const JsonValue& item : found->array()) values.push_back(sextant::positive(item));
  }
  void text_or_object(const char* key, std::string& value) {
    const JsonValue found = object_.at(key);
    value = found.is_object() ? found.dump() : found.text();
  }
  void figures(const char* key, std::map<std::string, double>& values) {
    for (const auto& [name, value] : object_.at(key).object().entries()) values[name] = value.number({0});
  }

 private:
  const JsonObject& object_;
};

/// Writes a row's keys; what is optional and not set is left out.
class FieldWriter {
 public:
  explicit FieldWriter(Json& json) : json_(json) {}

  void text(const char* key, const std::string& value, const Words&) { json_[key] = value; }
  void optional_text(const char* key, const std::string& value, const Words&) {
    if (!value.empty()) json_[key] = value;
  }
  void count(const char* key, std::int64_t value, int) { json_[key] = value; }
  void optional_count(const char* key, std::int64_t value, int) {
    if (value != 0) json_[key] = value;
  }
  void optional_degree(const char* key, int value) {
    if (value != 1) json_[key] = value;
  }
  void boolean(const char* key, bool value) { json_[key] = value; }
  void positive(const char* key, double value) { json_[key] = value; }
  void amount(const char* key, double value) { json_[key] = value; }
  void optional_positive(const char* key, const std::optional<double>& value) {
    if (value) json_[key] = *value;
  }
  void flag(const char* key, const std::optional<bool>& value) {
    if (value) json_[key] = *value;
  }
  void numbers(const char* key, const std::vector<double>& values) {
    if (!values.empty()) json_[key] = values;
  }
  void text_or_object(const char* key, const std::string& value) {
    if (value.starts_with('{'))
      json_[key] = Json::parse(value);
    else
      json_[key] = value;
  }
  void figures(const char* key, const std::map<std::string, double>& values) {
    json_[key] = Json::object();
    for (const auto& [name, value] : values) json_[key][name] = value;
  }

 private:
  Json& json_;
};

const Words other_kinds = {"mamba", "context"};
/// Rows that are about a link, or whose scenario names the GPU.
const Words kinds_without_gpu = {"rdma", "tcp", "serving", "requests", "context"};

bool contains(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Puts the row of that kind into `row`: true if `kind` is the name of one of variant's alternatives from
/// Index on.
template <std::size_t Index = 0>
bool read_row(const std::string& kind, const JsonObject& object, MeasurementRow& row, Words& known) {
  if constexpr (Index + 1 < std::variant_size_v<MeasurementRow>) {
    using Row = std::variant_alternative_t<Index, MeasurementRow>;
    known.emplace_back(detail::kind_name<Row>());
    if (kind != known.back()) return read_row<Index + 1>(kind, object, row, known);
    Row read;
    FieldReader reader(object);
    detail::fields(reader, read);
    row = std::move(read);
    return true;
  }
  return false;
}

void check(const JsonObject& object, const MeasurementRow& row) {
  if (const auto* rdma = std::get_if<RdmaRow>(&row); rdma && !rdma->gbps && !rdma->us)
    object.fail("expected the key 'gbps' or 'us', both are missing");
  if (const auto* p2p = std::get_if<PointToPointRow>(&row); p2p && p2p->ranks != 2)
    object.at("ranks").fail(fmt::format("found {}, expected 2", p2p->ranks));
}

/// A module names the type of its projections, a kernel alone has none.
template <class Row>
void check_mla(const JsonObject& object, const MeasurementRow& row) {
  const auto* mla = std::get_if<Row>(&row);
  if (!mla || mla->module != mla->projections.empty()) return;
  if (mla->module) object.fail("expected the key 'projections' of a whole module, it is missing");
  object.at("projections")
      .fail(fmt::format("found \"{}\", expected none without a module", mla->projections));
}

}  // namespace

Measurement read_measurement(const JsonValue& value) {
  const JsonObject object = value.object();
  Measurement measurement;
  const std::string kind = object.text("kind");
  const bool context = kind == "context";
  measurement.gpu = contains(kinds_without_gpu, kind) ? object.text_or("gpu", "") : std::string();
  Words known;
  if (contains(other_kinds, kind)) {
    measurement.row = OtherRow{kind, value.dump()};
  } else if (!read_row(kind, object, measurement.row, known)) {
    known.insert(known.end(), other_kinds.begin(), other_kinds.end());
    object.at("kind").fail(fmt::format("found \"{}\", expected one of {}{}", kind, fmt::join(known, ", "),
                                       did_you_mean(kind, known)));
  }
  if (!contains(kinds_without_gpu, kind)) measurement.gpu = object.text("gpu");
  measurement.source = context ? object.text_or("source", "") : object.text("source");
  measurement.note = object.text_or("note", "");
  check(object, measurement.row);
  check_mla<MlaPrefillRow>(object, measurement.row);
  check_mla<MlaDecodeRow>(object, measurement.row);
  if (!contains(other_kinds, kind)) object.finish();
  return measurement;
}

void for_each_measurement(const std::string& path,
                          const std::function<void(const Measurement&, std::size_t line)>& visit) {
  for_each_line(path, [&](std::string_view text, std::size_t number) {
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) return;
    visit(read_measurement(JsonValue::parse(text, fmt::format("{}:{}", path, number))), number);
  });
}

std::string write_measurement(const Measurement& measurement) {
  if (const auto* other = std::get_if<OtherRow>(&measurement.row)) return other->json;
  Json json;
  std::visit(
      [&](const auto& row) {
        json["kind"] = detail::kind_name<std::decay_t<decltype(row)>>();
        if (!measurement.gpu.empty()) json["gpu"] = measurement.gpu;
        FieldWriter writer(json);
        detail::fields(writer, row);
      },
      measurement.row);
  json["source"] = measurement.source;
  if (!measurement.note.empty()) json["note"] = measurement.note;
  // Kernels, devices and files may have any bytes as a name; what is no UTF-8 is replaced.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sextant
