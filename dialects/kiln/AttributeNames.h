// Names of the attributes that functions, arguments and ops carry beside those of their definitions.
#pragma once

#include "llvm/ADT/StringRef.h"

namespace kiln {

/// Of a module: how far it has come (passes/Stages.h).
inline constexpr llvm::StringLiteral stageAttrName = "kiln.stage";

/// Of a function: what is known of its sizes (SizeTable.h), and the sizes that no argument shows (ControlFlow.h).
inline constexpr llvm::StringLiteral sizesAttrName = "kiln.sizes";
inline constexpr llvm::StringLiteral parametersAttrName = "kiln.parameters";

/// Of a function's argument or result: the name of the input or output, or of the state of which it is the value before
/// or after a run.
inline constexpr llvm::StringLiteral nameAttrName = "kiln.name";
inline constexpr llvm::StringLiteral stateAttrName = "kiln.state";

/// Of a host step: its estimated work over the function's symbols.
inline constexpr llvm::StringLiteral flopsAttrName = "kiln.flops";
inline constexpr llvm::StringLiteral bytesAttrName = "kiln.bytes";

} // namespace kiln
