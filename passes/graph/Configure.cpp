// Configure: every kernel gets its problem text and its implementation.
//
//   kiln.kernel %b, %a {family = "matmul"}      =>      kiln.kernel %a, %b {family = "matmul",
//                                                           problem = "v1 default; %0 = in ...", config = "{mr=6}",
//                                                           interface = "...", price = 5200, source = "default",
//                                                           sizes = ["N"]}
//
// Operands and block arguments are put into the order of the problem's inputs, so `Input i` of an emission is operand
// i. `sizes` are the values of the problem's symbols d0, d1 ... over the function's, `price` is in nanoseconds. The
// problem names no node, so equal work gets equal text and, being chosen from the text alone, an equal implementation.
//
// Runs after FormKernels; planning reads only what this pass wrote.
#include "passes/graph/Passes.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/KernelOracle.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/kiln/Structure.h"

#include <cmath>

namespace kiln {

#define GEN_PASS_DEF_CONFIGURE
#include "passes/graph/Passes.h.inc"

using llvm::SmallVector;
using mlir::Value;

static void reorderInputs(KernelOp kernel, llvm::ArrayRef<unsigned> order) {
  mlir::Block &body = kernel.getBody().front();
  unsigned count = body.getNumArguments();
  SmallVector<Value> operands, arguments(body.getArguments());
  for (unsigned from : order) {
    operands.push_back(kernel->getOperand(from));
    mlir::BlockArgument fresh = body.addArgument(arguments[from].getType(), arguments[from].getLoc());
    arguments[from].replaceAllUsesWith(fresh);
  }
  // Inputs that the results do not depend on are gone, and so is what was computed from them.
  for (mlir::Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (mlir::isOpTriviallyDead(&op))
      op.erase();
  body.eraseArguments(0, count);
  kernel->setOperands(operands);
}

namespace {
struct Configure : impl::ConfigureBase<Configure> {
  void runOnOperation() override {
    auto *dialect = getContext().getLoadedDialect<KilnDialect>();
    if (!dialect || !dialect->oracle)
      return;
    mlir::OpBuilder builder(&getContext());
    Result<SizeTable> table = SizeTable::read(getOperation());
    if (!table.ok()) {
      emitError(getOperation().getLoc(), table.status());
      return signalPassFailure();
    }
    auto result = getOperation().walk([&](KernelOp kernel) {
      Result<KernelChoice> choice = dialect->oracle->choose(kernel, *table);
      if (!choice.ok()) {
        emitError(kernel.getLoc(), choice.status());
        return mlir::WalkResult::interrupt();
      }
      reorderInputs(kernel, choice->inputOrder);
      SmallVector<mlir::Attribute> sizes;
      for (const SizeExpr &size : choice->sizes)
        sizes.push_back(builder.getStringAttr(size.print()));
      kernel->setAttr("family", builder.getStringAttr(choice->family));
      kernel->setAttr("problem", builder.getStringAttr(choice->problem));
      kernel->setAttr("config", builder.getStringAttr(choice->config));
      kernel->setAttr("interface", builder.getStringAttr(choice->interface));
      kernel->setAttr("source", builder.getStringAttr(choice->source));
      kernel->setAttr("price", builder.getI64IntegerAttr(std::llround(choice->seconds * 1e9)));
      kernel->setAttr("sizes", builder.getArrayAttr(sizes));
      return mlir::WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace

} // namespace kiln
