#include "tools/reduce/Graph.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/NodeName.h"
#include "dialects/kiln/Ops.h"
#include "dialects/plan/PlanDialect.h"
#include "passes/Stages.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/STLExtras.h"

#include <cstring>

namespace kiln::reduce {

using mlir::Operation;
using mlir::Value;

/// The number of an op's first result among traced values.
static constexpr llvm::StringLiteral numberAttr = "kiln.reduce_number", nameAttr = "kiln.name";

static mlir::func::FuncOp asFunction(Operation *op) { return llvm::cast<mlir::func::FuncOp>(op); }

static std::optional<int64_t> numberOf(Value value) {
  auto result = llvm::dyn_cast<mlir::OpResult>(value);
  auto number = result ? result.getOwner()->getAttrOfType<mlir::IntegerAttr>(numberAttr) : nullptr;
  return number ? std::optional(number.getInt() + int64_t(result.getResultNumber())) : std::nullopt;
}

Result<Graph> Graph::parse(mlir::MLIRContext &context, const std::string &text, std::vector<Input> values) {
  context.loadDialect<KilnDialect, mlir::func::FuncDialect, plan_ir::PlanDialect>();
  Graph graph;
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) { return mlir::success(); });
  graph.module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!graph.module)
    return makeError(ErrorCode::E0312, "the IR text cannot be parsed");
  Stage stage = stageOf(*graph.module);
  auto functions = graph.module->getOps<mlir::func::FuncOp>();
  if (stage < Stage::Imported || stage > Stage::Optimized || functions.empty())
    return makeError(ErrorCode::E0313, "IR at stage ", stageName(stage),
                     " cannot be reduced; give the model, or IR at stage imported, canonical or optimized");
  graph.inputs = std::move(values);
  mlir::func::FuncOp function = *functions.begin();
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto name = function.getArgAttrOfType<mlir::StringAttr>(i, nameAttr);
    if (i >= graph.inputs.size())
      graph.inputs.push_back({name ? name.getValue().str() : "input" + std::to_string(i), nullptr});
  }
  return graph;
}

Graph Graph::clone() const {
  Graph copy;
  copy.module = llvm::cast<mlir::ModuleOp>(module->getOperation()->clone());
  copy.inputs = inputs;
  return copy;
}

Operation *Graph::function() const { return *module->getOps<mlir::func::FuncOp>().begin(); }
mlir::Block &Graph::body() const { return asFunction(function()).front(); }

Subject Graph::subject(bool numbers) const {
  mlir::OwningOpRef<mlir::ModuleOp> shown = llvm::cast<mlir::ModuleOp>(module->getOperation()->clone());
  if (!numbers)
    shown->walk([](Operation *op) { op->removeAttr(numberAttr); });
  Subject subject;
  llvm::raw_string_ostream stream(subject.text);
  shown->print(stream, mlir::OpPrintingFlags().enableDebugInfo(true, false));
  stream << "\n";
  subject.inputs = inputs;
  return subject;
}

std::vector<Operation *> Graph::ops() const {
  std::vector<Operation *> list;
  for (Operation &op : body().without_terminator())
    if (!llvm::isa<ConstantOp>(op))
      list.push_back(&op);
  return list;
}

size_t Graph::outputCount() const { return body().getTerminator()->getNumOperands(); }

std::string Graph::outputName(size_t index) const {
  auto name = asFunction(function()).getResultAttrOfType<mlir::StringAttr>(unsigned(index), nameAttr);
  return name ? name.getValue().str() : "output" + std::to_string(index);
}

std::string Graph::opNames() const {
  std::string names;
  for (Operation *op : ops())
    names += (names.empty() ? "" : ", ") + mnemonicOf(op).str();
  return names;
}

bool Graph::isStatic() const {
  return llvm::all_of(body().getArgumentTypes(), [](mlir::Type type) {
    auto tensor = llvm::dyn_cast<mlir::RankedTensorType>(type);
    return !tensor || tensor.hasStaticShape();
  });
}

