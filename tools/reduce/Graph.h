// The module under reduction as a graph that can be cut: every edit works on a copy and leaves a module that stands by
// itself, whose new inputs have the values that were there before.

#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "tools/reduce/Trial.h"

#include <functional>
#include <set>

namespace kiln::reduce {

class Graph {
public:
  /// IR text at stage imported, canonical or optimized, with one value per input; null ones are not known.
  static Result<Graph> parse(mlir::MLIRContext &context, const std::string &text, std::vector<Input> inputs);
  Graph clone() const;
  /// With `numbers`, the text keeps those that traced() gave.
  Subject subject(bool numbers = false) const;

  // --- what there is
  std::vector<mlir::Operation *> ops() const; ///< in order, without constants
  size_t nodeCount() const { return ops().size(); }
  size_t outputCount() const;
  size_t inputCount() const { return inputs.size(); }
  const std::vector<Input> &inputValues() const { return inputs; }
  std::string outputName(size_t index) const;
  std::string opNames() const; ///< "conv, add, relu"
  bool isStatic() const;

  // --- edits, by positions in ops(); false: nothing to do
  /// Numbers all results, and gives a subject that has them all as outputs.
  Subject traced();
  using Values = std::function<std::shared_ptr<const Tensor>(int64_t number)>;
  bool keepOutputs(const std::set<size_t> &kept);
  /// Replaces what the ops [first, last) compute for others by inputs.
  bool cutOut(size_t first, size_t last, const Values &values);
  /// The results of ops before `end` that later ones read become the outputs; the later ones go.
  bool cutAfter(size_t end);
  /// Replaces the result of an op by a value of the same type: its operand, or else an input.
  bool bypass(size_t index, size_t operand);
  /// Replaces the result of an op by a constant.
  bool replaceByConstant(size_t index, const Values &values);
  bool replaceInput(size_t index, size_t by);
  bool inputToConstant(size_t index);
  /// Every size becomes what it is in this run.
  bool makeStatic();
  /// All dims of inputs that are `from` become `to`; their values are cropped.
  bool shrink(int64_t from, int64_t to);
  std::set<int64_t> sizes() const; ///< dims of inputs

private:
  Graph() = default;
  mlir::Operation *function() const;
  mlir::Block &body() const;
  bool addInput(mlir::Value value, std::shared_ptr<const Tensor> data);
  void setOutputs(llvm::ArrayRef<mlir::Value> values, llvm::ArrayRef<std::string> names);
  /// Erases what nothing uses; false when no output is computed any more.
  bool cleanUp();
  void forgetResultTypes();

  mutable mlir::OwningOpRef<mlir::ModuleOp> module; // which gives no access to constant ones
  std::vector<Input> inputs;
};

} // namespace kiln::reduce
