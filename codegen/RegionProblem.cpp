#include "codegen/RegionProblem.h"

#include "codegen/problem/InPlace.h"
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Conv.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/kiln/Structure.h"
#include "runtime/base/Convert.h"
#include "runtime/base/Recipe.h"

#include "llvm/ADT/DenseMap.h"

#include <set>

namespace kiln {

using mlir::Operation;
using mlir::Value;

static constexpr int64_t maxLiteralIntegers = 16;

/// Whether `op` wants a constant as a buffer: weights, whatever their size (the bias of a convolution with one output),
/// and elements that scalar bodies read one by one.
static bool takesBuffer(Operation *op, bool isScalar) {
  auto kilnOp = llvm::dyn_cast<KilnOpInterface>(op);
  return kilnOp &&
         (kilnOp.getFusionRole() == FusionRole::Contraction || kilnOp.getFusionRole() == FusionRole::Reduction ||
          (kilnOp.getFusionRole() == FusionRole::Elementwise && !isScalar));
}

bool isLiteralConstant(Value constant) {
  auto type = llvm::dyn_cast<mlir::RankedTensorType>(constant.getType());
  if (!isKnownConstant(constant) || !type || !type.hasStaticShape())
    return false;
  bool isScalar = type.getNumElements() == 1;
  if (llvm::any_of(constant.getUsers(), [&](Operation *user) { return takesBuffer(user, isScalar); }))
    return false;
  return isScalar || (type.getElementType().isIntOrIndex() && type.getNumElements() <= maxLiteralIntegers);
}

static Result<Problem::Literal> literalOf(Value constant) {
  KILN_ASSIGN(Tensor tensor, readConstant(constant));
  bool real = isFloat(tensor.dtype());
  DType wideType = real ? DType::F64 : tensor.dtype() == DType::U64 ? DType::U64 : DType::I64;
  KILN_ASSIGN(Tensor wide, Tensor::create(wideType, tensor.dims()));
  KILN_TRY(convertElements(tensor.view(), wide.view()));
  if (real)
    return Problem::Literal(std::vector<double>(wide.as<double>(), wide.as<double>() + wide.size()));
  return Problem::Literal(std::vector<int64_t>(wide.as<int64_t>(), wide.as<int64_t>() + wide.size()));
}

namespace {

/// Builds the problem op by op, with the function's own symbols; canonical() renames them.
class Converter {
public:
  Converter(const SizeTable *table, Precision precision) : table(table) { problem.precision = precision; }

  /// `source` is the value outside of the region that `value` stands for.
  Status bindInput(Value value, Value source) {
    KILN_ASSIGN(DType dtype, dtypeOfValue(value));
    KILN_ASSIGN(std::vector<SizeExpr> dims, inputDims(value));
    ids[value] =
        isConstant(source) ? problem.addConst(dtype, std::move(dims)) : problem.addInput(dtype, std::move(dims));
    inputs.push_back(source);
    return Status();
  }
  Status bindLiteral(Value value, Value constant) {
    KILN_ASSIGN(DType dtype, dtypeOfValue(value));
    KILN_ASSIGN(std::vector<SizeExpr> dims, inputDims(value));
    KILN_ASSIGN(Problem::Literal literal, literalOf(constant));
    ids[value] = problem.addLiteral(dtype, std::move(dims), std::move(literal));
    return Status();
  }
  bool isBound(Value value) const { return ids.count(value); }
  Status addOp(Operation *op);
  Status addOutput(Value value) {
    auto it = ids.find(value);
    if (it == ids.end())
      return makeError(ErrorCode::E0901, "an output of a kernel is not computed by it");
    problem.addOutput(it->second);
    return Status();
  }
  Result<RegionProblem> finish();

private:
  static Result<DType> dtypeOfValue(Value value) {
    auto type = llvm::dyn_cast<mlir::RankedTensorType>(value.getType());
    std::optional<DType> dtype = type ? dtypeOf(type.getElementType()) : std::nullopt;
    if (!dtype)
      return makeError(ErrorCode::E0203, "no element type of kernels");
    return *dtype;
  }
  Result<std::vector<SizeExpr>> inputDims(Value value) {
    std::vector<SizeExpr> dims;
    for (const SizeExpr &dim : getDims(value)) {
      if (dim.isInvalid())
        return makeError(ErrorCode::E0208, "a size without a symbol");
      if (std::optional<std::string> symbol = dim.asSymbol())
        atoms.insert(*symbol);
      dims.push_back(dim);
    }
    return dims;
  }
  SizeExpr resultDim(mlir::OpResult result, size_t i, const SizeExpr &dim);
  std::optional<SizeExpr> windowDim(mlir::OpResult result, size_t i) const;

