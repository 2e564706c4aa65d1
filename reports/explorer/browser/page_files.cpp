#include "reports/explorer/browser/page_files.hpp"

#include <fmt/core.h>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {

std::map<std::string, std::string>& page_files() {
  static std::map<std::string, std::string> files;
  return files;
}

std::vector<EmbeddedFile> embedded_files(std::string_view prefix) {
  std::vector<EmbeddedFile> found;
  for (const auto& [path, content] : page_files())
    if (path.starts_with(prefix)) found.push_back({path, content});
  return found;
}

std::string read_text_file(const std::string& path) {
  const auto found = page_files().find(path);
  if (found == page_files().end()) throw InputError(fmt::format("{}: not in this page", path));
  return found->second;
}

void for_each_line(const std::string& path, const std::function<void(std::string_view, std::size_t)>&) {
  throw InputError(fmt::format("{}: not in this page", path));
}

}  // namespace sextant
