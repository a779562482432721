// The import of one model, graph by graph: what its files share. GraphImport.cpp brings in nodes and names,
// ControlFlowImport.cpp the graphs inside nodes (IfImport.cpp and ScanImport.cpp those of If and Scan),
// SequenceImport.cpp values that are no tensors.
#pragma once

#include "compiler/import/onnx/ImportState.h"
#include "compiler/import/onnx/NodeImport.h"
#include "compiler/import/onnx/Unsupported.h"
#include "dialects/kiln/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <tuple>
#include <unordered_map>
#include <unordered_set>

namespace kiln::onnx {

using Names = std::unordered_set<std::string_view>;

/// A function of the module under construction.
struct Frame {
  mlir::func::FuncOp function;
  Frame *outer = nullptr;
  SizeBridge *bridge = nullptr;
  SizeTable *outerSizes = nullptr;      // of the function around it, while this one's is the import's
  std::vector<Value> captured{};        // of the outer function, handed over after what the op itself hands over
  llvm::DenseMap<Value, Value> known{}; // what outer values are here
};

/// A sequence, or an optional that has no value or of which only a run tells whether it has one (one that surely has is
/// that value).
struct NonTensor {
  bool isNone = false;
  /// An optional that a run knows: `stacked`, with its value along a first dim of size 1, or nothing and 0.
  bool isOptional = false;
  /// Of such an optional: whether it is a sequence that may be absent, so that `stacked` has two leading dims.
  bool ofSequence = false;
  std::vector<Value> items{};
  /// A sequence whose length only a run tells: its items, which have equal dims, along a first dim. `items` is empty.
  Value stacked{};
  /// In the body of a loop: the items of the sequence that the loop carries there, which nobody sees, before `items`.
  std::optional<unsigned> carried{};

  bool isSequence() const { return !isNone && !isOptional; }
  /// Whether the items are known one by one.
  bool isList() const { return !isNone && !stacked && !carried; }
  /// The tensors that it is made of.
  std::vector<Value> parts() const { return stacked ? std::vector<Value>{stacked} : items; }
  void setParts(mlir::ValueRange values) {
    if (stacked)
      stacked = values[0];
    else
      items.assign(values.begin(), values.end());
  }
};

/// What a name stands for. Absent: neither.
struct GraphValue {
  Value tensor;
  std::optional<NonTensor> nonTensor;

  bool absent() const { return !tensor && !nonTensor; }
};

/// The nodes of one graph or function body, with what their names mean.
struct Scope {
  std::unordered_map<std::string_view, Value> values;
  std::unordered_map<std::string_view, NonTensor> nonTensors;
  std::unordered_map<std::string_view, const TensorProto *> initializers; // not used so far
  Names skipped;                                                          // results of nodes that are not supported
  const std::vector<OpsetImport> *opsets = nullptr;
  std::string prefix; // of node names, in inlined functions
  unsigned depth = 0;
  Frame *frame = nullptr;
  Scope *outer = nullptr; // of a graph inside a node: what its nodes may use besides
  bool isBatch = false;   // its one node is a Scan of one sequence of a batch