Subject Graph::traced() {
  mlir::Builder builder(module->getContext());
  int64_t number = 0;
  std::vector<Value> values;
  for (Operation *op : ops()) {
    op->setAttr(numberAttr, builder.getI64IntegerAttr(number));
    number += op->getNumResults();
  }
  Graph copy = clone();
  std::vector<std::string> names;
  for (Operation *op : copy.ops())
    for (Value result : op->getResults()) {
      names.push_back("v" + std::to_string(values.size()));
      values.push_back(result);
    }
  copy.setOutputs(values, names);
  return copy.subject();
}

void Graph::setOutputs(llvm::ArrayRef<Value> values, llvm::ArrayRef<std::string> names) {
  mlir::func::FuncOp function = asFunction(this->function());
  mlir::Builder builder(module->getContext());
  body().getTerminator()->setOperands(values);
  llvm::SmallVector<mlir::Type> types;
  llvm::SmallVector<mlir::Attribute> attributes;
  for (auto [value, name] : llvm::zip(values, names)) {
    types.push_back(value.getType());
    attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr(nameAttr, builder.getStringAttr(name))));
  }
  function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
  function.setResAttrsAttr(builder.getArrayAttr(attributes));
}

bool Graph::cleanUp() {
  // Outputs that are nothing but inputs or constants say nothing.
  std::vector<Value> outputs;
  std::vector<std::string> names;
  for (auto [i, value] : llvm::enumerate(body().getTerminator()->getOperands()))
    if (Operation *op = value.getDefiningOp(); op && !llvm::isa<ConstantOp>(op)) {
      outputs.push_back(value);
      names.push_back(outputName(i));
    }
  setOutputs(outputs, names);
  std::vector<Operation *> all;
  for (Operation &op : body().without_terminator())
    all.push_back(&op);
  for (Operation *op : llvm::reverse(all))
    if (op->use_empty())
      op->erase();
  mlir::func::FuncOp function = asFunction(this->function());
  for (unsigned i = function.getNumArguments(); i-- > 0;)
    if (function.getArgument(i).use_empty()) {
      function.eraseArgument(i);
      inputs.erase(inputs.begin() + i);
    }
  return !outputs.empty();
}

/// The dims of a new input: sizes that other inputs bind keep their names, computed ones get new ones.
bool Graph::addInput(Value value, std::shared_ptr<const Tensor> data) {
  mlir::func::FuncOp function = asFunction(this->function());
  Result<SizeTable> table = SizeTable::read(function);
  auto type = llvm::dyn_cast<mlir::RankedTensorType>(value.getType());
  if (!table.ok() || !type)
    return false;
  std::set<std::string> taken;
  for (const Input &input : inputs)
    taken.insert(input.name);
  for (size_t i = 0; i < outputCount(); ++i)
    taken.insert(outputName(i));
  size_t next = 0;
  while (taken.count("cut" + std::to_string(next)))
    ++next;
  std::string name = "cut" + std::to_string(next);
  Dims dims = getDims(value);
  for (auto [axis, dim] : llvm::enumerate(dims)) {
    if (dim.asConstant())
      continue;
    auto symbol = dim.asSymbol();
    const SizeTable::Symbol *known = symbol ? table->find(*symbol) : nullptr;
    if (!known || known->definition || known->dataDependent)
      dim = table->declareUser(name + "_" + std::to_string(axis));
  }
  mlir::Builder builder(module->getContext());
  auto attributes = builder.getDictionaryAttr(builder.getNamedAttr(nameAttr, builder.getStringAttr(name)));
  unsigned index = function.getNumArguments();
  function.insertArgument(index, table->tensorType(dims, type.getElementType()), attributes, value.getLoc());
  table->write(function);
  inputs.push_back({name, std::move(data)});
  value.replaceAllUsesWith(function.getArgument(index));
  return true;
}

