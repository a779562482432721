// Operands of integer products that are made from bytes: quantized numbers less their zero points, cast to i32.
#pragma once

#include "codegen/problem/Problem.h"

#include <optional>
#include <vector>

namespace kiln::gemm {

bool isByte(DType dtype);

/// A buffer of bytes or i32, less a number, as i32.
struct CenteredBuffer {
  Problem::ValueId buffer = Problem::absent;
  int zero = 0;
};
/// `id` as one; nothing where it is anything else.
std::optional<CenteredBuffer> centeredBuffer(const Problem &problem, Problem::ValueId id);

/// Whether `id` and what it is made from, first operand by first operand, have one use each.
bool isReadOnce(const Problem &problem, Problem::ValueId id);

/// The ops that make `id`, an i32, from buffers and literals by casts and subtractions, in order; nothing where others
/// take part.
std::optional<std::vector<int>> centeringOps(const Problem &problem, Problem::ValueId id);
/// The buffers below them.
std::vector<Problem::ValueId> buffersBelow(const Problem &problem, Problem::ValueId id);
/// Whether elements of `id` are known to fit i16.
bool fitsI16(const Problem &problem, Problem::ValueId id);

} // namespace kiln::gemm