  bool knows(std::string_view name) const {
    return values.count(name) || nonTensors.count(name) || initializers.count(name) || skipped.count(name) ||
           (outer && outer->knows(name));
  }
  bool skips(std::string_view name) const {
    return skipped.count(name) || (!values.count(name) && !nonTensors.count(name) && outer && outer->skips(name));
  }
};

/// A graph inside a node as a function.
struct Subgraph {
  mlir::func::FuncOp function;
  std::vector<Value> captured;
  /// How many results of the function each of the graph's outputs is; nothing of a tensor.
  std::vector<std::optional<NonTensor>> outputs;
  /// Of a loop's body: how many items it appends to each sequence that the loop carries; they are its last results.
  std::vector<unsigned> appended;
  SizeTable sizes;
  bool skipped = false; // something in it is not supported
};

/// What a graph inside a node is handed.
struct GraphArguments {
  llvm::ArrayRef<mlir::RankedTensorType> types = {}; ///< outside
  unsigned unnamed = 0;                              ///< leading arguments that are no inputs of the graph
  llvm::function_ref<bool(unsigned argument, unsigned dim)> varies = [](unsigned, unsigned) { return false; };
};

/// A loop in terms of its operator's operands.
struct LoopParts {
  Value count, condition; ///< null where there is none
  std::vector<Value> initial;
  /// Of a Scan: what is gone through, from which end and along which axis, and how its results are laid out.
  struct Along {
    Value value;
    int64_t axis = 0;
    bool reversed = false;
    bool whole = false; ///< each iteration is given all of it
  };
  bool isScan = false;
  bool isMap = false; ///< a Scan that goes through stacked sequences, and gives such
  std::vector<Along> scanned, results;
  const GraphProto *graph = nullptr; ///< of a Scan over a batch: what each iteration does, which no model holds
  Value length;                      ///< of one sequence of a batch: its elements behind these do not count
  /// Sequences that are carried besides, and their places among all that is.
  std::vector<std::pair<size_t, NonTensor>> sequences;
  const NonTensor *sequenceAt(size_t place) const {
    for (const auto &[at, sequence] : sequences)
      if (at == place)
        return &sequence;
    return nullptr;
  }
};

/// What the results of a function are in number and element type, the first `skipped` left out; dims follow. All but
/// the first `carried` of them are stacked.
std::vector<mlir::Type> unsizedResults(mlir::func::FuncOp function, size_t skipped, size_t carried);

/// The bool that a value holds, if it is known.
std::optional<bool> knownBool(Value value);

/// The first dim moved to where it is dim `axis`.
Result<Value> firstDimTo(const NodeImport &view, Value x, int64_t axis);

/// What a Scan stacked, along its axis and from its end.
Result<Value> layOut(const NodeImport &view, Value stacked, const LoopParts::Along &along);

/// x with a dim of size 1 more.
Result<Value> withUnitDim(const NodeImport &view, Value x, size_t axis);
/// Tensors of equal dims along a first dim.
Result<Value> stack(const NodeImport &view, const std::vector<Value> &items);

/// The error of a loop that does more with a sequence.
Status onlyAppends();

/// Whether SequenceImport.cpp knows the operator.
bool isSequenceOperator(const NodeProto &node);

class ModelImport {
public:
  ModelImport(ImportState &state, const ModelProto &model, const ImportOptions &options, const std::string &label)
      : state(state), model(model), options(options), unsupported(label) {}

  Status run();

private:
  // names
  std::string labelOf(const NodeProto &node, const std::string &prefix) const;
  std::string contextOf(const NodeProto &node, const Scope &scope) const;
  int64_t opsetOf(std::string_view domain, const std::vector<OpsetImport> &opsets) const;
  const FunctionProto *functionOf(const NodeProto &node) const;
  bool isControlFlow(const NodeProto &node) const {
    return node.domain.empty() && (node.opType == "If" || node.opType == "Loop" || node.opType == "Scan") &&
           !functionOf(node);
  }
  bool isSequence(const NodeProto &node) const { return isSequenceOperator(node) && !functionOf(node); }
  bool isConstant(const NodeProto &node) const {
    return node.opType == "Constant" && node.domain.empty() && !functionOf(node);
  }

  // what is not supported
  Result<size_t> scan(const std::vector<NodeProto> &nodes, const std::vector<OpsetImport> &opsets,
                      const std::string &prefix, unsigned depth);
  Result<size_t> scanFunction(const FunctionProto &function, const std::string &prefix, unsigned depth);

  // order
  Result<std::vector<size_t>> order(const std::vector<NodeProto> &nodes, const Scope &scope) const;
  Result<std::vector<size_t>> sortByUse(const std::vector<NodeProto> &nodes, const Scope &scope,
                                        const std::unordered_map<std::string_view, size_t> &producers) const;

  // import
  Status importNodes(const std::vector<NodeProto> &nodes, Scope &scope);
  Status importNode(const NodeProto &node, Scope &scope);
  Status convert(Converter converter, const NodeProto &node, Scope &scope, std::vector<Value> operands);
  Status inlineCall(const NodeProto &node, const FunctionProto &function, Scope &scope);
  Result<std::vector<Value>> applyGraph(const NodeProto &node, std::string_view attribute, Scope &scope,
                                        const std::vector<Value> &operands);
  Result<Value> lookup(std::string_view name, Scope &scope);
  Result<Value> capture(std::string_view name, Scope &scope);
  Result<Value> bringIn(Value outside, Frame &frame, unsigned depth);
  Status define(std::string_view name, Value value, Scope &scope);
  Status repeatInitializer(const TensorProto &tensor, Scope &scope);
  Result<std::vector<std::pair<std::string_view, Value>>> extraOutputs(Scope &scope);

