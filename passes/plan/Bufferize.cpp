// Bufferize: tensors become views of memory, the function becomes the host program.
//
//   func @main(%x : tensor<..>) {               plan.program @main {
//     %0 = kiln.kernel(%x, %w) {..}               %x = plan.input "x"
//     %1 = kiln.reshape %0                        %y = plan.output "y"
//     %2 = kiln.softmax %1                        %w = plan.constant ...
//     return %2                           =>      %b = plan.alloc "arena"
//   }                                             plan.launch @k0(%x, %w, %b)
//                                                 %1 = plan.alias %b
//                                                 plan.host_call "softmax"(%1) into (%y)
//                                               }
//
// - A reshape is another view of the same memory.
// - A value that is returned is computed in the output's own memory; only inputs, constants and values returned twice
//   are copied there.
// - A result takes over the memory of an operand when the kernel says that it may (in-place facts of its problem),
//   nothing reads the operand later, no other operand lies in the same memory, and that memory is a buffer of ours: an
//   input or a constant is never written.
// - A constant is stored in the forms that are read, packed or not, once each.
// - An argument and a result that are one state (stateAttrName) are one memory, which outlives the run. The new value
//   is made there in place, by an op that changes a part of it (ref::updatesInPlace) or a kernel that may; or there
//   once the old value is read no more; else elsewhere, and is copied in at the end, after all readers.
// - What is added to a state that grows (isAppend) is made in its memory behind the old value, or copied there.
//
// Runs after Schedule, because "later" must be known.
//
// Without `reuse` nothing happens in place, and the program is marked so that no two buffers share bytes of the arena
// (noReuseAttrName).

#include "passes/plan/KernelTable.h"
#include "passes/plan/Passes.h"
#include "passes/plan/SizesFromSteps.h"
#include "passes/plan/Tensors.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/DataSizes.h"
#include "dialects/kiln/GrowingStates.h"
#include "dialects/kiln/Parts.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/kiln/ValuePart.h"
#include "runtime/base/PlantedBug.h"
#include "runtime/reference/Reference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <limits>
#include <set>

using namespace mlir;

namespace kiln {
#define GEN_PASS_DEF_BUFFERIZE
#include "passes/plan/Passes.h.inc"

namespace {

class Bufferizer {
public:
  Bufferizer(func::FuncOp function, KernelTable &kernels, bool reuse)
      : place(function.getLoc()), function(function), block(function.getBody().front()), kernels(kernels), reuse(reuse),
        b(function.getContext()) {}

  Location place; ///< of an error

  /// Builds the program before the function. The function stays.
  Status run() {
    b.setInsertionPoint(function);
    auto program = b.create<plan_ir::ProgramOp>(function.getLoc(), function.getSymName());
    if (function.isPrivate())
      SymbolTable::setSymbolVisibility(program, SymbolTable::Visibility::Private);
    if (!reuse)
      program->setAttr(plan_ir::noReuseAttrName, b.getUnitAttr());
    b.setInsertionPointToStart(&program.getBody().emplaceBlock());
    KILN_TRY(signature());
    followUses();
    for (Operation &op : block.without_terminator()) {
      KILN_TRY(step(&op));
      ++now;
    }
    return finishOutputs();
  }

private:
  static constexpr int64_t never = std::numeric_limits<int64_t>::max();

