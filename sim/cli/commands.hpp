#pragma once
#include <string>
#include <vector>

namespace sextant {

/// The words after a sub-command's name.
using Arguments = std::vector<std::string>;

// One function per sub-command, each in its own file. They print data on stdout and return an exit code;
// errors are exceptions, which main() turns into one line on stderr.

int run_plan(const Arguments&);
int run_simulate(const Arguments&);
int run_catalog(const Arguments&);
int run_fit(const Arguments&);
int run_import(const Arguments&);
int run_uplink(const Arguments&);
int run_validate(const Arguments&);
int run_doctor(const Arguments&);
int run_sweep(const Arguments&);
int run_whatif(const Arguments&);
int run_export(const Arguments&);
int run_report(const Arguments&);

}  // namespace sextant
