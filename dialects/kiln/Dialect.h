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
} // namespace kiln

#include "dialects/kiln/KilnInterfaces.h.inc"

#include "dialects/kiln/KilnDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/kiln/KilnAttributes.h.inc"
