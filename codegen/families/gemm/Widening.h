// Copies of a product's operand in the type of its sums, for tiles to read.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/families/gemm/ElementTypes.h"
#include "runtime/base/KernelInterface.h"

namespace kiln::gemm {

/// Bytes of the copy of a tensor of `dims`.
SizeExpr widenedBytes(const std::vector<SizeExpr> &dims, const ElementTypes &types);
/// The launch that copies `input`, and its function: to `offset` bytes into the workspace.
KernelInterface::Launch wideningLaunch(const Problem &problem, Problem::ValueId input, const ElementTypes &types);
void emitWidening(emit::Emitter &e, const KernelInterface &interface, size_t launch, const std::vector<SizeExpr> &dims,
                  const ElementTypes &types, const SizeExpr &offset);

} // namespace kiln::gemm
