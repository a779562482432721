// The dialect, its attributes and the interface that every op implements.
#pragma once

#include "dialects/kiln/ShapeContext.h"
#include "dialects/kiln/SizeTable.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/TensorEncoding.h"
#include "runtime/base/Recipe.h"

#include <memory>
#include <optional>
#include <string>

namespace kiln {
class WeightStore;
class KernelOracle;
class BoundReader;

/// How many rewrites passes may still do (`--opt-limit`), and how many they did.
struct RewriteBudget {
  int64_t limit = -1; ///< negative: no limit
  int64_t used = 0;
  std::string last{}; ///< what did the last one, and where
  std::optional<mlir::Location> lastPlace{};
};
} // namespace kiln

#include "dialects/kiln/KilnInterfaces.h.inc"

#include "dialects/kiln/KilnDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/kiln/KilnAttributes.h.inc"
