// What a family emits for one problem: functions of the kernel ABI at scf/vector/memref/llvm level, one for each launch
// of the kernel's interface, by its name.
#pragma once

#include "runtime/base/KernelInterface.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace kiln {

struct Emission {
  KernelInterface interface;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

} // namespace kiln
