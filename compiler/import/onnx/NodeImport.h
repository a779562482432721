// What a converter sees: one node of the model, its operands as values of the kiln dialect, its
// attributes checked and typed, and the means to emit ops under the node's name. A converter emits
// the node's meaning and sets its results.
#pragma once

#include "compiler/import/onnx/OnnxModel.h"
#include "dialects/kiln/SizeTable.h"
#include "mlir/IR/Builders.h"
#include "runtime/base/Attributes.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace kiln::onnx {

class ImportState;

using mlir::Value;
using Ints = std::vector<int64_t>;

class NodeImport {
public:
  /// What the nodes of a graph that the node holds as an attribute make of operands.
  using Graphs = llvm::function_ref<Result<std::vector<Value>>(std::string_view attribute, const std::vector<Value> &)>;

  /// `operands` holds a null value for an absent operand. Without `graphs` there is no applyGraph.
  NodeImport(ImportState &state, const NodeProto &node, int64_t opset, std::vector<Value> operands, Graphs graphs = {});

  std::string_view opType() const { return node.opType; }
  /// The version of the node's domain that the model imports.
  int64_t opset() const { return version; }

  // --- operands
  size_t operandCount() const { return operands.size(); }
  bool has(size_t index) const { return index < operands.size() && operands[index]; }
  /// Null when absent.
  Value operand(size_t index) const { return has(index) ? operands[index] : Value(); }
  /// E0306 unless the node has that many operands, the first `least` of them present.
  Status expectOperands(size_t least, size_t most) const;
  /// All operands; E0306 when there are none or one is absent.
  Result<std::vector<Value>> allOperands() const;
  /// The integers of an operand that must be known at compile time; `what` names it in the error
  /// (E0208).
  Result<Ints> constantInts(size_t index, std::string_view what) const;

  // --- values
  Dims dims(Value value) const { return getDims(value); }
  int64_t rank(Value value) const { return getRank(value.getType()); }
  DType dtype(Value value) const;
  /// The elements of an integer value if all are known now: of a constant, or of a small one that is computed.
  std::optional<Ints> knownInts(Value value) const;
  /// The elements of a small integer value that is computed from sizes, if all are known so.
  std::optional<std::vector<SizeExpr>> knownSizes(Value value) const;
  /// Requires that a size is not negative: an error where it surely is, a check when sizes are bound where it may be.
  Status requireNotNegative(const SizeExpr &size) const;
  /// Requires equal sizes: an error where they never are, a check when sizes are bound where they
  /// may be.
  Status requireEqual(const SizeExpr &a, const SizeExpr &b) const;
  /// The size that two sizes broadcast to: an error where they never do, a check when sizes are bound where they may
  /// not.
  Result<SizeExpr> broadcast(const SizeExpr &a, const SizeExpr &b) const;
  /// The elements of a constant of floating-point numbers.
  std::optional<std::vector<double>> knownFloats(Value value) const;
  /// The element of a one-element constant.
  std::optional<double> knownScalar(Value value) const;

  // --- attributes: the value, or the fallback where the attribute is absent; a wrong type is E0402 (but one integer
  // counts as a list of axes)
  const AttributeProto *attribute(std::string_view name) const;
  bool hasAttribute(std::string_view name) const { return attribute(name) != nullptr; }
  Result<int64_t> intAttribute(std::string_view name, int64_t fallback) const;
  Result<double> floatAttribute(std::string_view name, double fallback) const;
  Result<std::string> textAttribute(std::string_view name, std::string_view fallback) const;
  Result<Ints> intsAttribute(std::string_view name, Ints fallback = {}) const;
  Result<std::vector<double>> floatsAttribute(std::string_view name) const;
  /// E0401 when absent.
  Status requireAttribute(std::string_view name) const;

  /// Checks an axis and makes it non-negative: E0412 outside -rank..rank-1.
  Result<int64_t> normalizeAxis(int64_t axis, int64_t rank) const;
  /// The same for a list, sorted; E0413 for a repeated one.
  Result<Ints> normalizeAxes(const Ints &axes, int64_t rank) const;
  /// Attribute `name` as an axis of `value`.
  Result<int64_t> axisAttribute(std::string_view name, int64_t fallback, Value value) const;

  // --- emission
  Result<Value> emit(std::string_view mnemonic, const std::vector<Value> &operands,
                     const Attributes &attributes = {}) const;
  /// All results of an op that has several. An operand that is absent is null.
  Result<std::vector<Value>> emitAll(std::string_view mnemonic, const std::vector<Value> &operands,
                                     const Attributes &attributes = {}) const;
  /// A reshape to known dims (over the function's symbols); the value itself where nothing changes.
  Result<Value> reshape(Value value, const Dims &dims) const;
  Result<Value> cast(Value value, DType to) const;
  Result<Value> transpose(Value value, const Ints &perm) const;
  Result<Value> slice(Value value, int64_t axis, int64_t start, int64_t end) const;
  /// Expands to exactly these dims.
  Result<Value> expand(Value value, const Dims &dims) const;
  /// The same where `dims` are what the value's dims and others were found to broadcast to.
  Result<Value> stretch(Value value, const Dims &dims) const;
  /// An i64 vector.
  Value intsConstant(const Ints &values) const;
  /// An f32 vector.
  Result<Value> floatsConstant(const std::vector<double> &values) const;
  /// A rank-0 constant.
  Value scalar(double value, DType dtype) const;
  /// A rank-0 integer whose bits are all set.
  Result<Value> allOnes(DType dtype) const;
  /// The size of one dim as an i64 scalar.
  Result<Value> sizeOf(Value value, int64_t axis) const;
  /// A constant from a tensor of the model.
  Result<Value> tensorConstant(const TensorProto &tensor) const;

  /// The results of the graph in that attribute; its nodes are imported here, with what they use from outside.
  Result<std::vector<Value>> applyGraph(std::string_view attribute, const std::vector<Value> &values) const;

  /// A vector whose length is known now; one that is not gets it, with a check when sizes are
  /// bound.
  Result<Value> withLength(Value vector, int64_t length) const;

  // --- results
  /// The rank that the model declares for a result; only for what the operands do not say.
  std::optional<int64_t> declaredRank(size_t index) const;
  size_t resultCount() const { return node.outputs.size(); }
  bool wants(size_t index) const { return index < node.outputs.size() && !node.outputs[index].empty(); }
  void setResult(size_t index, Value value);
  /// Sets all results, from the first on; what the node does not want is left out.
  void setResults(const std::vector<Value> &values);
  /// Sets result 0 from an emission.
  Status setResult(Result<Value> value);
  const std::vector<Value> &results() const { return resultValues; }

private:
  ImportState &state;
  const NodeProto &node;
  int64_t version;
  std::vector<Value> operands;
  std::vector<Value> resultValues;
  Graphs graphs;
};

/// Emits what a node means. E02xx: the node needs something that is not supported.
using Converter = Status (*)(NodeImport &node);

} // namespace kiln::onnx
