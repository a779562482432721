// SplitAtData: what needs a size that only a step tells goes on in a function of its own.
//
//   func @main(%c, %x: [N]) {                                 func @main(%c, %x: [N]) {
//     %0 = kiln.if %c ... : [u$_0]                              %0 = kiln.if %c ... : [u$_0]
//     %1 = kiln.exp %0 : [u$_0]               =>                %1 = kiln.call @main.1(%0) sizes ["N"] : [u$_0]
//     return %1                                                 return %1
//   }                                                         }
//                                                             func private @main.1(%0: [u$_0]) {
//                                                               %1 = kiln.exp %0
//                                                               return %1
//                                                             }
//
// A function's sizes are known when it is called, so each of them is bound from an argument there, or handed over as a
// plain size where no argument shows it. Control flow, and ops that tell a size (tellsSize), take values of any size and
// make them.
//
// Runs after kernels are formed, which knows no such border, and before Schedule, which orders what is left in each
// function.
#include "passes/plan/Passes.h"
#include "passes/plan/Tensors.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/DataSizes.h"
#include "dialects/kiln/SizeTable.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

#include <map>
#include <set>

using namespace mlir;

namespace kiln {
#define GEN_PASS_DEF_SPLITATDATA
#include "passes/plan/Passes.h.inc"

namespace {

class Splitter {
public:
  Splitter(func::FuncOp function, SizeTable sizes, unsigned number)
      : function(function), block(function.getBody().front()), sizes(std::move(sizes)), number(number) {}

  /// The function that goes on, or null when all of it can run at once.
  func::FuncOp run() {
    if (llvm::none_of(sizes.symbols(), [](const SizeTable::Symbol &symbol) { return symbol.dataDependent; }) ||
        !findLater()) // planning says what is wrong
      return {};
    Operation *end = block.getTerminator();
    for (auto [i, returned] : llvm::enumerate(end->getOperands()))
      if (later.count(returned.getDefiningOp()) || isRepeated(end, unsigned(i)))
        results.push_back(unsigned(i));
    if (later.empty() && results.empty()) {
      sizes.dropChecksOfData(); // of what is gone: nothing waits for them
      sizes.write(function);
      return {};
    }
    return split();
  }

private:
  bool isOpen(Value value) { return !sizesFromData(value.getType(), sizes).empty(); }

  /// Whether a value of a size from data is returned, and was so before or is an argument: it then has to be copied.
  bool isRepeated(Operation *end, unsigned i) {
    Value value = end->getOperand(i);
    return isOpen(value) && llvm::is_contained(end->getOperands().take_front(i), value);
  }

  /// The sizes from data that an op needs: those of its results, and of operands, whose dims may be computed from sizes
  /// that no argument of the rest would show.
  std::set<std::string> sizesOf(Operation *op) {
    std::set<std::string> names = sizesFromData(op, sizes);
    for (Type type : op->getOperandTypes())
      names.merge(sizesFromData(type, sizes));
    return names;
  }

  /// Ops that need a size that a step of this function tells. False where no step tells it.
  bool findLater() {
    for (Operation &op : block.without_terminator()) {
      // It takes and makes values of any size.
      bool returns = isControlFlow(&op) || tellsSize(&op, sizes), isLater = false;
      for (Value operand : op.getOperands())
        isLater |= later.count(operand.getDefiningOp()) || (!returns && isOpen(operand));
      if (returns) {
        for (Value result : op.getResults())
          for (const SizeExpr &dim : getDims(result))
            if (auto name = dim.asSymbol(); name && !sizesFromData(dim, sizes).empty())
              told.try_emplace(*name, result);
      } else {
        for (const std::string &name : sizesOf(&op)) {
          if (!told.count(name))
            return false;
          isLater = true;
        }
      }
      if (isLater)
        later.insert(&op);
    }
    return true;
  }

