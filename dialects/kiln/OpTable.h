// The op definitions as plain data: operand counts, attributes with kinds and defaults, names elsewhere. Generated from
// the .td files; needs no MLIR.
#pragma once

#include "dialects/kiln/FusionRole.h"
#include "runtime/base/Attributes.h"
#include "runtime/base/DType.h"

#include <span>
#include <string_view>

namespace kiln {

class SizeExpr;
struct OpSizes;
/// Floating-point operations of an op, over the sizes of its operands and result (Flops.h).
using FlopFormula = SizeExpr (*)(const OpSizes &);

struct AttributeInfo {
  enum class Kind { Int, Float, String, Ints, Floats };
  std::string_view name;
  Kind kind;
  bool required;
  // The default by kind; that of lists is the empty list.
  int64_t intDefault = 0;
  double floatDefault = 0;
  std::string_view stringDefault = {};

  Attribute defaultValue() const;
};

/// What code generation asks about the scalar body of an elementwise op; the body itself is codegen/ScalarBodies.inc.
struct ScalarBody {
  enum class Types { None, Any, Numbers, Floats, Integers, Bool };
  Types types = Types::None;
  int cost = 0; ///< instructions per vector, roughly
  /// The scalar functions that the body calls; `functionsIf` when the attribute `flag` is set.
  std::string_view flag = {};
  std::span<const std::string_view> functions = {}, functionsIf = {};

  /// Whether the op is defined where the first operand is of this type.
  bool takes(DType dtype) const;
  /// The types it takes in words: "floating-point numbers".
  std::string_view typeNames() const;
  std::span<const std::string_view> calls(const Attributes &attributes) const;
};

struct OpInfo {
  std::string_view name;
  FusionRole role;
  std::string_view onnxName; ///< where the op maps one to one, else empty
  std::string_view atenName;
  int minOperands;
  int maxOperands; ///< -1: any number
  bool structural; ///< exists between passes only: no reference kernel, no import
  bool elementwise;
  /// Gives rows of the first operand's dims one by one, so it may overwrite that operand.
  bool rowwise;
  /// With one operand: its elements under other strides.
  bool stridedView;
  /// Floating-point operations per element of the result, of the first operand for reductions; -1: `flopFormula`.
  int flops;
  FlopFormula flopFormula;
  std::span<const AttributeInfo> attributes; ///< sorted by name
  ScalarBody body;                           ///< of elementwise ops

  const AttributeInfo *findAttribute(std::string_view attribute) const;
};

/// All ops, sorted by name.
std::span<const OpInfo> allOps();
/// The op of that mnemonic ("conv"), or null.
const OpInfo *findOp(std::string_view name);
/// The op that the ONNX operator of the default domain maps to one to one, or null.
const OpInfo *findOpByOnnxName(std::string_view onnxName);

/// Checks names and kinds against the table. Integers stand in for floats (and are converted), attributes equal to
/// their default are dropped.
Result<Attributes> normalizeAttributes(const OpInfo &op, const Attributes &attributes);
/// Every attribute of the op, defaults included: the form that problems, plans and reference kernels use.
Attributes completeAttributes(const OpInfo &op, const Attributes &attributes);

} // namespace kiln
