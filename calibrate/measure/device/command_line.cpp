#include "calibrate/measure/device/command_line.hpp"

#include <fmt/core.h>

#include "models/base/error.hpp"

namespace sextant::measure {

options::variables_map parse(const Arguments& arguments, const options::options_description& known) {
  options::variables_map values;
  try {
    const auto style =
        options::command_line_style::default_style & ~options::command_line_style::allow_guessing;
    options::positional_options_description none;
    options::store(options::command_line_parser(arguments).options(known).style(style).positional(none).run(),
                   values);
    options::notify(values);
  } catch (const options::error& error) {
    throw InputError(error.what());
  }
  if (values.contains("quick") && values.contains("thorough"))
    throw InputError("found --quick and --thorough, expected one of them");
  return values;
}

std::vector<std::string> parts(const std::string& list) {
  std::vector<std::string> found;
  std::string part;
  for (const char c : list + ",") {
    if (c != ',') {
      part += c;
    } else if (!part.empty()) {
      found.push_back(part);
      part.clear();
    }
  }
  return found;
}

void add_common(options::options_description& known) {
  known.add_options()("help,h", "this text")                                                                //
      ("output,o", options::value<std::string>(), "measurement file (JSON Lines) to write; '-' is stdout")  //
      ("resume", "add what is missing to an existing file")                                                 //
      ("quick", "under 2 minutes")                                                                          //
      ("thorough", "everything, however long it takes")                                                     //
      ("seconds", options::value<double>(),
       "stop cleanly after that time; every family is covered by then, coarsely")  //
      ("gpu", options::value<std::string>(),
       "catalogue name of the GPU, where it cannot be told from the driver's")    //
      ("list", "say what would be measured and how long it takes; needs no GPU")  //
      ("quiet", "no progress");
}

Depth depth_of(const options::variables_map& values) {
  if (values.contains("quick")) return Depth::quick;
  return values.contains("thorough") ? Depth::thorough : Depth::standard;
}

StoppingRule rule_of(Depth depth) {
  StoppingRule rule;
  constexpr double quick = 0.1, standard = 0.25, thorough = 0.5;
  rule.most_seconds = depth == Depth::quick ? quick : depth == Depth::standard ? standard : thorough;
  if (depth == Depth::thorough) rule.relative_half_width /= 2;
  return rule;
}

}  // namespace sextant::measure