  Status signature() {
    Location loc = function.getLoc();
    KILN_ASSIGN(sizes, SizeTable::read(function));
    for (auto [i, argument] : llvm::enumerate(block.getArguments())) {
      auto name = function.getArgAttrOfType<StringAttr>(static_cast<unsigned>(i), nameAttrName);
      std::string text = name ? name.getValue().str() : "input" + std::to_string(i);
      if (StringAttr state = stateOfArgument(unsigned(i))) {
        views[argument] = stateMemory(state);
        holds[views[argument]] = argument;
        continue;
      }
      auto input = b.create<plan_ir::InputOp>(loc, viewOf(argument.getType()), text);
      setValue(input, function.getArgAttr(unsigned(i), valueAttrName));
      views[argument] = input;
    }
    for (unsigned i = 0; i < function.getNumResults(); ++i) {
      auto name = function.getResultAttrOfType<StringAttr>(i, nameAttrName);
      std::string text = name ? name.getValue().str() : "output" + std::to_string(i);
      if (StringAttr state = stateOfResult(i)) {
        outputs.push_back(stateMemory(state));
        continue;
      }
      auto output = b.create<plan_ir::OutputOp>(loc, viewOf(function.getResultTypes()[i]), text);
      setValue(output, function.getResultAttr(i, valueAttrName));
      outputs.push_back(output);
    }
    for (const SizeTable::Symbol &symbol : sizes.symbols())
      if (!symbol.definition)
        KILN_TRY(bind(symbol));
    for (const SizeTable::Symbol &symbol : sizes.symbols())
      if (symbol.definition && !isOpen(*symbol.definition))
        b.create<plan_ir::DefineOp>(loc, b.getStringAttr(symbol.name), b.getStringAttr(symbol.definition->print()),
                                    b.getI64IntegerAttr(symbol.low), highOf(symbol),
                                    b.getI64IntegerAttr(symbol.divisor));
    for (const SizeTable::Check &check : sizes.checks())
      b.create<plan_ir::CheckOp>(loc,
                                 check.kind == SizeTable::Check::Equal       ? "equal"
                                 : check.kind == SizeTable::Check::Broadcast ? "broadcast"
                                                                             : "at_most",
                                 check.a.print(), check.b.print());
    return checkStates();
  }

  static void setValue(Operation *port, mlir::Attribute part) {
    if (part)
      port->setAttr(valueAttrName, part);
  }
  StringAttr stateOfArgument(unsigned i) { return function.getArgAttrOfType<StringAttr>(i, stateAttrName); }
  StringAttr stateOfResult(unsigned i) { return function.getResultAttrOfType<StringAttr>(i, stateAttrName); }
  static bool isState(Value memory) { return memory.getDefiningOp<plan_ir::StateOp>() != nullptr; }

  /// The memory of a state; made for the first of its two ends.
  Value stateMemory(StringAttr name) {
    Value &memory = states[name];
    if (memory)
      return memory;
    IntegerAttr growing;
    plan_ir::ViewType before, after;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (stateOfArgument(i) == name) {
        before = viewOf(function.getArgumentTypes()[i]);
        growing = function.getArgAttrOfType<IntegerAttr>(i, growingAttrName);
      }
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (stateOfResult(i) == name) {
        after = viewOf(function.getResultTypes()[i]);
        growing = function.getResultAttrOfType<IntegerAttr>(i, growingAttrName);
      }
    bool reads = bool(before), writes = bool(after);
    if (!reads && growing) { // it is written from its start on
      std::vector<SizeExpr> dims = after.getDims();
      dims[0] = 0;
      before = plan_ir::ViewType::get(b.getContext(), after.getDType(), dims);
    }
    return memory = b.create<plan_ir::StateOp>(function.getLoc(), before ? before : after, name, reads, writes, growing,
                                               growing && after ? TypeAttr::get(after) : TypeAttr());
  }

  /// A state's dims are the same before and after a run, but for that along which it grows; what is not proved is
  /// checked.
  Status checkStates() {
    for (unsigned i = 0; i < function.getNumResults(); ++i) {
      StringAttr name = stateOfResult(i);
      if (!name)
        continue;
      Value returned = block.getTerminator()->getOperand(i);
      if (isOpen(returned))
        return makeError(ErrorCode::E0208, "state \"", name.getValue().str(),
                         "\" gets a value whose sizes only data tells");
      bool grows = outputs[i].getDefiningOp<plan_ir::StateOp>().getGrowing().has_value();
      for (auto [d, own, dim] :
           llvm::enumerate(cast<plan_ir::ViewType>(outputs[i].getType()).getDims(), getDims(returned)))
        if (d > 0 || !grows)
          KILN_TRY(requireEqual(own, dim).withContext("state \"" + name.getValue().str() + "\" keeps its dims: "));
    }
    return Status();
  }

