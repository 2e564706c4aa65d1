#pragma once
#include <string>
#include <vector>

namespace sextant::nccl {

/// `sextant-measure nccl`: the arguments after `nccl`. Returns the exit code; throws Error and InputError.
/// `version` goes into the result file's header.
int run_nccl_command(const std::vector<std::string>& arguments, const std::string& version);

}  // namespace sextant::nccl
