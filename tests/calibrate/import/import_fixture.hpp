#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "calibrate/import/foreign.hpp"
#include "models/base/error.hpp"

namespace sextant {

using ForeignImport = void (*)(const std::string&, const ForeignOrigin&, ImportReport&,
                               const MeasurementSink&);

/// What an import passed on and said.
struct Imported {
  std::vector<Measurement> rows;
  ImportReport report;
  std::string error;  ///< empty if there was none

  template <class Row>
  Row row(std::size_t index) const {
    return std::get<Row>(rows.at(index).row);
  }
};

inline Imported import_file(ForeignImport import, const std::string& path, const ForeignOrigin& origin) {
  Imported imported;
  try {
    import(path, origin, imported.report, [&](const Measurement& row) { imported.rows.push_back(row);
  });
}
catch (const InputError& error) {
  imported.error = error.what();
}
return imported;
}  // namespace sextant

/// A file of tests/fixtures/import.
inline Imported import_fixture(ForeignImport import, const std::string& name,
                               const ForeignOrigin& origin = {}) {
  return import_file(import, std::string(SEXTANT_SOURCE_DIR) + "/tests/fixtures/import/" + name, origin);
}

inline std::string fixture_text(const std::string& name) {
  std::ifstream file(std::string(SEXTANT_SOURCE_DIR) + "/tests/fixtures/import/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A text with one part of it replaced.
inline std::string edited(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

inline Imported import_text(ForeignImport import, const std::string& text, const ForeignOrigin& origin = {}) {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  const std::string name = std::string(test.test_suite_name()) + "." + test.name();
  const std::string path = (std::filesystem::path(testing::TempDir()) / name).string();
  std::ofstream(path) << text;
  Imported imported = import_file(import, path, origin);
  std::filesystem::remove(path);
  return imported;
}

}  // namespace sextant