  IntegerAttr highOf(const SizeTable::Symbol &symbol) {
    return symbol.high == SizeTable::unbounded ? IntegerAttr() : b.getI64IntegerAttr(symbol.high);
  }

  /// Finds the input dim that is the symbol, or the place among the plain sizes.
  Status bind(const SizeTable::Symbol &symbol) {
    if (symbol.dataDependent)
      return isToldBySteps(block, symbol.name, sizes) ? Status() : dependsOnData(function, symbol.name, place);
    if (auto parameters = function->getAttrOfType<ArrayAttr>(parametersAttrName))
      for (auto [i, name] : llvm::enumerate(parameters.getAsRange<StringAttr>()))
        if (name.getValue() == symbol.name) {
          b.create<plan_ir::ParameterOp>(function.getLoc(), b.getStringAttr(symbol.name),
                                         b.getI64IntegerAttr(int64_t(i)), b.getI64IntegerAttr(symbol.low),
                                         highOf(symbol), b.getI64IntegerAttr(symbol.divisor));
          return Status::success();
        }
    for (Value argument : block.getArguments())
      for (auto [dim, size] : llvm::enumerate(getDims(argument)))
        if (size.asSymbol() == symbol.name) {
          b.create<plan_ir::BindShapeOp>(function.getLoc(), b.getStringAttr(symbol.name), views[argument],
                                         b.getI64IntegerAttr(dim), b.getI64IntegerAttr(symbol.low), highOf(symbol),
                                         b.getI64IntegerAttr(symbol.divisor));
          return Status::success();
        }
    return Status::success(); // no input shows it, and then nothing can use it either
  }

  /// Whether a value's dims, or a size, are not known in this function.
  bool isOpen(Value value) {
    return llvm::any_of(getDims(value), [&](const SizeExpr &dim) { return isOpen(dim); });
  }
  bool isOpen(const SizeExpr &size) { return !sizesFromData(size, sizes).empty(); }

  /// When each piece of memory is read last, and which results are computed in an output's memory.
  void followUses() {
    int64_t index = 0;
    for (Operation &op : block) {
      for (Value operand : op.getOperands())
        lastRead[rootTensor(operand)] = index;
      ++index;
    }
    for (auto [i, returned] : llvm::enumerate(block.getTerminator()->getOperands())) {
      lastRead[rootTensor(returned)] = never;
      Value whole = wholeTensor(returned);
      Operation *definition = whole.getDefiningOp();
      if (isState(outputs[i]))
        followState(whole, outputs[i]);
      else if (definition && !isa<ConstantOp>(definition) && !isPart(definition))
        outputOf.try_emplace(whole, outputs[i]);
    }
  }

  /// The values that become a state's new one step by step, each by a change of a part of the one before, or by adding
  /// to it.
  void followState(Value value, Value memory) {
    while (Operation *op = value.getDefiningOp()) {
      bool adds = isAppend(op);
      if (isa<ConstantOp>(op) || !stateOf.try_emplace(value, memory).second || !(adds || updatesInPlace(op)))
        return;
      if (adds)
        followAdded(op, memory);
      value = wholeTensor(op->getOperand(0));
    }
  }

  /// What is computed to be added to a state is computed where it goes.
  void followAdded(Operation *append, Value memory) {
    SizeExpr offset = bytesOf(append->getOperand(0));
    for (Value part : append->getOperands().drop_front()) {
      Value whole = wholeTensor(part);
      Operation *op = whole.getDefiningOp();
      if (reuse && op && !isa<ConstantOp>(op) && !isPart(op) && !isOpen(whole))
        addedAt.try_emplace(whole, memory, offset);
      offset = offset + bytesOf(part);
    }
  }
  static SizeExpr bytesOf(Value tensor) { return viewOf(tensor.getType()).getBytes(); }

