// The dialect, its attributes and the interface that every op implements.
#pragma once

#include "dialects/kiln/ShapeContext.h"
#include "dialects/kiln/SizeTable.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/TensorEncoding.h"

#include <memory>

namespace kiln {
class WeightStore;
class KernelOracle;

/// How many rewrites passes may still do (`--opt-limit`), and how many they did.
struct RewriteBudget {
  int64_t limit = -1; ///< negative: no limit
  int64_t used = 0;
};
} // namespace kiln

#include "dialects/kiln/KilnInterfaces.h.inc"

#include "dialects/kiln/KilnDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/kiln/KilnAttributes.h.inc"
