// Lowering of an emitted module to LLVM IR, and of LLVM IR to an object file in memory.
#pragma once

#include "codegen/Backend.h"
#include "runtime/base/Status.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace kiln::cpu {

// A context that holds exactly the dialects an Emitter uses, single-threaded. One per compiling thread.
std::unique_ptr<mlir::MLIRContext> makeContext();
// Adds the same dialects to another context, which can then read and print kernels.
void loadKernelDialects(mlir::MLIRContext &context);

// scf + vector + arith + math + cf -> llvm dialect, in place, by one conversion.
Status lowerToLLVMDialect(mlir::ModuleOp module);

// llvm dialect -> LLVM IR, word for word.
Result<std::unique_ptr<llvm::Module>> translateModule(mlir::ModuleOp module, llvm::LLVMContext &context);

// Sets the target up and runs a short fixed pipeline: nothing in it recognises library calls, unrolls or vectorises,
// since families have already decided that. None of it at the least effort.
Result<std::unique_ptr<llvm::Module>> optimizeForTarget(std::unique_ptr<llvm::Module> module, const TargetInfo &target,
                                                        LlvmEffort effort = LlvmEffort::Normal);

// LLVM IR -> relocatable ELF object; with `assembly` not null its text too.
Result<std::vector<char>> emitObject(llvm::Module &module, const TargetInfo &target, std::string *assembly = nullptr,
                                     LlvmEffort effort = LlvmEffort::Normal);

} // namespace kiln::cpu