bool Graph::keepOutputs(const std::set<size_t> &kept) {
  std::vector<Value> outputs;
  std::vector<std::string> names;
  for (size_t i : kept)
    if (i < outputCount()) {
      outputs.push_back(body().getTerminator()->getOperand(unsigned(i)));
      names.push_back(outputName(i));
    }
  setOutputs(outputs, names);
  return cleanUp();
}

bool Graph::cutOut(size_t first, size_t last, const Values &values) {
  std::vector<Operation *> list = ops();
  last = std::min(last, list.size());
  std::set<Operation *> inside(list.begin() + std::ptrdiff_t(std::min(first, last)),
                               list.begin() + std::ptrdiff_t(last));
  for (Operation *op : inside)
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !inside.count(user); })) {
        std::optional<int64_t> number = numberOf(result);
        if (!addInput(result, number ? values(*number) : nullptr))
          return false;
      }
  return !inside.empty() && cleanUp();
}

bool Graph::cutAfter(size_t end) {
  std::vector<Operation *> list = ops();
  if (end == 0 || end >= list.size())
    return false;
  std::set<Operation *> later(list.begin() + std::ptrdiff_t(end), list.end());
  Operation *terminator = body().getTerminator();
  std::vector<Value> outputs;
  std::vector<std::string> names;
  for (size_t i = 0; i < end; ++i)
    for (Value result : list[i]->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) { return user == terminator || later.count(user); })) {
        std::string name = "out" + std::to_string(outputs.size());
        for (size_t k = 0; k < outputCount(); ++k)
          if (terminator->getOperand(unsigned(k)) == result)
            name = outputName(k);
        outputs.push_back(result);
        names.push_back(name);
      }
  setOutputs(outputs, names);
  return cleanUp();
}

bool Graph::bypass(size_t index, size_t operand) {
  Operation *op = ops()[index];
  std::vector<Value> others(op->operand_begin(), op->operand_end());
  for (Value argument : body().getArguments())
    others.push_back(argument);
  if (operand >= others.size())
    return false;
  bool any = false;
  for (Value result : op->getResults())
    if (result.getType() == others[operand].getType()) {
      any |= !result.use_empty();
      result.replaceAllUsesWith(others[operand]);
    }
  return any && cleanUp();
}

static mlir::Value makeInlineConstant(Operation *before, mlir::Location loc, const Tensor &data) {
  mlir::OpBuilder builder(before);
  Result<Tensor> copy = Tensor::copyOf(data.view());
  return copy.ok() ? makeConstant(builder, loc, std::move(*copy)) : Value();
}

bool Graph::replaceByConstant(size_t index, const Values &values) {
  Operation *op = ops()[index];
  bool any = false;
  for (Value result : op->getResults()) {
    if (result.use_empty())
      continue;
    auto type = llvm::dyn_cast<mlir::RankedTensorType>(result.getType());
    std::optional<int64_t> number = numberOf(result);
    std::shared_ptr<const Tensor> data = type && type.hasStaticShape() && number ? values(*number) : nullptr;
    if (!data || data->bytes() > inlineConstantBytes)
      return false;
    Value constant = makeInlineConstant(op, op->getLoc(), *data);
    if (!constant || constant.getType() != type)
      return false;
    result.replaceAllUsesWith(constant);
    any = true;
  }
  return any && cleanUp();
}

bool Graph::replaceInput(size_t index, size_t by) {
  mlir::BlockArgument from = body().getArgument(unsigned(index)), to = body().getArgument(unsigned(by));
  if (from == to || from.getType() != to.getType())
    return false;
  from.replaceAllUsesWith(to);
  return cleanUp();
}

