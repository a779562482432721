// An argument or result of a model's function that is no tensor to the host: what value it belongs to, as the attribute
// `kiln.value` says it, such as {item = 1, items = 3, kind = "sequence", name = "x"}.
#pragma once

#include "mlir/IR/BuiltinAttributes.h"

#include <optional>
#include <string>

namespace kiln {

inline constexpr llvm::StringLiteral valueAttrName = "kiln.value";

struct ValuePart {
  std::string value;                           ///< the name of the input or output
  bool isOptional = false, isSequence = false; ///< both: an optional sequence
  /// Which item of a sequence it is, of how many; `items` 0: it has all of them along its first dim, an optional one or
  /// none, and an optional sequence has another such dim before.
  int64_t item = 0, items = 0;

  mlir::DictionaryAttr attribute(mlir::MLIRContext *context) const;
  /// Nothing of an attribute that is none of these, and of no attribute.
  static std::optional<ValuePart> read(mlir::Attribute attribute);
};

} // namespace kiln
