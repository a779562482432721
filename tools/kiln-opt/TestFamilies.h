// Families that claim by simple rules and emit nothing: pass tests use them, so that what real families learn to claim
// does not change those tests.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

/// `test.contraction`: one matmul, conv or attention, views (transpose, slice, reshape) of its operands, elementwise
/// epilogue. `test.sweep`: one softmax, norm, reduce or pool with elementwise ops around it. `test.pointwise`:
/// elementwise ops only. `test.movement`: one transpose, gather, concat, slice or pad. Layout preference of conv and
/// pools: "nhwc".
std::span<const KernelFamily *const> testFamilies();

} // namespace kiln
