// Place: where the results of host steps live.
//
//   %s = kiln.shape %x : i64[4]   ->   %s = kiln.shape %x {kiln.place = "host"} : i64[4]
//
// A kernel's results live in the arena, beside the tensors. A host step's small integer and bool
// results are values that sizes and indices are computed from: they stay in host memory, whatever
// device the kernels run on. Runs first, since Schedule and Bufferize count only what is in the
// arena.
//
// Not placed on the host: floats, results of kernels, and results of more than 64 elements.

#include "passes/plan/Passes.h"
#include "passes/plan/Tensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace kiln {
#define GEN_PASS_DEF_PLACE
#include "passes/plan/Passes.h.inc"

namespace {

constexpr int64_t maxHostElements = 64;

bool isHostValue(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<IntegerType>(tensor.getElementType()) && tensor.hasStaticShape() &&
         tensor.getNumElements() <= maxHostElements;
}

class Place : public impl::PlaceBase<Place> {
  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    for (Operation &op : getOperation().getBody().front().without_terminator()) {
      if (isa<KernelOp, ConstantOp>(op) || op.getNumResults() == 0 || !llvm::all_of(op.getResultTypes(), isHostValue))
        op.removeAttr(placeAttrName);
      else
        op.setAttr(placeAttrName, StringAttr::get(&getContext(), "host"));
    }
  }
};

} // namespace
} // namespace kiln