  const SizeTable *table;
  Problem problem;
  std::vector<Value> inputs;
  llvm::DenseMap<Value, Problem::ValueId> ids;
  std::set<std::string> atoms;               // symbols of input dims
  std::map<std::string, SizeExpr> relations; // other symbols, over atoms
};

} // namespace

/// A dim of a convolution's or pool's result over its operands' dims: what its shape rule says.
std::optional<SizeExpr> Converter::windowDim(mlir::OpResult result, size_t i) const {
  Operation *op = result.getOwner();
  auto kilnOp = llvm::dyn_cast<KilnOpInterface>(op);
  if (!kilnOp || (kilnOp.getFusionRole() != FusionRole::Window && !llvm::isa<ConvOp>(op)))
    return std::nullopt;
  Attributes attributes = toAttributes(op);
  if (!attributes.getString("auto_pad").empty() || attributes.getBool("ceil_mode"))
    return std::nullopt;
  std::map<std::string, SizeExpr> known; // dims of operands as the problem has them
  for (Value operand : op->getOperands())
    for (auto [type, dim] : llvm::zip_equal(getDims(operand), problem.value(ids.find(operand)->second).dims))
      if (std::optional<std::string> symbol = type.asSymbol())
        known[*symbol] = dim;
  ShapeContext context;
  Result<ResultShapes> shapes = kilnOp.inferShapes(context);
  if (!shapes.ok())
    return std::nullopt;
  SizeExpr dim = (*shapes)[result.getResultNumber()].dims[i];
  if (dim.isInvalid()) // an operand's elements say it, as of resize
    return std::nullopt;
  std::set<std::string> used;
  dim.collectSymbols(used);
  if (!llvm::all_of(used, [&](const std::string &name) { return known.count(name); }))
    return std::nullopt;
  return dim.substitute(known);
}

/// A dim of a result over atoms where that is known; else its symbol becomes one more size that the host passes.
SizeExpr Converter::resultDim(mlir::OpResult result, size_t i, const SizeExpr &dim) {
  std::optional<std::string> symbol = dim.asSymbol();
  if (!symbol || atoms.count(*symbol))
    return dim;
  if (auto it = relations.find(*symbol); it != relations.end())
    return it->second;
  std::optional<SizeExpr> relation = windowDim(result, i);
  if (!relation && table) {
    SizeExpr expanded = table->expand(dim);
    std::set<std::string> used;
    expanded.collectSymbols(used);
    if (std::includes(atoms.begin(), atoms.end(), used.begin(), used.end()))
      relation = expanded;
  }
  if (!relation)
    atoms.insert(*symbol);
  return relations[*symbol] = relation.value_or(dim);
}

Status Converter::addOp(Operation *op) {
  std::vector<Problem::ValueId> operands;
  for (Value operand : operandsOf(op)) {
    if (!operand) {
      operands.push_back(Problem::absent);
      continue;
    }
    auto it = ids.find(operand);
    if (it == ids.end())
      return makeError(ErrorCode::E0901, "an operand of a kernel's op is not bound");
    operands.push_back(it->second);
  }
  std::vector<Problem::Type> types;
  for (mlir::OpResult result : op->getResults()) {
    KILN_ASSIGN(DType dtype, dtypeOfValue(result));
    Problem::Type &type = types.emplace_back(Problem::Type{dtype, {}});
    for (auto [i, dim] : llvm::enumerate(getDims(result))) {
      if (dim.isInvalid())
        return makeError(ErrorCode::E0208, "a size without a symbol");
      type.dims.push_back(resultDim(result, i, dim));
    }
  }
  Problem::ValueId id = problem.addOp(mnemonicOf(op).str(), std::move(operands), toAttributes(op), std::move(types));
  for (Value result : op->getResults())
    ids[result] = id++;
  return Status();
}

Result<RegionProblem> Converter::finish() {
  if (table)
    for (const std::string &symbol : problem.symbols())
      if (const SizeTable::Symbol *known = table->find(symbol)) {
        Problem::Range range;
        // Sizes are never negative: only what narrows that is worth telling.
        if (known->low > 0)
          range.low = known->low;
        if (known->high != SizeTable::unbounded)
          range.high = known->high;
        if (range.low || range.high)
          problem.ranges[symbol] = range;
      }
  Problem::Canonical canonical = problem.canonical();
  RegionProblem out;
  out.problem = std::move(canonical.problem);
  out.problem.inPlace = inferInPlace(out.problem);
  for (int i : canonical.inputOrder) {
    out.inputs.push_back(inputs[i]);
    out.inputOrder.push_back(static_cast<unsigned>(i));
  }
  for (const std::string &symbol : canonical.symbolMap)
    out.sizes.push_back(SizeExpr::symbol(symbol));
  KILN_TRY(out.problem.verify());
  return out;
}

Result<RegionProblem> problemOf(llvm::ArrayRef<Operation *> ops, llvm::ArrayRef<Value> outputs, const SizeTable *table,
                                Precision precision) {
  Converter converter(table, precision);
  llvm::DenseMap<Operation *, bool> inside;
  for (Operation *op : ops)
    inside[op] = true;
  for (Operation *op : ops)
    for (Value operand : op->getOperands()) {
      if (converter.isBound(operand) || inside.count(operand.getDefiningOp()))
        continue;
      KILN_TRY(isLiteralConstant(operand) ? converter.bindLiteral(operand, operand)
                                          : converter.bindInput(operand, operand));
    }
  for (Operation *op : ops)
    KILN_TRY(converter.addOp(op));
  for (Value output : outputs)
    KILN_TRY(converter.addOutput(output));
  return converter.finish();
}

std::optional<OpWork> workOf(Operation *op) {
  OpWork work{0, 0};
  bool known = true;
  std::set<void *> counted; // an operand moves once
  auto describe = [&](Value value) {
    auto type = llvm::dyn_cast<mlir::RankedTensorType>(value.getType());
    std::optional<DType> dtype = type ? dtypeOf(type.getElementType()) : std::nullopt;
    Problem::Value described;
    described.dtype = dtype.value_or(DType::F32);
    for (const SizeExpr &dim : getDims(value))
      described.dims.push_back(dim);
    known &= dtype && llvm::none_of(described.dims, [](const SizeExpr &dim) { return dim.isInvalid(); });
    if (known && !isLiteralConstant(value) && counted.insert(value.getAsOpaquePointer()).second)
      work.bytes = work.bytes + SizeExpr::product(described.dims) * dtypeBytes(described.dtype);
    return described;
  };
  std::vector<Problem::Value> storage;
  llvm::SmallVector<Value> places = operandsOf(op);
  storage.reserve(places.size());
  std::vector<const Problem::Value *> operands;
  for (Value operand : places)
    operands.push_back(operand ? &storage.emplace_back(describe(operand)) : nullptr);
  std::vector<Problem::Value> results;
  for (Value result : op->getResults())
    results.push_back(describe(result));
  if (!known || results.empty())
    return std::nullopt;
  llvm::StringRef name = mnemonicOf(op);
  work.flops = opFlops({name.data(), name.size()}, toAttributes(op), operands, results.front());
  return work;
}

Result<RegionProblem> problemOf(Operation *op, const SizeTable *table, Precision precision) {
  auto kernel = llvm::dyn_cast<KernelOp>(op);
  if (!kernel)
    return makeError(ErrorCode::E0901, "not a kiln.kernel");
  mlir::Block &body = kernel.getBody().front();
  Converter converter(table, precision);
  for (auto [argument, operand] : llvm::zip_equal(body.getArguments(), kernel.getInputs()))
    KILN_TRY(converter.bindInput(argument, operand));
  for (Operation &inner : body.without_terminator())
    KILN_TRY(inner.getNumResults() == 1 && isConstant(inner.getResult(0))
                 ? converter.bindLiteral(inner.getResult(0), inner.getResult(0))
                 : converter.addOp(&inner));
  for (Value output : body.getTerminator()->getOperands())
    KILN_TRY(converter.addOutput(output));
  return converter.finish();
}

} // namespace kiln
