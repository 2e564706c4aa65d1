#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

namespace sextant {

/// One catalogue or profile file, compiled into the binary so that it needs no installation.
struct EmbeddedFile {
  std::string_view path;  ///< relative to the repository, e.g. "models/hardware/catalogue/gpus.json"
  std::string_view content;
};

/// Every embedded file whose path starts with `prefix`, in path order.
std::vector<EmbeddedFile> embedded_files(std::string_view prefix);

namespace detail {
extern const EmbeddedFile embedded_files[];
extern const std::size_t embedded_file_count;
}  // namespace detail

}  // namespace sextant
