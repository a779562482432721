#include "passes/plan/SizesFromSteps.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/DataSizes.h"
#include "dialects/kiln/Movement.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace kiln {

bool isToldBySteps(Block &block, StringRef size, const SizeTable &sizes) {
  bool told = false;
  for (Operation &op : block)
    for (Value result : op.getResults())
      for (const SizeExpr &dim : getDims(result)) {
        if (!sizesFromData(dim, sizes).count(size.str()))
          continue;
        if (!isControlFlow(&op) && !tellsSize(&op, sizes))
          return false;
        told = true;
      }
  return told;
}

/// The inputs of the model that the integer operands of `op` are computed from, as a phrase with advice.
static std::string originOfSizes(func::FuncOp function, Operation &op) {
  SmallVector<Value> work;
  for (OpOperand &operand : op.getOpOperands()) // of most ops the first operand is the data
    if ((operand.getOperandNumber() > 0 || isa<RangeOp>(op)) &&
        isa<IntegerType>(getElementTypeOrSelf(operand.get().getType())))
      work.push_back(operand.get());
  llvm::SetVector<Value> seen(work.begin(), work.end());
  for (size_t i = 0; i < seen.size(); ++i)
    if (Operation *source = seen[i].getDefiningOp(); source && !isa<ShapeOp>(source))
      for (Value operand : source->getOperands())
        seen.insert(operand);
  std::string names;
  for (Value value : seen)
    if (auto argument = dyn_cast<BlockArgument>(value))
      if (auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), nameAttrName))
        names += (names.empty() ? "\"" : ", \"") + name.getValue().str() + "\"";
  if (names.empty())
    return "values that are only known when the model runs; make it constant before exporting";
  return (StringRef(names).contains(", ") ? "the values of inputs " : "the values of input ") + names + "; make " +
         names + " a constant before exporting";
}

Status dependsOnData(func::FuncOp function, StringRef name, Location &place) {
  for (Operation &op : function.getBody().front())
    for (Value result : op.getResults())
      for (auto [dim, size] : llvm::enumerate(getDims(result)))
        if (size.asSymbol() == name.str()) {
          place = op.getLoc();
          return makeError(ErrorCode::E0208, "dim ", dim, " of the result of ", mnemonicOf(&op).str(),
                           " is computed from ", originOfSizes(function, op));
        }
  return makeError(ErrorCode::E0208, "size ", name.str(), " is computed from data");
}

} // namespace kiln
