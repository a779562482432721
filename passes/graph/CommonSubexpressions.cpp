// CommonSubexpressions: an op with the same name, operands, attributes and result types as one before it is replaced by
// that one.
//
// Weights are compared by reference (file and offset), never by content. It runs after shape inference, when equal
// shape arithmetic has equal types, and before raising, which wants one subtraction where exporters spell two.
#include "mlir/IR/OperationSupport.h"
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_COMMONSUBEXPRESSIONS
#include "passes/graph/Passes.h.inc"

namespace {

struct ByValue : llvm::DenseMapInfo<Operation *> {
  static unsigned getHashValue(const Operation *op) {
    return OperationEquivalence::computeHash(const_cast<Operation *>(op), OperationEquivalence::directHashValue,
                                             OperationEquivalence::ignoreHashValue,
                                             OperationEquivalence::IgnoreLocations);
  }
  static bool isEqual(const Operation *a, const Operation *b) {
    if (a == b)
      return true;
    if (a == getEmptyKey() || a == getTombstoneKey() || b == getEmptyKey() || b == getTombstoneKey())
      return false;
    return OperationEquivalence::isEquivalentTo(const_cast<Operation *>(a), const_cast<Operation *>(b),
                                                OperationEquivalence::IgnoreLocations);
  }
};

class CommonSubexpressionsPass : public impl::CommonSubexpressionsBase<CommonSubexpressionsPass> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      llvm::DenseMap<Operation *, Operation *, ByValue> known;
      for (Operation &op : llvm::make_early_inc_range(block)) {
        if (!isa<KilnOpInterface>(op) || op.getNumRegions() > 0 || op.getNumResults() == 0)
          continue;
        auto [entry, isNew] = known.try_emplace(&op, &op);
        if (isNew || !takeFuel(&op, "CommonSubexpressions"))
          continue;
        op.replaceAllUsesWith(entry->second);
        op.erase();
      }
    }
  }
};
} // namespace
} // namespace kiln
