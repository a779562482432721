#include "compiler/import/onnx/NodeImport.h"

#include "compiler/import/onnx/ImportState.h"
#include "runtime/base/Convert.h"
#include "runtime/base/Recipe.h"

#include <algorithm>

namespace kiln::onnx {

NodeImport::NodeImport(ImportState &state, const NodeProto &node, int64_t opset, std::vector<Value> operands,
                       Graphs graphs)
    : state(state), node(node), version(opset), operands(std::move(operands)), resultValues(node.outputs.size()),
      graphs(graphs) {}

// --- operands

Status NodeImport::expectOperands(size_t least, size_t most) const {
  size_t given = operands.size();
  while (given > 0 && !operands[given - 1])
    --given;
  if (given < least || given > most) {
    std::string range = least == most      ? std::to_string(least)
                        : most == SIZE_MAX ? "at least " + std::to_string(least)
                                           : std::to_string(least) + " to " + std::to_string(most);
    return makeError(ErrorCode::E0306, "has ", given, given == 1 ? " input" : " inputs", "; expected ", range);
  }
  for (size_t i = 0; i < least; ++i)
    if (!operands[i])
      return makeError(ErrorCode::E0306, "input ", i, " is missing");
  return Status();
}

Result<std::vector<Value>> NodeImport::allOperands() const {
  KILN_TRY(expectOperands(1, SIZE_MAX));
  for (size_t i = 0; i < operands.size(); ++i)
    if (!operands[i])
      return makeError(ErrorCode::E0306, "input ", i, " is missing");
  return operands;
}

Result<Ints> NodeImport::constantInts(size_t index, std::string_view what) const {
  std::optional<Ints> values = knownInts(operand(index));
  if (!values)
    return makeError(ErrorCode::E0208, what, " must be known when compiling");
  return *values;
}

// --- values

DType NodeImport::dtype(Value value) const {
  // Every value the importer makes has an element type of the table.
  return *dtypeOf(llvm::cast<mlir::RankedTensorType>(value.getType()).getElementType());
}

/// The elements of a constant of any size; nothing where they are no integers.
static std::optional<Ints> constantElements(Value value) {
  Tensor storage;
  mlir::SmallVector<int64_t> dims;
  auto view = viewConstant(value, storage, dims);
  if (!view.ok() || isFloat(view->dtype))
    return std::nullopt;
  Ints elements(size_t(view->size()));
  if (!convertElements(*view, TensorView{elements.data(), DType::I64, dims}).ok())
    return std::nullopt;
  return elements;
}

std::optional<Ints> NodeImport::knownInts(Value value) const {
  if (isConstant(value))
    return constantElements(value);
  auto values = state.shapes.constantValues(value);
  if (!values)
    return std::nullopt;
  return Ints(values->begin(), values->end());
}

std::optional<std::vector<double>> NodeImport::knownFloats(Value value) const {
  if (!isConstant(value))
    return std::nullopt;
  Tensor storage;
  mlir::SmallVector<int64_t> dims;
  auto view = viewConstant(value, storage, dims);
  if (!view.ok() || !isFloat(view->dtype))
    return std::nullopt;
  std::vector<double> elements(size_t(view->size()));
  if (!convertElements(*view, TensorView{elements.data(), DType::F64, dims}).ok())
    return std::nullopt;
  return elements;
}

std::optional<double> NodeImport::knownScalar(Value value) const { return splatValue(value); }

Result<SizeExpr> NodeImport::broadcast(const SizeExpr &a, const SizeExpr &b) const {
  return state.sizes.broadcast(a, b);
}

std::optional<std::vector<SizeExpr>> NodeImport::knownSizes(Value value) const {
  auto values = state.shapes.values(value);
  if (!values)
    return std::nullopt;
  return std::vector<SizeExpr>(values->begin(), values->end());
}

Status NodeImport::requireNotNegative(const SizeExpr &size) const { return state.shapes.requireNotNegative(size); }

Status NodeImport::requireEqual(const SizeExpr &a, const SizeExpr &b) const { return state.sizes.requireEqual(a, b); }

// --- attributes

const AttributeProto *NodeImport::attribute(std::string_view name) const {
  for (const AttributeProto &attribute : node.attributes)
    if (attribute.name == name)
      return &attribute;
  return nullptr;
}

Result<int64_t> NodeImport::intAttribute(std::string_view name, int64_t fallback) const {
  const AttributeProto *found = attribute(name);
  return found ? found->asInt() : Result<int64_t>(fallback);
}

Result<double> NodeImport::floatAttribute(std::string_view name, double fallback) const {
  const AttributeProto *found = attribute(name);
  return found ? found->asFloat() : Result<double>(fallback);
}

Result<std::string> NodeImport::textAttribute(std::string_view name, std::string_view fallback) const {
  const AttributeProto *found = attribute(name);
  if (!found)
    return std::string(fallback);
  KILN_ASSIGN(std::string_view text, found->asString());
  return std::string(text);
}

Result<Ints> NodeImport::intsAttribute(std::string_view name, Ints fallback) const {
  const AttributeProto *found = attribute(name);
  if (found && found->type == AttributeProto::Int && name == "axes") {
    state.irregular["attribute \"axes\" holds an integer, which is taken as a list of one"].insert(state.nodeLabel());
    KILN_ASSIGN(int64_t axis, found->asInt());
    return Ints{axis};
  }
  return found ? found->asInts() : Result<Ints>(std::move(fallback));
}

Result<std::vector<double>> NodeImport::floatsAttribute(std::string_view name) const {
  const AttributeProto *found = attribute(name);
  return found ? found->asFloats() : Result<std::vector<double>>(std::vector<double>());
}

Status NodeImport::requireAttribute(std::string_view name) const {
  if (hasAttribute(name))
    return Status();
  return makeError(ErrorCode::E0401, "attribute \"", name, "\" is missing");
}

Result<int64_t> NodeImport::normalizeAxis(int64_t axis, int64_t rank) const {
  if (rank == 0 || axis < -rank || axis >= rank) {
    std::string expected =
        rank == 0 ? "a scalar has no axes" : "expected " + std::to_string(-rank) + ".." + std::to_string(rank - 1);
    return makeError(ErrorCode::E0412, "axis ", axis, " is out of range for rank ", rank, "; ", expected);
  }
  return axis < 0 ? axis + rank : axis;
}

Result<Ints> NodeImport::normalizeAxes(const Ints &axes, int64_t rank) const {
  Ints normalized;
  for (int64_t axis : axes) {
    KILN_ASSIGN(int64_t position, normalizeAxis(axis, rank));
    normalized.push_back(position);
  }
  std::sort(normalized.begin(), normalized.end());
  auto twice = std::adjacent_find(normalized.begin(), normalized.end());
  if (twice != normalized.end())
    return makeError(ErrorCode::E0413, "axis ", *twice, " is given twice");
  return normalized;
}

Result<int64_t> NodeImport::axisAttribute(std::string_view name, int64_t fallback, Value value) const {
  KILN_ASSIGN(int64_t axis, intAttribute(name, fallback));
  return normalizeAxis(axis, rank(value));
}

// --- emission

static Result<Value> resultOf(Result<mlir::Operation *> op) {
  if (!op.ok())
    return op.status();
  return Value((*op)->getResult(0));
}

Result<Value> NodeImport::emit(std::string_view mnemonic, const std::vector<Value> &operands,
                               const Attributes &attributes) const {
  return resultOf(makeOp(state.builder, state.sizes, state.location, mnemonic, operands, attributes));
}

Result<std::vector<Value>> NodeImport::emitAll(std::string_view mnemonic, const std::vector<Value> &operands,
                                               const Attributes &attributes) const {
  KILN_ASSIGN(mlir::Operation * op, makeOp(state.builder, state.sizes, state.location, mnemonic, operands, attributes));
  return std::vector<Value>(op->result_begin(), op->result_end());
}

Result<std::vector<Value>> NodeImport::applyGraph(std::string_view attribute, const std::vector<Value> &values) const {
  mlir::Location own = state.location; // the graph's nodes have their own
  Result<std::vector<Value>> results = graphs(attribute, values);
  state.location = own;
  return results;
}

Result<Value> NodeImport::reshape(Value value, const Dims &dims) const {
  auto from = llvm::cast<mlir::RankedTensorType>(value.getType());
  mlir::Type to = state.sizes.tensorType(dims, from.getElementType());
  if (to == from)
    return value;
  return resultOf(makeOp(state.builder, mlir::TypeRange(to), state.location, "reshape", {value}));
}

Result<Value> NodeImport::expand(Value value, const Dims &dims) const {
  KILN_ASSIGN(Dims met, state.shapes.broadcast(getDims(value), dims));
  // Sizes that only a run tells are checked then.
  bool fits = met.size() == dims.size();
  for (size_t i = 0; fits && i < dims.size(); ++i)
    fits = requireEqual(met[i], dims[i]).ok();
  if (!fits)
    return makeError(ErrorCode::E0304, "an operand of rank ", rank(value), " does not broadcast to rank ", dims.size());
  return stretch(value, dims);
}

Result<Value> NodeImport::stretch(Value value, const Dims &dims) const {
  auto from = llvm::cast<mlir::RankedTensorType>(value.getType());
  mlir::Type to = state.sizes.tensorType(dims, from.getElementType());
  if (to == from)
    return value;
  return resultOf(makeOp(state.builder, mlir::TypeRange(to), state.location, "expand", {value}));
}

Result<Value> NodeImport::cast(Value value, DType to) const {
  if (dtype(value) == to)
    return value;
  Attributes attributes;
  attributes.set("to", Attribute(std::string(dtypeName(to))));
  return emit("cast", {value}, attributes);
}

Result<Value> NodeImport::transpose(Value value, const Ints &perm) const {
  Attributes attributes;
  attributes.set("perm", perm);
  return emit("transpose", {value}, attributes);
}

Result<Value> NodeImport::slice(Value value, int64_t axis, int64_t start, int64_t end) const {
  Attributes attributes;
  attributes.set("starts", Ints{start});
  attributes.set("ends", Ints{end});
  attributes.set("axes", Ints{axis});
  attributes.set("steps", Ints{1});
  return emit("slice", {value}, attributes);
}

Value NodeImport::intsConstant(const Ints &values) const { return makeInts(state.builder, state.location, values); }

Result<Value> NodeImport::floatsConstant(const std::vector<double> &values) const {
  std::vector<float> narrow(values.begin(), values.end());
  KILN_ASSIGN(Tensor tensor, Tensor::of<float>(DType::F32, {int64_t(narrow.size())}, narrow));
  return makeConstant(state.builder, state.location, std::move(tensor));
}

Value NodeImport::scalar(double value, DType dtype) const {
  return makeScalar(state.builder, state.location, elementTypeOf(state.builder.getContext(), dtype), value);
}

Result<Value> NodeImport::allOnes(DType dtype) const {
  KILN_ASSIGN(Tensor tensor, Tensor::create(dtype, {}));
  std::memset(tensor.data(), 0xff, size_t(tensor.bytes()));
  return makeConstant(state.builder, state.location, std::move(tensor));
}

Result<Value> NodeImport::sizeOf(Value value, int64_t axis) const {
  Attributes attributes;
  attributes.set("start", axis);
  attributes.set("end", axis + 1);
  KILN_ASSIGN(Value size, emit("shape", {value}, attributes));
  return reshape(size, {});
}

Result<Value> NodeImport::tensorConstant(const TensorProto &tensor) const {
  return state.constant(tensor, state.location);
}

Result<Value> NodeImport::withLength(Value vector, int64_t length) const {
  Dims dims = getDims(vector);
  if (dims.size() != 1 || dims[0].isConstant())
    return vector; // the op that takes it says what does not fit
  KILN_TRY(requireEqual(dims[0], length));
  return reshape(vector, {SizeExpr(length)});
}

// --- results

std::optional<int64_t> NodeImport::declaredRank(size_t index) const {
  if (!wants(index) || state.inFunction)
    return std::nullopt;
  auto found = state.declaredRanks.find(node.outputs[index]);
  return found == state.declaredRanks.end() ? std::nullopt : std::optional<int64_t>(found->second);
}

void NodeImport::setResult(size_t index, Value value) {
  if (index < resultValues.size())
    resultValues[index] = value;
}

void NodeImport::setResults(const std::vector<Value> &values) {
  for (size_t i = 0; i < values.size(); ++i)
    setResult(i, values[i]);
}

Status NodeImport::setResult(Result<Value> value) {
  if (!value.ok())
    return value.status();
  setResult(0, *value);
  return Status();
}

} // namespace kiln::onnx
