#include "models/base/embedded.hpp"

#include <algorithm>

namespace sextant {

std::vector<EmbeddedFile> embedded_files(std::string_view prefix) {
  std::vector<EmbeddedFile> found;
  for (std::size_t i = 0; i < detail::embedded_file_count; ++i) {
    const EmbeddedFile& file = detail::embedded_files[i];
    if (file.path.starts_with(prefix)) found.push_back(file);
  }
  std::sort(found.begin(), found.end(),
            [](const EmbeddedFile& a, const EmbeddedFile& b) { return a.path < b.path; });
  return found;
}

}  // namespace sextant
