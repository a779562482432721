// Quantised values as the importer spells them: bytes that stand for (x - zero) * scale, and numbers that become bytes.
#pragma once

#include "passes/graph/Match.h"

#include <optional>

namespace kiln {

/// f32(i32(bytes) - zero) * scale, also without zero (which is null then).
struct Dequantized {
  mlir::Value bytes, zero, scale;

  /// Zero and scale where they are known and the same for all elements.
  std::optional<double> commonZero() const { return zero ? splatValue(zero) : 0; }
  std::optional<double> commonScale() const { return splatValue(scale); }
};
std::optional<Dequantized> dequantized(mlir::Value value);

/// saturate(round(x) + zero).
struct Quantized {
  mlir::Value x;
  mlir::Operation *round;
  double zero;
  double least, most; ///< of x, before the result saturates
};
std::optional<Quantized> quantized(mlir::Value value);

bool isByteTensor(mlir::Value value);

/// Whether the op makes wider numbers of bytes, or subtracts a number from such (or a zero point that a run tells), or
/// scales them by one: cheaper computed again than stored.
bool widensBytes(mlir::Operation *op);

/// i32(bytes) - zero, for a zero of any form that broadcasts.
mlir::Value centeredBytes(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value bytes, mlir::Value zero);

/// Whether a scale may take part in factors of other scales: no result is lost or infinite.
bool isModerateScale(double scale);

} // namespace kiln
