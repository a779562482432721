// Interface and emission of a convolution by Winograd's minimal filtering.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/families/conv/WinogradTiling.h"
#include "runtime/base/KernelInterface.h"

namespace kiln {

/// Wants mayUseWinograd and isLegalTiling.
KernelInterface describeWinograd(const Problem &problem, const WinogradTiling &tiling, const TargetInfo &target);
void emitWinograd(emit::Emitter &e, const Problem &problem, const WinogradTiling &tiling,
                  const KernelInterface &interface, const TargetInfo &target);

} // namespace kiln
