// Copies of a product's operand A for tiles to read: widened, or, of integers, computed from bytes.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/families/gemm/ElementTypes.h"
#include "runtime/base/KernelInterface.h"

namespace kiln::gemm {

/// Bytes of the copy of value `id`.
SizeExpr widenedBytes(const Problem &problem, Problem::ValueId id, const ElementTypes &types);
/// The launch that makes it from the buffers below `id`, and its function: to `offset` bytes into the workspace.
KernelInterface::Launch wideningLaunch(const Problem &problem, Problem::ValueId id, const ElementTypes &types);
void emitWidening(emit::Emitter &e, const KernelInterface &interface, size_t launch, const Problem &problem,
                  Problem::ValueId id, const ElementTypes &types, const SizeExpr &offset);

} // namespace kiln::gemm
