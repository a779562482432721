// A Problem is one kernel's work as data: the whole fused expression with its sizes, types and alias facts, and nothing
// else of the model (no node names, no graph). It is what families claim, what the tuning cache is keyed by, and what
// reference kernels can run.
//
// Text form, one line, statements separated by "; ", values numbered in order of definition:
//
//   v1 default; %0 = in f32[d0,56,56,64]; %1 = const f32[64,64,1,1]; %2 = conv(%0,%1){strides=[1,1]} f32[d0,56,56,64];
//   %3 = lit f32[] 6.0; %4 = min(%2,%3) f32[d0,56,56,64]; out %4; inplace %4=%0; range d0 1..64
//
// (An op with several results defines them all: `%3,%4 = topk(%0,%1) f32[8,5],i64[8,5]`. `range` states what is known
// of a symbol; an open end is left empty.) parse(print(p)) prints as the same text. In canonical form values are
// numbered by a depth-first walk from the outputs, and symbols are d0, d1, ... in order of first use, so equal work has
// equal text. Nothing here needs LLVM or MLIR.
#pragma once

#include "runtime/base/Attributes.h"
#include "runtime/base/DType.h"
#include "runtime/base/SizeExpr.h"
#include "runtime/base/Status.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kiln {

/// What the numerics table allows (reassociation, contraction, Winograd ...).
enum class Precision { Strict, Default, Fast };

std::string_view precisionName(Precision precision);
std::optional<Precision> parsePrecision(std::string_view name);

struct Problem {
  using ValueId = int;
  /// The id of an optional operand that is absent; `_` in text.
  static constexpr ValueId absent = -1;

  enum class Kind {
    Input,   ///< a buffer that changes from run to run
    Const,   ///< a buffer known at compile time: a family may have it packed
    Result,  ///< computed by `ops[op]`
    Literal, ///< its elements stand in the text
  };

  /// Elements of a literal, row-major: integers (and bool as 0/1) or reals, by the value's type.
  using Literal = std::variant<std::vector<int64_t>, std::vector<double>>;

  struct Value {
    Kind kind = Kind::Input;
    DType dtype = DType::F32;
    std::vector<SizeExpr> dims;
    int op = -1;     ///< Result: index of the defining op
    Literal literal; ///< Literal only

    int64_t rank() const { return static_cast<int64_t>(dims.size()); }
    bool isBuffer() const { return kind == Kind::Input || kind == Kind::Const; }
    /// The single element of a literal as a real number; nothing for any other value.
    std::optional<double> scalar() const;
  };

  struct Op {
    std::string mnemonic; ///< an op of the kiln dialect, e.g. "conv"
    std::vector<ValueId> operands;
    Attributes attributes;
    std::vector<ValueId> results; ///< ids that follow each other

    /// The first one, of most ops the only one.
    ValueId result() const { return results.front(); }
  };

  /// `outputs[output]` may share the buffer of `inputs()[input]`: same element positions are read before they are
  /// written.
  struct InPlace {
    int output = 0;
    int input = 0;
    bool operator==(const InPlace &) const = default;
  };

  /// What is known about a symbol's value; ends that are unknown are absent.
  struct Range {
    std::optional<int64_t> low, high;
    bool operator==(const Range &) const = default;
  };

  Precision precision = Precision::Default;
  std::vector<Value> values;
  std::vector<Op> ops; ///< in topological order; results in increasing order
  std::vector<ValueId> outputs;
  std::vector<InPlace> inPlace;
  std::map<std::string, Range> ranges;

  // Building, in topological order. The result is the new value's id.
  ValueId addInput(DType dtype, std::vector<SizeExpr> dims);
  ValueId addConst(DType dtype, std::vector<SizeExpr> dims);
  ValueId addLiteral(DType dtype, std::vector<SizeExpr> dims, Literal elements);
  /// A rank-0 literal; `value` is rounded to the type.
  ValueId addScalar(DType dtype, double value);
  ValueId addOp(std::string mnemonic, std::vector<ValueId> operands, Attributes attributes, DType dtype,
                std::vector<SizeExpr> dims);
  /// An op with several results; the id of the first one.
  struct Type {
    DType dtype;
    std::vector<SizeExpr> dims;
  };
  ValueId addOp(std::string mnemonic, std::vector<ValueId> operands, Attributes attributes, std::vector<Type> results);
  void addOutput(ValueId value) { outputs.push_back(value); }

  const Value &value(ValueId id) const { return values.at(static_cast<size_t>(id)); }
  /// Whether `id`, which may be absent, is a buffer of that type.
  bool isBufferOf(DType dtype, ValueId id) const {
    return id != absent && value(id).isBuffer() && value(id).dtype == dtype;
  }
  /// The op that computes `id`; null for inputs, constants and literals.
  const Op *producer(ValueId id) const;

  /// The values of kind Input and Const in id order: `Input i` of a launch is `inputs()[i]`.
  std::vector<ValueId> inputs() const;
  /// Where `id`, one of them, stands in inputs().
  int inputIndex(ValueId id) const;
  /// The symbols of all dims, in order of first use: `sizes[i]` of a launch is the value of `symbols()[i]`.
  std::vector<std::string> symbols() const;
  /// How often each value is read by ops; being an output counts once more.
  std::vector<int> useCounts() const;
  /// True when no dim holds a symbol.
  bool isStatic() const;

  /// The text form above.
  std::string print() const;
  /// Reads the text form; verifies what it read.
  static Result<Problem> parse(std::string_view text);
  /// Well-formed: ids in range and topological, ops with results, literals of the right size, in-place pairs of equal
  /// type and dims.
  Status verify() const;

  /// The same work in canonical form. `inputOrder[i]` is the index that new input i had; `symbolMap[k]` is what d<k>
  /// was called.
  struct Canonical;
  Canonical canonical() const;
};

struct Problem::Canonical {
  Problem problem;
  std::vector<int> inputOrder;
  std::vector<std::string> symbolMap;
};

/// Values of a problem's symbols.
using SymbolValues = std::map<std::string, int64_t>;

/// Floating-point operations of one op (dialects/kiln/Flops.h). Of operands (null where absent) and results, types and
/// dims count. The first result stands for all of them.
SizeExpr opFlops(std::string_view mnemonic, const Attributes &attributes,
                 std::span<const Problem::Value *const> operands, const Problem::Value &result);
SizeExpr opFlops(const Problem &problem, const Problem::Op &op);
/// Sum of opFlops.
SizeExpr flops(const Problem &problem);
/// Bytes that must move at least: every input and output once.
SizeExpr bytes(const Problem &problem);

} // namespace kiln
