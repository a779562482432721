// Indices given as data: negative ones count from the end; one out of range is an error.
#pragma once

#include "runtime/reference/Operands.h"

namespace kiln::ref {

/// All elements of an i64 or i32 operand, as i64.
Result<Dims> readIndices(std::string_view op, const TensorView &view);

/// Brings an index to 0..size-1.
Status resolveIndex(std::string_view op, int64_t &index, int64_t axis, int64_t size);

/// 1 for none; for dims of tensors that exist, so it does not overflow.
int64_t productOf(std::span<const int64_t> dims);

} // namespace kiln::ref
