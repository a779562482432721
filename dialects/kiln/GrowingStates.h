// States that a run makes longer, such as a cache of keys that every step adds to. Such a state is stored with the axis
// along which it grows before all others (growingAttrName), so that what a run adds lies behind what was there.
#pragma once

#include "dialects/kiln/SizeTable.h"

#include "mlir/IR/Operation.h"

#include <optional>

namespace kiln {

/// Of a function's argument or result that is a state which grows: along which of the model's axes. Its type has that
/// axis first, and the others behind it as they were.
inline constexpr llvm::StringLiteral growingAttrName = "kiln.growing";

/// The axis along which a state grows whose values before and after a run are these two: the only one whose dims are
/// not provably equal, where the former is an open size and the latter is that and more, a concat of it, or what a
/// slice left.
std::optional<unsigned> growingAxis(mlir::Value before, mlir::Value after, const SizeTable &sizes);

/// The permutation by which a transpose brings the model's order of axes into the stored one, and its inverse.
llvm::SmallVector<int64_t> toStoredOrder(size_t axis, size_t rank);
llvm::SmallVector<int64_t> toModelOrder(size_t axis, size_t rank);

/// Whether an op only adds to a growing state: a concat of the stored value before the run, or of what was made so of
/// it, with others, on the way to the value after the run.
bool isAppend(mlir::Operation *op);

} // namespace kiln
