// The arithmetic ceiling of one core, measured: independent fused multiply-adds in registers.
#pragma once

#include "codegen/problem/TargetInfo.h"

namespace kiln {

/// f32 operations per second (2 per multiply-add) at the vector width of `target`, over a few hundred microseconds.
double measureFmaPeak(const TargetInfo &target);

} // namespace kiln
