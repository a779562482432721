// What a family emits for one problem: functions of the kernel ABI at scf/vector/memref/llvm level and how the host is
// to call them.
#pragma once

#include "codegen/problem/Problem.h"
#include "runtime/base/Recipe.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace kiln {

/// One entry of a launch's buffer table (`kiln_kernel_args_v1::buffers`).
struct BufferRef {
  enum class Kind { Input, Packed, Output, Workspace };
  Kind kind = Kind::Input;
  int index = 0; ///< into Problem::inputs(), Emission::packed, Problem::outputs; 0 for the workspace

  static BufferRef input(int i) { return {Kind::Input, i}; }
  static BufferRef packedInput(int i) { return {Kind::Packed, i}; }
  static BufferRef output(int i) { return {Kind::Output, i}; }
  static BufferRef workspace() { return {Kind::Workspace, 0}; }
  bool operator==(const BufferRef &) const = default;
};

/// A constant input in the form that the kernel reads, made at compile time.
struct PackedInput {
  int input = 0; ///< into Problem::inputs(); of kind Const
  Recipe recipe;
};

/// One call over `grid` workgroups. Launches of an Emission run in order, each complete before the next starts.
struct Launch {
  std::string symbol;             ///< function of the module
  SizeExpr grid;                  ///< workgroups, over the problem's symbols; never a function of the thread count
  std::vector<BufferRef> buffers; ///< `args->buffers[i]`
  std::vector<SizeExpr> sizes; ///< `args->sizes[i]`; the problem's symbols in order, unless the family says otherwise
  SizeExpr scratchBytes;       ///< per worker, 64-byte aligned
};

struct Emission {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<Launch> launches;
  std::vector<PackedInput> packed;
  SizeExpr workspaceBytes; ///< shared by the workgroups and launches of one call, 64-byte aligned
};

} // namespace kiln
