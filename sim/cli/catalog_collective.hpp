#pragma once
#include <string>

#include "reports/text_style.hpp"
#include "sim/cli/command_line.hpp"

namespace sextant {

/// Adds --op, --ranks, --nodes, --intra, --inter, --bytes, --nics, --cpu, --nvls.
void add_collective_options(boost::program_options::options_description&);

/// Throws InputError if one of them was given: they need `catalog collective`.
void refuse_collective_options(const ParsedWords&);

/// Every algorithm and protocol that NCCL has for a group, at each size: NCCL's own estimate, the time from
/// fitted links, and NCCL's choice. Throws InputError for a group or a link there is no model for.
std::string collective_text(const ParsedWords&, TextStyle);

}  // namespace sextant
