#pragma once

#include "dialects/kiln/Dialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h" // names of several results
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/kiln/Selection.h.inc"
