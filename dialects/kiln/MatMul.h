#pragma once

#include "dialects/kiln/Dialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h" // operands that may be absent
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/kiln/MatMul.h.inc"
