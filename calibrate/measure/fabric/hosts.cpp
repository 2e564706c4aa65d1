#include "calibrate/measure/fabric/hosts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant::measure_fabric {

std::vector<Host> read_hosts(const std::string& path) {
  std::vector<Host> hosts;
  for_each_line(path, [&](std::string_view text, std::size_t number) {
    std::istringstream words{std::string(text.substr(0, text.find('#')))};
    Host host;
    if (!(words >> host.name)) return;
    host.address = host.name;
    constexpr std::string_view address = "address=";
    for (std::string word; words >> word;) {
      if (word.starts_with(address))
        host.address = word.substr(address.size());
      else if (word.find('=') == std::string::npos)
        throw InputError(
            fmt::format("{}:{}: found \"{}\", expected KEY=VALUE after the host's name", path, number, word));
    }
    if (std::any_of(hosts.begin(), hosts.end(), [&](const Host& other) { return other.name == host.name; }))
      throw InputError(
          fmt::format("{}:{}: found the host \"{}\" again, expected each once", path, number, host.name));
    hosts.push_back(host);
  });
  if (hosts.empty()) throw InputError(fmt::format("{}: found no host, expected one on each line", path));
  return hosts;
}

std::vector<std::string> launch_words(const std::string& pattern, const std::string& host) {
  std::istringstream words(pattern);
  std::vector<std::string> result;
  constexpr std::string_view place = "{host}";
  for (std::string word; words >> word;) {
    if (const std::size_t at = word.find(place); at != std::string::npos)
      word.replace(at, place.size(), host);
    result.push_back(word);
  }
  return result;
}

}  // namespace sextant::measure_fabric
