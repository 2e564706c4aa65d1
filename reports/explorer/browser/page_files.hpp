#pragma once
#include <map>
#include <string>

namespace sextant {

/// The catalogue and profile files that the page handed over, by path: in the browser they take the place of
/// those compiled into the program. One page, one set: it is filled before anything is looked up.
std::map<std::string, std::string>& page_files();

}  // namespace sextant