  static bool updatesInPlace(Operation *op) { return ref::updatesInPlace(std::string_view(mnemonicOf(op))); }

  /// Whether nothing reads what a state's memory holds, from the current op on.
  bool isFree(Value memory) {
    auto held = holds.find(memory);
    if (held == holds.end())
      return true;
    auto read = lastRead.find(held->second);
    return read == lastRead.end() || read->second < now;
  }

  /// Whether the current op, which `result` is of, may change the operand's value where it lies: in the memory of the
  /// state that result is to be the value of.
  bool updatesState(Operation *op, unsigned input, Value result) {
    Value memory = memoryOf(op->getOperand(input));
    if (!reuse || !memory || stateOf.lookup(result) != memory ||
        lastRead.lookup(rootTensor(op->getOperand(input))) != now)
      return false;
    return llvm::count_if(op->getOperands(), [&](Value other) { return memoryOf(other) == memory; }) == 1 &&
           viewOf(op->getOperand(input).getType()).getBytes() == viewOf(result.getType()).getBytes();
  }

  /// The view of a result that takes over an operand's memory.
  Value takeOver(Operation *op, unsigned input, Value result) {
    if (Value memory = memoryOf(op->getOperand(input)); isState(memory))
      holds[memory] = result;
    return viewAs(operand(op->getOperand(input)), viewOf(result.getType()), op->getLoc());
  }

  Value viewAs(Value view, plan_ir::ViewType type, Location loc) {
    return view.getType() == type ? view : viewAt(view, 0, type, loc);
  }
  Value viewAt(Value view, const SizeExpr &offset, plan_ir::ViewType type, Location loc) {
    return b.create<plan_ir::AliasOp>(loc, type, view, offset.print()).getView();
  }

  /// The view of an operand; a constant is stored when it is first read.
  Value operand(Value tensor) {
    if (auto it = views.find(tensor); it != views.end())
      return it->second;
    auto constant = tensor.getDefiningOp<ConstantOp>();
    return storedConstant(constant, "", viewOf(tensor.getType()));
  }

  Value storedConstant(ConstantOp constant, StringRef recipe, plan_ir::ViewType type) {
    Value &stored = constants[{constant.getValue(), b.getStringAttr(recipe), type}];
    if (!stored) {
      OpBuilder::InsertionGuard guard(b);
      if (Value before = lastConstant ? lastConstant : outputs.empty() ? Value() : outputs.back())
        b.setInsertionPointAfterValue(before);
      else
        b.setInsertionPointToStart(b.getInsertionBlock());
      stored = lastConstant =
          b.create<plan_ir::ConstantOp>(constant.getLoc(), type, constant.getValue(), b.getStringAttr(recipe));
    }
    return stored;
  }

  /// Memory for a result that does not take over an operand's.
  Value newMemory(Value result, StringRef place, Location loc) {
    plan_ir::ViewType type = viewOf(result.getType());
    if (Value memory = stateOf.lookup(result); memory && reuse && isFree(memory)) {
      holds[memory] = result;
      return viewAs(memory, type, loc);
    }
    if (auto output = outputOf.find(result); output != outputOf.end())
      return viewAs(output->second, type, loc);
    if (auto added = addedAt.find(result); added != addedAt.end())
      return viewAt(added->second.first, added->second.second, type, loc);
    return b.create<plan_ir::AllocOp>(loc, type, b.getStringAttr(place));
  }

