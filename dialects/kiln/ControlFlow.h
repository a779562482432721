// What control-flow ops call, and the sizes of a caller and of the function that it calls in terms of each other.
#pragma once

#include "dialects/kiln/AttributeNames.h"
#include "dialects/kiln/ShapeContext.h"
#include "dialects/kiln/Structure.h"
#include "mlir/IR/SymbolTable.h"

namespace kiln {

/// A function that a control-flow op calls, and the operands of the op that it hands over. A loop's body takes the
/// iteration's number, the condition and the carried values before them.
struct Callee {
  mlir::FlatSymbolRefAttr symbol;
  mlir::OperandRange inputs;
  unsigned leading; ///< arguments before `inputs`
};

bool isControlFlow(mlir::Operation *op);
/// In the order of the op's attributes; empty for other ops.
llvm::SmallVector<Callee, 2> calleesOf(mlir::Operation *op);

/// The arguments of a function over its own symbols, and its results over those of the caller.
class SizeBridge {
public:
  SizeBridge(const SizeTable &caller, SizeTable &callee) : caller(caller), callee(callee) {}

  /// The type of the function's next argument, for a value of `type` outside. Equal sizes outside are equal inside, and
  /// ranges are handed in. A dim that `varies` has a size of its own, which nothing outside tells. Symbols that the
  /// argument's `present` type (may be null) has stay its own.
  mlir::RankedTensorType addArgument(
      mlir::RankedTensorType type, mlir::RankedTensorType present,
      llvm::function_ref<bool(unsigned dim)> varies = [](unsigned) { return false; });
  /// A dim of a result of the function, whose arguments have got the types `arguments` since. Sizes of the function that
  /// no argument shows are what `told` says that they are outside; invalid where it says nothing.
  SizeExpr outside(
      const SizeExpr &dim, mlir::TypeRange arguments,
      llvm::function_ref<SizeExpr(const std::string &name)> told = [](auto &) { return SizeExpr::invalid(); }) const;
  /// The same for equal sizes of the function; nothing for a dim that is invalid.
  std::string inside(const SizeExpr &dim) const { return dim.isInvalid() ? std::string() : callee.expand(dim).print(); }

private:
  SizeExpr presentSymbol(mlir::RankedTensorType present, unsigned dim);

  const SizeTable &caller;
  SizeTable &callee;
  llvm::SmallVector<std::pair<SizeExpr, SizeExpr>> known; // outside, inside
  llvm::SmallVector<Dims> argumentsOutside;               // invalid where a dim varies
};

/// Adds all arguments of a function that `op` calls, whose types are `present` so far; gives their types.
llvm::SmallVector<mlir::RankedTensorType> bridgeArguments(mlir::Operation *op, const Callee &callee,
                                                          mlir::TypeRange present, SizeBridge &bridge);

/// A function as a control-flow op's shape rule sees it.
struct CalleeSizes {
  const SizeBridge *bridge;
  mlir::TypeRange arguments, results;
};

/// The shape rule of control-flow ops. Results of which the two branches of an if disagree, or that change in a loop,
/// have dims that only data tells; ranks and element types must agree (E0305, E0207). `caller` knows the sizes around
/// `op`.
Result<ResultShapes> inferControlFlow(mlir::Operation *op, ShapeContext &caller, llvm::ArrayRef<CalleeSizes> callees);

/// Dims of carried values of a loop that its body does not keep, as LoopOp's `varying` lists them, beside those listed
/// already. `callee`: the body's sizes.
llvm::SmallVector<int64_t> varyingDims(mlir::TypeRange arguments, mlir::TypeRange results, size_t carried,
                                       llvm::ArrayRef<int64_t> listed, const SizeTable &callee);

} // namespace kiln
