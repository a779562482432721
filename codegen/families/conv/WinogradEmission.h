// Interface and emission of a convolution by Winograd's minimal filtering.
#pragma once

#include "codegen/Emission.h"
#include "codegen/families/conv/WinogradPlan.h"

namespace kiln {

/// Wants mayUseWinograd and isLegalPlan.
KernelInterface describeWinograd(const Problem &problem, const WinogradPlan &plan, const TargetInfo &target);
mlir::OwningOpRef<mlir::ModuleOp> emitWinograd(const Problem &problem, const WinogradPlan &plan,
                                               const KernelInterface &interface, const TargetInfo &target,
                                               mlir::MLIRContext &context);

} // namespace kiln