bool Graph::inputToConstant(size_t index) {
  mlir::BlockArgument argument = body().getArgument(unsigned(index));
  std::shared_ptr<const Tensor> data = inputs[index].value;
  if (!data || data->bytes() > inlineConstantBytes)
    return false;
  Value constant = makeInlineConstant(&body().front(), argument.getLoc(), *data);
  if (!constant || constant.getType() != argument.getType())
    return false;
  argument.replaceAllUsesWith(constant);
  return cleanUp();
}

void Graph::forgetResultTypes() {
  for (Operation *op : ops())
    if (!llvm::isa<ReshapeOp, ExpandOp, TileOp>(op)) // what they say is nowhere else
      for (Value result : op->getResults())
        if (auto type = llvm::dyn_cast<mlir::RankedTensorType>(result.getType()))
          result.setType(makeTensorType(Dims(size_t(type.getRank()), SizeExpr::invalid()), type.getElementType()));
  std::vector<Value> outputs(body().getTerminator()->operand_begin(), body().getTerminator()->operand_end());
  std::vector<std::string> names;
  for (size_t i = 0; i < outputs.size(); ++i)
    names.push_back(outputName(i));
  setOutputs(outputs, names);
}

bool Graph::makeStatic() {
  mlir::func::FuncOp function = asFunction(this->function());
  llvm::SmallVector<mlir::Type> types;
  for (auto [argument, input] : llvm::zip(body().getArguments(), inputs)) {
    auto type = llvm::dyn_cast<mlir::RankedTensorType>(argument.getType());
    if (!type || !input.value)
      return false;
    argument.setType(mlir::RankedTensorType::get(llvm::ArrayRef(input.value->dims().data(), input.value->dims().size()),
                                                 type.getElementType()));
    types.push_back(argument.getType());
  }
  function.setType(mlir::FunctionType::get(module->getContext(), types, function.getResultTypes()));
  forgetResultTypes();
  return true;
}

std::set<int64_t> Graph::sizes() const {
  std::set<int64_t> found;
  for (const Input &input : inputs)
    if (input.value)
      found.insert(input.value->dims().begin(), input.value->dims().end());
  return found;
}

/// The elements of `from` whose indices are within `dims`.
static std::shared_ptr<const Tensor> cropped(const Tensor &from, const std::vector<int64_t> &dims) {
  Result<Tensor> to = Tensor::create(from.dtype(), dims);
  if (!to.ok())
    return nullptr;
  auto bytes = size_t(dtypeBytes(from.dtype()));
  std::vector<int64_t> strides = denseStrides(from.dims()), index(dims.size(), 0);
  for (int64_t i = 0; i < to->size(); ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < dims.size(); ++d)
      at += index[d] * strides[d];
    std::memcpy(to->as<char>() + size_t(i) * bytes, from.as<char>() + size_t(at) * bytes, bytes);
    for (size_t d = dims.size(); d-- > 0 && ++index[d] == dims[d];)
      index[d] = 0;
  }
  return std::make_shared<const Tensor>(std::move(*to));
}

bool Graph::shrink(int64_t from, int64_t to) {
  mlir::func::FuncOp function = asFunction(this->function());
  llvm::SmallVector<mlir::Type> types;
  for (auto [argument, input] : llvm::zip(body().getArguments(), inputs)) {
    auto type = llvm::dyn_cast<mlir::RankedTensorType>(argument.getType());
    if (!type || !input.value)
      return false;
    std::vector<int64_t> sizes(input.value->dims().begin(), input.value->dims().end());
    Dims dims = getDims(argument);
    for (size_t d = 0; d < sizes.size(); ++d)
      if (sizes[d] == from) {
        sizes[d] = to;
        if (dims[d].asConstant())
          dims[d] = SizeExpr(to);
      }
    input.value = cropped(*input.value, sizes);
    if (!input.value)
      return false;
    argument.setType(makeTensorType(dims, type.getElementType()));
    types.push_back(argument.getType());
  }
  function.setType(mlir::FunctionType::get(module->getContext(), types, function.getResultTypes()));
  forgetResultTypes();
  return true;
}

} // namespace kiln::reduce