  // inputs and outputs of the model
  struct Outputs;
  Result<mlir::func::FuncOp> importInputs(const GraphProto &graph, Scope &scope);
  Status importOutputs(mlir::func::FuncOp function, Scope &scope);
  Status addOutput(const ValueInfoProto &output, const GraphValue &value, Outputs &outputs);
  Result<Value> noItems(const ValueInfoProto &output);

  // control flow
  Status importControlFlow(const NodeProto &node, Scope &scope);
  Status importIf(const NodeProto &node, Scope &scope);
  Result<bool> importTakenBranch(const NodeProto &node, Scope &scope, Value condition);
  Status alignOutput(const NodeProto &node, const Scope &scope, Subgraph &one, Subgraph &other, size_t output,
                     const ValueInfoProto &declared);
  Status stackOutput(const NodeProto &node, const Scope &scope, Subgraph &branch, size_t output, const Dims &item,
                     mlir::Type elementType, const NonTensor &as);
  SizeBridge bridgeTo(Subgraph &branch);
  Value handOver(Subgraph &branch, Value outside);
  Result<Value> noItemsOf(const NodeImport &view, llvm::ArrayRef<int64_t> leading, const Dims &item,
                          mlir::Type elementType);
  Status importLoop(const NodeProto &node, Scope &scope);
  Status importScan(const NodeProto &node, Scope &scope);
  Status importBatch(const NodeProto &node, Scope &scope);
  Result<Value> whileCounted(const NodeProto &node, const LoopParts &loop, size_t output, Value value, Scope &body);
  Status emitLoop(const NodeProto &node, Scope &scope, const LoopParts &parts);
  Result<GraphProto> graphOf(const NodeProto &node, std::string_view attribute, const Scope &scope) const;
  Result<Subgraph> importSubgraph(const NodeProto &node, const GraphProto &graph, std::string_view role, Scope &scope,
                                  const GraphArguments &arguments, const LoopParts *loop = nullptr);
  Result<Scope> innerScope(const NodeProto &node, const std::string &prefix, Scope &scope, Frame *frame);
  Status addInitializers(const GraphProto &graph, Scope &body);
  Status bindSlices(const NodeProto &node, const GraphProto &graph, const LoopParts &loop, Scope &body);
  Result<Value> operandOf(const NodeProto &node, size_t index, Scope &scope);
  Result<Value> scalarOf(Value value, unsigned bits, std::string_view what);
  Status setResultTypes(mlir::Operation *op, llvm::ArrayRef<Subgraph *> callees);
  Status defineResults(const NodeProto &node, Scope &scope, mlir::ValueRange results,
                       llvm::ArrayRef<std::optional<NonTensor>> outputs);

  // sequences and optionals
  Result<std::optional<NonTensor>> lookupNonTensor(std::string_view name, Scope &scope);
  Result<GraphValue> lookupAny(std::string_view name, Scope &scope);
  Status defineAny(std::string_view name, const GraphValue &value, Scope &scope);
  Status defineInput(std::string_view name, const GraphValue &value, Scope &body);
  bool takesNonTensors(const NodeProto &node, const Scope &scope) const;
  Status importSequence(const NodeProto &node, Scope &scope);
  Status mapStacked(const NodeProto &node, Scope &scope, const std::vector<GraphValue> &operands);
  Status importSequenceMap(const NodeProto &node, Scope &scope, const std::vector<GraphValue> &operands);
  Result<bool> unrollLoop(const NodeProto &node, Scope &scope, const LoopParts &parts, std::vector<GraphValue> carried);
  Result<std::vector<GraphValue>> grownSequences(const NodeImport &view, const LoopParts &parts, const Subgraph &body,
                                                 mlir::ValueRange stacks);
  Result<std::optional<std::vector<GraphValue>>> inlineGraph(const NodeProto &node, const GraphProto &graph,
                                                             Scope &scope, const std::string &label,
                                                             const std::vector<GraphValue> &inputs);
  Status skipResults(const NodeProto &node, Scope &scope);

  Status importGraph(const GraphProto &graph);

  ImportState &state;
  const ModelProto &model;
  const ImportOptions &options;
  Unsupported unsupported;
  size_t imported = 0; // nodes, those of graphs that were imported again among them
  unsigned subgraphs = 0;
  bool anyNonTensors = false;                                     // so far
  std::map<const FunctionProto *, std::optional<size_t>> scanned; // how many nodes; nothing: under way
  std::map<std::tuple<std::string_view, std::string_view, std::string_view>, const FunctionProto *> functions;
};

} // namespace kiln::onnx
