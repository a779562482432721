// How a configured kernel tells the planning passes what to launch: attributes of `kiln.kernel`,
// put there when its implementation is chosen. Size texts are over the problem's symbols d0, d1
// ...; the attribute `sizes` says what they are in the function. Operand i of a configured kernel
// is input i of its problem.

#pragma once

#include "dialects/kiln/Ops.h"
#include "runtime/base/SizeExpr.h"

#include <string>
#include <vector>

namespace kiln {

struct KernelPlan {
  struct Buffer {
    enum class Kind { Input, Packed, Output, Workspace } kind;
    int index;
  };
  struct Launch {
    std::vector<Buffer> buffers;
    std::vector<SizeExpr> sizes;
    SizeExpr grid, scratch;
  };
  struct Packed {
    int input; ///< operand of the kiln.kernel
    std::string recipe;
    std::string type; ///< of the packed constant: "f32[4,64,16]"
  };
  struct InPlace {
    int output, input; ///< result and operand of the kiln.kernel
  };

  std::vector<Launch> launches;
  std::vector<Packed> packed;
  std::vector<InPlace> inPlace;
  /// Dims of each operand and then of each result, as the problem has them.
  std::vector<std::vector<SizeExpr>> dims;
  SizeExpr workspace, flops, bytes; ///< like all sizes here: over the function's symbols once read

  /// Writes the attributes; sizes are over d0, d1 ...
  void write(KernelOp op) const;
  /// Reads them, with sizes over the function's symbols; an error (E0313) where the kernel is not
  /// configured.
  static Result<KernelPlan> read(KernelOp op);
};

/// The estimated work of a host step, over the function's symbols; attributes `flops` and `bytes`.
void writeWork(mlir::Operation *op, const SizeExpr &flops, const SizeExpr &bytes);
SizeExpr readWork(mlir::Operation *op, llvm::StringRef name);

} // namespace kiln
