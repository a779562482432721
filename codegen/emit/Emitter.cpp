#include "codegen/emit/Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ValueRange.h"

#include <cassert>

namespace kiln::emit {

namespace arith = mlir::arith;
namespace scf = mlir::scf;
namespace LLVM = mlir::LLVM;

Emitter::Emitter(mlir::MLIRContext &context, const TargetInfo &target)
    : b_(&context), loc_(mlir::UnknownLoc::get(&context)), target_(target), module_(mlir::ModuleOp::create(loc_)) {
  b_.setInsertionPointToEnd(module_->getBody());
}

mlir::OwningOpRef<mlir::ModuleOp> Emitter::take() {
  assert(!function_ && "a function is still open");
  return std::move(module_);
}

// --- Types ---------------------------------------------------------------------------------------------------------

Type Emitter::f32() { return b_.getF32Type(); }
Type Emitter::f64() { return b_.getF64Type(); }
Type Emitter::i1() { return b_.getI1Type(); }
Type Emitter::i8() { return b_.getI8Type(); }
Type Emitter::i32() { return b_.getI32Type(); }
Type Emitter::i64() { return b_.getI64Type(); }
Type Emitter::ptr() { return LLVM::LLVMPointerType::get(b_.getContext()); }
Type Emitter::integer(unsigned bits) { return b_.getIntegerType(bits); }

Type Emitter::vec(Type element, int64_t lanes) {
  return lanes == 0 ? element : mlir::VectorType::get({lanes}, element);
}

Type Emitter::registerType(DType dtype) {
  switch (dtype) {
  case DType::F32:
  case DType::F16:
  case DType::BF16: return f32();
  case DType::F64: return f64();
  case DType::Bool: return i1();
  case DType::U8:
  case DType::U16: return i32();
  case DType::U32: return i64();
  default: return integer(unsigned(dtypeBits(dtype)));
  }
}

int64_t Emitter::lanes(unsigned elementBits) const { return target_.lanes(int(elementBits)); }

int64_t Emitter::lanesOf(Type type) {
  auto vector = llvm::dyn_cast<mlir::VectorType>(type);
  return vector ? vector.getDimSize(0) : 0;
}
Type Emitter::elementOf(Type type) { return mlir::getElementTypeOrSelf(type); }
bool Emitter::isFloat(Type type) { return llvm::isa<mlir::FloatType>(elementOf(type)); }
bool Emitter::isInteger(Type type) { return llvm::isa<mlir::IntegerType>(elementOf(type)); }
unsigned Emitter::bitsOf(Type type) { return elementOf(type).getIntOrFloatBitWidth(); }
int64_t Emitter::bytesOf(DType dtype) { return dtypeBytes(dtype); }

// --- Functions -----------------------------------------------------------------------------------------------------

void Emitter::beginKernel(llvm::StringRef symbol, size_t buffers, llvm::ArrayRef<std::string> symbols) {
  assert(!function_ && "functions do not nest");
  Frame frame = openKernel(*module_, symbol);
  function_ = frame.function;
  entry_ = frame.entry;
  b_.setInsertionPointToEnd(entry_);
  args_ = frame.arguments;
  workgroup_ = frame.workgroup;
  grid_ = frame.grid;
  Value table = argument(0, ptr());
  for (size_t i = 0; i < buffers; ++i)
    buffers_.push_back(load(ptr(), offset(table, int64_t(i * 8))));
  if (!symbols.empty()) {
    Value sizes = argument(1, ptr());
    for (size_t i = 0; i < symbols.size(); ++i)
      bindSymbol(symbols[i], load(i64(), offset(sizes, int64_t(i * 8))));
  }
}

Value Emitter::argument(size_t field, Type type) { return load(type, offset(args_, int64_t(field * 8))); }

void Emitter::endKernel() { endLocal(); }

Value Emitter::scratch() { return argument(2, ptr()); }
Value Emitter::workspace() { return argument(3, ptr()); }

void Emitter::bindSymbol(llvm::StringRef name, Value value) { symbols_.emplace_back(name.str(), value); }

void Emitter::setStatus(int32_t code) { store(constant(i32(), int64_t(code)), argument(4, ptr())); }

Value Emitter::size(const SizeExpr &expr) {
  if (expr.isConstant())
    return index(expr.constant());
  std::vector<std::string> names;
  for (auto &[name, value] : symbols_)
    names.push_back(name);
  Result<CompiledSize> compiled = CompiledSize::compile(expr, names);
  if (!compiled.ok()) { // too large an expression, or one over a symbol that the kernel was not given
    (*module_)->setAttr(emissionErrorName, b_.getStringAttr(compiled.status().message()));
    return index(0);
  }
  if (compiled->isConstant())
    return index(compiled->constant());
  using Op = CompiledSize::Op;
  llvm::SmallVector<Value, 8> stack;
  for (const CompiledSize::Instruction &in : compiled->instructions()) {
    if (in.op == Op::Constant) {
      stack.push_back(index(in.operand));
      continue;
    }
    if (in.op == Op::Symbol) {
      stack.push_back(symbols_[size_t(in.operand)].second);
      continue;
    }
    Value right = stack.pop_back_val();
    Value left = stack.pop_back_val();
    switch (in.op) {
    case Op::Add: stack.push_back(add(left, right)); break;
    case Op::Mul: stack.push_back(mul(left, right)); break;
    case Op::FloorDiv: stack.push_back(floorDiv(left, right)); break;
    case Op::CeilDiv: stack.push_back(neg(floorDiv(neg(left), right))); break;
    case Op::Mod: stack.push_back(sub(left, mul(right, floorDiv(left, right)))); break;
    case Op::Min: stack.push_back(min(left, right)); break;
    case Op::Max: stack.push_back(max(left, right)); break;
    default: break;
    }
  }
  return stack.back();
}

LocalFunction Emitter::beginLocal(llvm::StringRef name, llvm::ArrayRef<Type> arguments, llvm::ArrayRef<Type> results) {
  assert(!function_ && "functions do not nest");
  Type result = results.empty()       ? LLVM::LLVMVoidType::get(b_.getContext())
                : results.size() == 1 ? results[0]
                                      : Type(LLVM::LLVMStructType::getLiteral(b_.getContext(), results));
  b_.setInsertionPointToEnd(module_->getBody());
  auto function =
      b_.create<LLVM::LLVMFuncOp>(loc_, name, LLVM::LLVMFunctionType::get(result, arguments), LLVM::Linkage::Internal);
  function.setPassthroughAttr(b_.getArrayAttr({b_.getStringAttr("noinline")}));
  function_ = function;
  entry_ = function.addEntryBlock(b_);
  b_.setInsertionPointToStart(entry_);
  LocalFunction local;
  local.op = function;
  local.arguments.assign(entry_->getArguments().begin(), entry_->getArguments().end());
  return local;
}

void Emitter::endLocal(ValueRange results) {
  assert(function_ && "no open function");
  if (results.size() > 1) {
    auto type = llvm::cast<LLVM::LLVMFuncOp>(function_).getFunctionType().getReturnType();
    Value pack = b_.create<LLVM::UndefOp>(loc_, type);
    for (size_t i = 0; i < results.size(); ++i)
      pack = b_.create<LLVM::InsertValueOp>(loc_, pack, results[i], int64_t(i));
    b_.create<LLVM::ReturnOp>(loc_, pack);
  } else {
    b_.create<LLVM::ReturnOp>(loc_, results);
  }
  function_ = nullptr;
  entry_ = nullptr;
  buffers_.clear();
  symbols_.clear();
  b_.setInsertionPointToEnd(module_->getBody());
}

Values Emitter::call(const LocalFunction &function, ValueRange arguments) {
  auto call = b_.create<LLVM::CallOp>(loc_, llvm::cast<LLVM::LLVMFuncOp>(function.op), arguments);
  Values results;
  if (call.getNumResults() == 0)
    return results;
  Value result = call.getResult();
  auto structure = llvm::dyn_cast<LLVM::LLVMStructType>(result.getType());
  if (!structure)
    return {result};
  for (size_t i = 0; i < structure.getBody().size(); ++i)
    results.push_back(b_.create<LLVM::ExtractValueOp>(loc_, result, int64_t(i)));
  return results;
}

// --- Control -------------------------------------------------------------------------------------------------------

Values Emitter::loop(Value lower, Value upper, Value step, ValueRange init, LoopBody body) {
  auto op = b_.create<scf::ForOp>(loc_, lower, upper, step, init,
                                  [&](mlir::OpBuilder &, mlir::Location, Value iv, ValueRange carried) {
                                    Values next = body(iv, carried);
                                    assert(next.size() == carried.size());
                                    b_.create<scf::YieldOp>(loc_, next);
                                  });
  return Values(op.getResults());
}

void Emitter::loop(Value lower, Value upper, Value step, VoidLoopBody body) {
  loop(lower, upper, step, ValueRange{}, [&](Value iv, ValueRange) {
    body(iv);
    return Values();
  });
}

void Emitter::loop(int64_t lower, Value upper, int64_t step, VoidLoopBody body) {
  loop(index(lower), upper, index(step), body);
}

Values Emitter::ifElse(Value condition, llvm::ArrayRef<Type> results, Branch then, Branch otherwise) {
  auto op = b_.create<scf::IfOp>(loc_, mlir::TypeRange(results), condition, true);
  mlir::OpBuilder::InsertionGuard guard(b_);
  for (auto [block, branch] : {std::pair(op.thenBlock(), then), std::pair(op.elseBlock(), otherwise)}) {
    if (!block->empty()) // built with a terminator when there are no results
      block->back().erase();
    b_.setInsertionPointToEnd(block);
    Values values = branch();
    b_.create<scf::YieldOp>(loc_, values);
  }
  return Values(op.getResults());
}

void Emitter::ifElse(Value condition, VoidBranch then, VoidBranch otherwise) {
  auto wrap = [](VoidBranch branch) {
    return [branch] {
      branch();
      return Values();
    };
  };
  ifElse(condition, llvm::ArrayRef<Type>{}, Branch(wrap(then)), Branch(wrap(otherwise)));
}

void Emitter::ifThen(Value condition, VoidBranch then) {
  auto op = b_.create<scf::IfOp>(loc_, condition, false);
  mlir::OpBuilder::InsertionGuard guard(b_);
  b_.setInsertionPoint(op.thenBlock()->getTerminator());
  then();
}

} // namespace kiln::emit
