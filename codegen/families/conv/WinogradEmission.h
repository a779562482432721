// Emission of a convolution by Winograd's minimal filtering.
#pragma once

#include "codegen/Emission.h"
#include "codegen/families/conv/WinogradPlan.h"

namespace kiln {

/// Wants mayUseWinograd and isLegalPlan.
Emission emitWinograd(const Problem &problem, const Convolution &conv, const WinogradPlan &plan,
                      const TargetInfo &target, mlir::MLIRContext &context);

} // namespace kiln
