// What a caller says about the sizes of a model's inputs (`--shape`, `shapes=`), the same for every kind of input file.
#pragma once

#include "dialects/kiln/SizeTable.h"
#include "runtime/base/Status.h"

#include "mlir/IR/BuiltinOps.h"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kiln {

/// Of one dim: a size, a symbol's name, or a range of sizes.
struct SizeRange {
  int64_t low, high;
};
using DimOverride = std::variant<int64_t, std::string, SizeRange>;

/// Input name -> one entry per dim. What is said of a named dim holds for every input that shares the name.
using ShapeOverrides = std::map<std::string, std::vector<DimOverride>>;

/// Reads one input's text and adds it: "x=1x3xHx1..64"; dims are separated by 'x', or by ',' so that a name may contain
/// an x. Nothing after '=' is a scalar.
Status readShape(std::string_view text, ShapeOverrides &shapes);

/// An input as its model declares it; a dim that the model says nothing of is invalid.
struct DeclaredInput {
  std::string name;
  Dims dims;
};
/// Applies the overrides to the inputs' dims: symbols are defined or narrowed in `sizes`. A name that is no input is an
/// error, or goes to `others` where that is set.
Status applyShapes(const ShapeOverrides &shapes, std::vector<DeclaredInput> &inputs, SizeTable &sizes,
                   std::set<std::string> *others = nullptr);
/// The same for the functions of IR text at stage `imported`, whose inner types InferShapes brings up to date.
Status applyShapes(const ShapeOverrides &shapes, mlir::ModuleOp module);

} // namespace kiln