  Status step(Operation *op) {
    if (isa<ConstantOp>(op))
      return Status::success();
    if (isView(op)) {
      views[op->getResult(0)] = viewAs(operand(op->getOperand(0)), viewOf(op->getResult(0).getType()), op->getLoc());
      return Status::success();
    }
    if (std::optional<int64_t> offset = isPart(op) ? partOffset(op) : std::nullopt) {
      Value result = op->getResult(0);
      Value shown = b.create<plan_ir::AliasOp>(op->getLoc(), viewOf(result.getType()), operand(op->getOperand(0)),
                                               std::to_string(*offset));
      views[result] = reuse ? shown : newMemory(result, "arena", op->getLoc());
      if (!reuse)
        copy(shown, views[result]);
      return Status::success();
    }
    if (Value memory = reuse && isAppend(op) ? stateOf.lookup(op->getResult(0)) : Value())
      return append(op, memory);
    if (auto kernel = dyn_cast<KernelOp>(op))
      return launch(kernel);
    if (isControlFlow(op))
      return controlFlow(op);
    return hostCall(op);
  }

  /// The state's memory holds the first operand, and has room for the others.
  Status append(Operation *op, Value memory) {
    Value result = op->getResult(0);
    SizeExpr offset = bytesOf(op->getOperand(0));
    for (Value part : op->getOperands().drop_front()) {
      Value whole = wholeTensor(part);
      auto added = addedAt.find(whole);
      if (added == addedAt.end() || added->second != std::pair(memory, offset) || memoryOf(part) != memory)
        b.create<plan_ir::CopyOp>(op->getLoc(), operand(part),
                                  viewAt(memory, offset, viewOf(part.getType()), op->getLoc()));
      offset = offset + bytesOf(part);
    }
    views[result] = viewAs(memory, viewOf(result.getType()), op->getLoc());
    holds[memory] = result;
    return Status::success();
  }

  Status controlFlow(Operation *op) {
    Location loc = op->getLoc();
    auto viewsOf = [&](ValueRange tensors) {
      SmallVector<Value> list;
      for (Value tensor : tensors)
        list.push_back(operand(tensor));
      return list;
    };
    SmallVector<Value> results;
    for (Value result : op->getResults()) {
      views[result] = newMemory(result, isOpen(result) ? "returned" : "arena", loc);
      results.push_back(views[result]);
    }
    if (auto call = dyn_cast<CallOp>(op)) {
      b.create<plan_ir::CallOp>(loc, call.getCalleeAttr(), viewsOf(call.getInputs()), results,
                                call.getSizesAttr() ? call.getSizesAttr() : b.getStrArrayAttr({}));
    } else if (auto branch = dyn_cast<IfOp>(op)) {
      b.create<plan_ir::IfOp>(loc, operand(branch.getCondition()), branch.getThenFunctionAttr(),
                              viewsOf(branch.getThenInputs()), branch.getElseFunctionAttr(),
                              viewsOf(branch.getElseInputs()), results);
    } else {
      auto loop = cast<LoopOp>(op);
      b.create<plan_ir::LoopOp>(loc, loop.getBodyAttr(), loop.getCount() ? operand(loop.getCount()) : Value(),
                                loop.getCondition() ? operand(loop.getCondition()) : Value(),
                                viewsOf(loop.getInitial()), viewsOf(loop.getInputs()), results);
    }
    return Status::success();
  }

  /// The memory of a computed value or input; null for a constant.
  Value memoryOf(Value tensor) {
    Value view = views.lookup(tensor);
    return view ? plan_ir::rootOf(view) : Value();
  }

