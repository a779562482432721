// DeadCode: removes ops whose results nobody uses, from the function's end upwards, so that whole chains go in one
// sweep. An op that tells a size stays as long as the type of another value names it.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/DataSizes.h"
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_DEADCODE
#include "passes/graph/Passes.h.inc"

namespace {
class DeadCodePass : public impl::DeadCodeBase<DeadCodePass> {
  void runOnOperation() override {
    Result<SizeTable> sizes = SizeTable::read(getOperation());
    if (!sizes.ok()) {
      emitError(getOperation().getLoc(), sizes.status());
      return signalPassFailure();
    }
    bool anyFromData =
        llvm::any_of(sizes->symbols(), [](const SizeTable::Symbol &symbol) { return symbol.dataDependent; });
    std::set<std::string> needed; // sizes from data that types name and no op up to here tells
    for (Block &block : getOperation().getBody())
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
        bool tells = anyFromData && tellsSize(&op, *sizes);
        bool stays = !op.use_empty() || (tells && llvm::any_of(sizesFromData(&op, *sizes), [&](const std::string &name) {
                       return needed.count(name) > 0;
                     }));
        // kiln ops have no effects but their results.
        if (isa<KilnOpInterface>(op) && op.getNumResults() > 0 && !stays && takeFuel(&op, "DeadCode")) {
          op.erase();
        } else if (anyFromData && !tells) {
          needed.merge(sizesFromData(&op, *sizes));
        }
      }
  }
};
} // namespace
} // namespace kiln