  func::FuncOp split() {
    // What the rest needs of what was before; constants are made there again.
    llvm::SetVector<Value> live;
    llvm::SetVector<Operation *> constants;
    auto need = [&](Value value) {
      Operation *definition = value.getDefiningOp();
      if (later.count(definition))
        return;
      if (definition && isa<ConstantOp>(definition))
        constants.insert(definition);
      else
        live.insert(value);
    };
    for (Operation *op : later)
      for (Value operand : op->getOperands())
        need(operand);
    std::set<std::string> shown;
    for (Value value : live)
      for (const SizeExpr &dim : getDims(value))
        if (auto name = dim.asSymbol())
          shown.insert(*name);
    std::set<std::string> named; // by the rest, and by what has to be checked there
    for (Operation *op : later)
      named.merge(sizesOf(op));
    for (const SizeTable::Check &check : sizes.checks())
      for (const SizeExpr &size : {check.a, check.b})
        named.merge(sizesFromData(size, sizes));
    for (const std::string &name : named)
      if (shown.insert(name).second)
        if (auto value = told.find(name); value != told.end())
          need(value->second);
    Operation *end = block.getTerminator();
    for (unsigned i : results)
      need(end->getOperand(i));

    OpBuilder b(function.getContext());
    b.setInsertionPointAfter(function);
    SmallVector<Type> argumentTypes, resultTypes;
    for (Value value : live)
      argumentTypes.push_back(value.getType());
    for (unsigned i : results)
      resultTypes.push_back(end->getOperand(i).getType());
    std::string base = function.getSymName().split("..").first.str();
    auto rest = b.create<func::FuncOp>(function.getLoc(), base + ".." + std::to_string(number),
                                       b.getFunctionType(argumentTypes, resultTypes));
    rest.setPrivate();
    Block *body = rest.addEntryBlock();
    b.setInsertionPointToStart(body);
    IRMapping mapping;
    mapping.map(live.getArrayRef(), body->getArguments());
    for (Operation *constant : constants)
      b.clone(*constant, mapping);
    for (Operation *op : later)
      b.clone(*op, mapping);
    SmallVector<Value> returned;
    for (unsigned i : results)
      returned.push_back(mapping.lookup(end->getOperand(i)));
    b.create<func::ReturnOp>(end->getLoc(), returned);
    ArrayAttr parameters = writeSizes(rest, b);

    b.setInsertionPoint(end);
    auto call = b.create<CallOp>(end->getLoc(), resultTypes, FlatSymbolRefAttr::get(rest.getSymNameAttr()),
                                 live.getArrayRef(), parameters);
    for (auto [k, i] : llvm::enumerate(results))
      end->setOperand(i, call.getResult(unsigned(k)));
    for (Operation *op : llvm::reverse(later))
      op->erase();
    for (Operation *constant : constants)
      if (constant->use_empty())
        constant->erase();
    sizes.dropUnused(function);
    sizes.write(function);
    return rest;
  }

  /// The size tables of both: what was data for the one is an argument's dim for the other. Returns the plain sizes
  /// that are handed over.
  ArrayAttr writeSizes(func::FuncOp rest, OpBuilder &b) {
    std::set<std::string> shown; // by the arguments' dims as they stand
    for (Type type : rest.getArgumentTypes())
      for (const SizeExpr &dim : getDims(type))
        if (auto name = dim.asSymbol())
          shown.insert(*name);
    SmallVector<mlir::Attribute> lines, parameters;
    for (const SizeTable::Symbol &symbol : sizes.symbols()) {
      SizeTable::Symbol own = symbol;
      if (symbol.dataDependent && shown.count(symbol.name)) {
        own.dataDependent = false;
        own.upperBound.reset();
      } else if (!symbol.dataDependent && !symbol.definition && !shown.count(symbol.name)) {
        parameters.push_back(b.getStringAttr(symbol.name));
      }
      lines.push_back(b.getStringAttr(own.print()));
    }
    // A relation is checked once its sizes are known.
    for (const SizeTable::Check &check : sizes.checks()) {
      if (dependsOnData(check.a, sizes) || dependsOnData(check.b, sizes))
        lines.push_back(b.getStringAttr(check.print()));
    }
    rest->setAttr(sizesAttrName, b.getArrayAttr(lines));
    Result<SizeTable> table = SizeTable::read(rest);
    if (table.ok()) {
      table->dropUnused(rest);
      table->write(rest);
      // Parameters that nothing names are not handed over.
      llvm::erase_if(parameters, [&](mlir::Attribute name) { return !table->find(cast<StringAttr>(name).getValue()); });
    }
    rest->setAttr(parametersAttrName, b.getArrayAttr(parameters));
    sizes.dropChecksOfData();
    return parameters.empty() ? ArrayAttr() : b.getArrayAttr(parameters);
  }

  func::FuncOp function;
  Block &block;
  SizeTable sizes;
  unsigned number;
  std::map<std::string, Value> told; // sizes from data -> a value that shows it
  llvm::SetVector<Operation *> later;
  SmallVector<unsigned> results; // of the function, that the rest gives
};

class SplitAtData : public impl::SplitAtDataBase<SplitAtData> {
  void runOnOperation() override {
    std::vector<func::FuncOp> work;
    for (auto function : getOperation().getOps<func::FuncOp>())
      work.push_back(function);
    for (func::FuncOp function : work)
      for (unsigned number = 1; function; ++number) {
        Result<SizeTable> sizes = SizeTable::read(function);
        if (!sizes.ok()) {
          emitError(function.getLoc(), sizes.status());
          return signalPassFailure();
        }
        function = Splitter(function, *std::move(sizes), number).run();
      }
  }
};

} // namespace
} // namespace kiln