  /// The operand whose memory result `output` takes over, if any.
  std::optional<uint32_t> takenOver(KernelOp op, const KernelInterface &interface, uint32_t output) {
    if (!reuse || outputOf.count(op->getResult(output)) || addedAt.count(op->getResult(output)))
      return std::nullopt;
    for (const KernelInterface::InPlace &pair : interface.inPlace) {
      if (pair.output != output)
        continue;
      if (updatesState(op, pair.input, op->getResult(output)))
        return pair.input;
      Value root = rootTensor(op->getOperand(pair.input));
      Value memory = memoryOf(op->getOperand(pair.input));
      auto alloc = memory ? memory.getDefiningOp<plan_ir::AllocOp>() : nullptr;
      if (!alloc || alloc.getPlace() != "arena")
        continue;
      std::optional<int64_t> bytes = alloc.getView().getType().getBytes().asConstant();
      if ((lastRead[root] != now && !plantedBug("in-place-read-later", bytes, 8, 4)) ||
          (taken.count(memory) && !plantedBug("in-place-twice")))
        continue;
      int sharers = 0;
      for (Value other : op->getOperands())
        sharers += memoryOf(other) == memory;
      if (sharers != 1)
        continue;
      if (alloc.getView().getType().getBytes() != viewOf(op->getResult(output).getType()).getBytes())
        continue;
      taken.insert(memory);
      return pair.input;
    }
    return std::nullopt;
  }

  /// Every run checks what a kernel's problem says of the dims of a view and the size table does not prove: were the
  /// two at odds, the run is refused where it would have computed wrong numbers.
  Status checkDims(Value tensor, ArrayRef<SizeExpr> problemDims) {
    for (auto [dim, problemDim] : llvm::zip_equal(getDims(tensor), problemDims)) {
      if (Status status = requireEqual(dim, problemDim); !status.ok())
        return makeError(ErrorCode::E0905, "a kernel was made for other sizes: ", status.message());
    }
    return Status();
  }

  /// An error where two sizes surely differ; has it checked where they may.
  Status requireEqual(const SizeExpr &a, const SizeExpr &b) {
    if (sizes.equal(a, b))
      return Status();
    KILN_TRY(sizes.mayBeEqual(a, b));
    if (checked.insert(a.print() + " == " + b.print()).second)
      this->b.create<plan_ir::CheckOp>(function.getLoc(), "equal", a.print(), b.print());
    return Status();
  }

  Status launch(KernelOp op) {
    Location loc = op.getLoc();
    KILN_ASSIGN(KernelInterface interface, kernels.interfaceOf(op));
    for (auto [tensor, port] : llvm::zip(op->getOperands(), interface.inputs))
      KILN_TRY(checkDims(tensor, sizesOver(op, interface, port.dims)));
    for (auto [tensor, port] : llvm::zip(op->getResults(), interface.outputs))
      KILN_TRY(checkDims(tensor, sizesOver(op, interface, port.dims)));
    taken.clear();
    for (uint32_t i = 0; i < op->getNumResults(); ++i) {
      Value result = op->getResult(i);
      std::optional<uint32_t> input = takenOver(op, interface, i);
      views[result] = input ? takeOver(op, *input, result) : newMemory(result, "arena", loc);
    }
    SmallVector<Value> buffers;
    for (const KernelOperand &taken : interface.operands()) {
      switch (taken.kind) {
      case KernelOperand::Kind::Input: buffers.push_back(operand(op->getOperand(taken.index))); break;
      case KernelOperand::Kind::Packed: {
        const KernelInterface::Packed &part = interface.packed[taken.index];
        auto constant = wholeTensor(op->getOperand(part.input)).getDefiningOp<ConstantOp>();
        if (!constant)
          return makeError(ErrorCode::E0905, "operand ", part.input, " of a kernel is packed but is no constant");
        KILN_ASSIGN(RecipeType type, interface.packedType(taken.index));
        buffers.push_back(
            storedConstant(constant, part.recipe.print(),
                           plan_ir::ViewType::get(b.getContext(), type.dtype,
                                                  std::vector<SizeExpr>(type.dims.begin(), type.dims.end()))));
        break;
      }
      case KernelOperand::Kind::Output: buffers.push_back(views[op->getResult(taken.index)]); break;
      case KernelOperand::Kind::Workspace:
        buffers.push_back(b.create<plan_ir::AllocOp>(
            loc,
            plan_ir::ViewType::get(b.getContext(), DType::U8, sizesOver(op, interface, {interface.workspaceBytes})),
            b.getStringAttr("workspace")));
        break;
      }
    }
    b.create<plan_ir::LaunchOp>(loc, kernels.symbolOf(op), buffers, *op.getSizes());
    return Status::success();
  }

