// Per-channel operands of normalisations ([C] against channel dim 1 of [N, C, ...]) as operands that broadcast as in
// numpy.
#pragma once

#include "codegen/problem/Problem.h"

#include <optional>

namespace kiln {

/// The same problem with every batch_norm spelled out in elementwise ops, and the scale and bias of group_norm seen as
/// [C, 1, ...]: the same bytes under dims that broadcast. Inputs, outputs and symbols keep their order. Nothing when
/// such an operand is not a buffer of one dim that no other op reads.
std::optional<Problem> alignChannelOperands(const Problem &problem);

/// Whether alignChannelOperands has anything to do.
bool hasChannelOperands(const Problem &problem);

} // namespace kiln
