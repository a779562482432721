// Element types of a product: how operands lie in memory, what sums are kept in, and what tiles read. Narrow types are
// widened on the way: rows of A by a launch of their own, B in registers (constants), when it is packed, or as it is
// read in place.
#pragma once

#include "codegen/KernelFamily.h"

#include <optional>

namespace kiln::gemm {

struct ElementTypes {
  DType operand = DType::F32;     ///< of A, before it is widened
  DType row = DType::F32;         ///< of the rows of A that a tile reads
  DType accumulator = DType::F32; ///< of the sums
  DType source = DType::F32;      ///< of B in memory
  DType panel = DType::F32;       ///< of B as a tile reads it
  int kPack = 1;                  ///< steps of K that lie side by side, per column, in a panel
  int zero = 0;                   ///< what is subtracted from elements of B as they are widened
  int rowZero = 0;                ///< the byte of a row that stands for 0, where tiles read rows of bytes
  bool zeroOfRun = false;         ///< only a run tells that byte
  bool tileRegisters = false;     ///< rows of bytes meet quads in the target's tile registers, 64 steps of K at once

  /// The types of a product of `operand`s whose B is read in place; nothing where there are no kernels for the type.
  static std::optional<ElementTypes> of(DType operand);
  /// The same where B is packed by a launch, which widens it.
  ElementTypes packedWide() const;
  /// The same where B is a constant, packed as it is; `inner` steps of K follow one another.
  ElementTypes packedConstant(int64_t inner) const;

  bool widens() const { return operand != row; }
  bool exact() const { return !isFloat(accumulator); } ///< integers, whose sums keep the low bits
  /// Whether a step of a tile takes two steps of K: rows and panels hold pairs of i16.
  bool multipliesPairs() const { return row == DType::I16; }
  /// Whether a step of a tile takes four steps of K: rows are bytes as they lie in memory, panels i8 in quads, followed
  /// by the sums of their columns.
  bool multipliesQuads() const { return row == DType::U8 || row == DType::I8; }
  int stepsAtOnce() const { return tileRegisters ? 64 : multipliesQuads() ? 4 : multipliesPairs() ? 2 : 1; }
  /// What a byte of a row is more, as it is multiplied (as a u8, but in tile registers), than what it stands for; times
  /// a column's sum that is what a product is too much.
  int rowExcess() const { return rowZero + (row == DType::I8 && !tileRegisters ? 128 : 0); }
  bool widensPanels() const { return !multipliesQuads() && (panel != accumulator || zero != 0); }
  int64_t rowBytes() const { return dtypeBytes(row); }
  int64_t accumulatorBytes() const { return dtypeBytes(accumulator); }
  int64_t operandBytes() const { return dtypeBytes(operand); }
  int64_t sourceBytes() const { return dtypeBytes(source); }
  int64_t panelBytes() const { return dtypeBytes(panel); }
  int lanes(const TargetInfo &target) const { return target.lanes(dtypeBits(accumulator)); }
};

/// The bound of sums of products in the accumulator, with what an epilogue that rounds to other types adds.
Exactness productExactness(const Problem &problem, const ElementTypes &types);

} // namespace kiln::gemm
