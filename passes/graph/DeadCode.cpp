// DeadCode: removes ops whose results nobody uses, from the function's end upwards, so that whole chains go in one
// sweep.
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_DEADCODE
#include "passes/graph/Passes.h.inc"

namespace {
class DeadCodePass : public impl::DeadCodeBase<DeadCodePass> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody())
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        // kiln ops have no effects but their results.
        if (isa<KilnOpInterface>(op) && op.getNumResults() > 0 && op.use_empty() && takeFuel(&op, "DeadCode"))
          op.erase();
  }
};
} // namespace
} // namespace kiln
