#pragma once
#include "calibrate/import/kernel_tables.hpp"
#include "models/hardware/catalogue.hpp"

namespace sextant {

/// How the GPUs of a kernel table were joined: NVLink where they have it, PCIe otherwise; a ring over NVLink
/// carries what NCCL counts on of the nominal rate.
TableOrigin table_origin(const Gpu&);

}  // namespace sextant