  Status hostCall(Operation *op) {
    SmallVector<Value> inputs, results;
    std::string present;
    for (Value tensor : operandsOf(op)) {
      present += tensor ? '1' : '0';
      if (tensor)
        inputs.push_back(operand(tensor));
    }
    for (OpResult result : op->getResults()) {
      StringRef where = isOpen(result) ? "returned" : "arena";
      bool inPlace = updatesInPlace(op) && result.getResultNumber() == 0 && updatesState(op, 0, result);
      views[result] = inPlace ? takeOver(op, 0, result) : newMemory(result, where, op->getLoc());
      results.push_back(views[result]);
    }
    b.create<plan_ir::HostCallOp>(op->getLoc(), mnemonicOf(op), inputs, results, present, toAttributes(op).print(),
                                  knownWork(op, flopsAttrName).print(), knownWork(op, bytesAttrName).print());
    return Status::success();
  }

  /// Of an op that tells a size, the work that depends on it does not count.
  SizeExpr knownWork(Operation *op, StringRef name) {
    SizeExpr work = readWork(op, name);
    return isOpen(work) ? SizeExpr(0) : work;
  }

  Status finishOutputs() {
    SmallVector<std::pair<Value, Value>> late; // to states: after all that is read of the old ones
    for (auto [i, returned] : llvm::enumerate(block.getTerminator()->getOperands())) {
      Value source = operand(returned), target = outputs[i];
      if (plan_ir::rootOf(source) == target)
        continue;
      if (isState(target))
        late.emplace_back(source, target);
      else
        copy(source, target);
    }
    for (auto &[source, target] : late)
      if (isState(plan_ir::rootOf(source))) {
        Value between =
            b.create<plan_ir::AllocOp>(function.getLoc(), source.getType(), b.getStringAttr("arena")).getView();
        copy(source, between);
        source = between;
      }
    for (auto &[source, target] : late)
      copy(source, target);
    return Status::success();
  }

  void copy(Value source, Value target) {
    b.create<plan_ir::CopyOp>(block.getTerminator()->getLoc(), source,
                              viewAs(target, cast<plan_ir::ViewType>(source.getType()), function.getLoc()));
  }

  func::FuncOp function;
  Block &block;
  KernelTable &kernels;
  bool reuse;
  OpBuilder b;
  int64_t now = 0;
  DenseMap<Value, Value> views;      // tensor -> view
  DenseMap<Value, int64_t> lastRead; // of the memory of a root tensor
  DenseMap<Value, Value> outputOf;   // root tensor -> the output's memory that it is computed in
  DenseMap<Value, Value> stateOf;    // root tensor -> the memory of the state that it becomes (followState)
  DenseMap<Value, std::pair<Value, SizeExpr>> addedAt; // root tensor -> the state's memory and where there it is made
  DenseMap<Value, Value> holds;                        // memory of a state -> the root tensor whose value is there now
  DenseMap<StringAttr, Value> states;                  // memory, by name
  DenseMap<std::tuple<mlir::Attribute, mlir::Attribute, Type>, Value> constants; // by source, recipe and type
  DenseSet<Value> taken; // memory taken over by a result of the current kernel
  SmallVector<Value> outputs;
  Value lastConstant;
  SizeTable sizes;
  std::set<std::string> checked; // checks of checkDims
};

class Bufferize : public impl::BufferizeBase<Bufferize> {
public:
  using BufferizeBase::BufferizeBase;

  void runOnOperation() override {
    KernelTable kernels(getOperation());
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      Bufferizer bufferizer(function, kernels, reuse);
      if (Status status = bufferizer.run(); !status.ok()) {
        emitError(bufferizer.place, status);
        return signalPassFailure();
      }
      function.erase();
    }
  }
};

} // namespace
} // namespace kiln
