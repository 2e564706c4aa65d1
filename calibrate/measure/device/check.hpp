#pragma once
#include <cuda_runtime_api.h>

#include <string>

namespace sextant::measure {

/// Throws Error "CALL: reason" unless the call succeeded. Clears the runtime's last error first, so that one
/// failed family does not fail the next.
void check(cudaError_t, const char* call);
/// The same for what the last kernel launch left behind.
void check_launch(const char* kernel);

}  // namespace sextant::measure

/// Checks a CUDA runtime call and names it in the error.
#define SEXTANT_CUDA(call) ::sextant::measure::check((call), #call)
