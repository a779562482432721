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

/// Whether `id` is an i32 buffer, or made from buffers of bytes or i32, and numbers, by casts and subtractions.
bool isCentered(const Problem &problem, Problem::ValueId id);
/// The buffers that `id` is made from; itself, if it is one.
std::vector<Problem::ValueId> buffersBelow(const Problem &problem, Problem::ValueId id);
/// Whether elements of `id` are known to fit i16.
bool fitsI16(const Problem &problem, Problem::ValueId id);

} // namespace kiln::gemm
