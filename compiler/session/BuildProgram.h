// From the `plan` dialect to the runtime's Program: the last step before an artifact.

#pragma once

#include "compiler/session/KernelCompile.h"
#include "dialects/plan/PlanDialect.h"
#include "runtime/base/Recipe.h"
#include "runtime/plan/Program.h"

#include "mlir/IR/BuiltinOps.h"

namespace kiln {

/// What the bytes of a constant of the weights section are made of; of other constants nothing.
struct PackedConstant {
  mlir::Attribute value; ///< #kiln.weight or inline elements
  Recipe recipe;
};

struct BuiltProgram {
  Program program;
  std::vector<PackedConstant> constants; ///< one per Program::constants
  std::vector<KernelJob> kernels;        ///< one per Program::kernels, whose code is not in the program yet
};

/// The name of the nested module that holds a kernel's vector-level code from stage `lowered` on.
std::string kernelCodeName(plan_ir::KernelOp kernel);

/// Reads the one plan.program of `module`. IR that a user wrote may be wrong in any way that the
/// verifier lets through: that is an error. Kernels name their families by name, of `families`. `weightsInFiles`: what
/// lies in a file as it is stays there (Program::files, by the paths that the weight store knows).
Result<BuiltProgram> buildProgram(mlir::ModuleOp module, std::span<const KernelFamily *const> families,
                                  bool weightsInFiles = false);

} // namespace kiln
