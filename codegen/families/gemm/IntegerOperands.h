// Operands of integer products that are made from bytes: quantized numbers less their zero points, cast to i32.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/families/gemm/ElementTypes.h"
#include "codegen/problem/Problem.h"

#include <optional>
#include <vector>

namespace kiln::gemm {

bool isByte(DType dtype);

/// The element types of a product of `a` and `b` with results of `dtype`, and the buffer of its B: `b` itself, or what
/// it is centered from. Nothing where there are no kernels for such operands.
struct ProductOperands {
  ElementTypes types;
  Problem::ValueId b = Problem::absent;
};
std::optional<ProductOperands> productOperands(const Problem &problem, DType dtype, Problem::ValueId a,
                                               Problem::ValueId b);

/// A buffer of bytes or i32, less a number, as i32.
struct CenteredBuffer {
  Problem::ValueId buffer = Problem::absent;
  int zero = 0;
};
/// `id` as one; nothing where it is anything else.
std::optional<CenteredBuffer> centeredBuffer(const Problem &problem, Problem::ValueId id);

/// `types` of a product with a constant B whose rows of A tiles read as bytes, in place or filled up (PaddedRows), and
/// the buffer that these are in; nothing where the target multiplies no bytes, or A or B are other than bytes that
/// differ from i8 by one number at most.
struct ByteRows {
  ElementTypes types;
  Problem::ValueId a = Problem::absent;
  Problem::ValueId zero = Problem::absent; ///< a buffer of one byte, where types.zeroOfRun
};
std::optional<ByteRows> byteRows(const Problem &problem, const ElementTypes &types, Problem::ValueId a,
                                 const TargetInfo &target);

/// What a byte of those rows is more, as a u8, than what it stands for; and the byte that stands for 0. `zero`: a
/// pointer to it, where a run tells.
struct RowZero {
  emit::Value excess, byte;
};
RowZero rowZero(emit::Emitter &e, const ElementTypes &types, emit::Value zero);

/// Whether `id` and what it is made from, first operand by first operand, have one use each.
bool isReadOnce(const Problem &problem, Problem::ValueId id);

/// The buffers that `id` is made from; itself, if it is one.
std::vector<Problem::ValueId> buffersBelow(const Problem &problem, Problem::ValueId id);
/// Whether elements of `id` are known to fit i16.
bool fitsI16(const Problem &problem, Problem::ValueId id);

} // namespace kiln::gemm
