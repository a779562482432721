// Copies of rows of bytes whose length 4 does not divide: filled up, for tiles that multiply four at once.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/problem/Problem.h"
#include "runtime/base/KernelInterface.h"
#include "runtime/base/Tensor.h"

namespace kiln::gemm {

/// `rows` rows of `length` bytes of a buffer, each followed by bytes `fill` up to the next multiple of 4.
struct PaddedRows {
  Problem::ValueId buffer = Problem::absent;
  SizeExpr rows;
  int64_t length = 0;
  int fill = 0;

  static int64_t paddedLength(int64_t length) { return alignUp(length, 4); }
  SizeExpr bytes() const { return rows * paddedLength(length); }
  KernelInterface::Launch launch(const Problem &problem) const;
  /// The launch's function: to `offset` bytes into the workspace.
  void emit(emit::Emitter &e, const KernelInterface &interface, size_t launch, const SizeExpr &offset) const;

private:
  static constexpr int64_t rowsPerGroup = 512;
};

} // namespace kiln::gemm
