// What Compilation does to kernels: their share of the work, and their code as text (stage lowered).

#include "codegen/Backend.h"
#include "codegen/RegionProblem.h"
#include "compiler/session/Compilation.h"
#include "dialects/kiln/Build.h"
#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/GrowingStates.h"
#include "dialects/kiln/HostValues.h"
#include "dialects/kiln/Parts.h"
#include "passes/plan/Tensors.h"
#include "runtime/host/HostKernels.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/TypeUtilities.h"

#include <cstdio>
#include <filesystem>

using namespace mlir;
using namespace kiln;

namespace {

/// Ops of one name and element type that run on reference kernels.
struct ReferenceOps {
  size_t count = 0;
  std::string firstNode;
};

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, share > 0 && share < 0.001 ? "%.2g %%" : "%.1f %%", share * 100);
  return text;
}

} // namespace

Status Compilation::reportReferenceWork() {
  double work = 0;
  size_t count = 0;
  std::map<std::pair<std::string, std::string>, ReferenceOps> ops; // by name and element type
  module->walk([&](func::FuncOp function) {
    for (Operation &op : function.getBody().front()) {
      StringRef mnemonic = mnemonicOf(&op);
      if (mnemonic.empty() || isa<kiln::KernelOp, kiln::ConstantOp, ReshapeOp>(op) || isPart(&op) ||
          isControlFlow(&op) || op.getNumOperands() == 0 || op.getNumResults() == 0)
        continue;
      if (std::optional<OpWork> own = workOf(&op))
        writeWork(&op, own->flops, own->bytes);
      if (oracle && !isSizeArithmetic(&op) && !isAppend(&op) &&
          !host::find(std::string_view(mnemonic.data(), mnemonic.size()))) {
        if (llvm::any_of(op.getResultTypes(), [](Type type) { return isa<FloatType>(getElementTypeOrSelf(type)); }))
          work += oracle->flops(&op);
        DType dtype = dtypeOf(getElementTypeOrSelf(op.getOperand(0).getType())).value_or(DType::F32);
        ReferenceOps &group = ops[{mnemonic.str(), std::string(dtypeName(dtype))}];
        if (group.count++ == 0)
          group.firstNode = nodeName(op.getLoc());
        ++count;
      }
    }
  });
  if (interpreted() || ops.empty())
    return Status::success();
  std::string list;
  for (auto &[key, group] : ops) {
    list += (list.empty() ? "" : ", ") + key.first + " x" + std::to_string(group.count) + " (" + key.second;
    if (options.requireCompiled && !group.firstNode.empty())
      list += std::string(group.count > 1 ? ", first" : "") + ", node \"" + group.firstNode + "\"";
    list += ")";
  }
  if (options.requireCompiled)
    return makeError(ErrorCode::E0209, label(), ": no compiled kernel for ", list,
                     "; docs/kernels.md says which element types have kernels");
  std::string share =
      modelFlops > 0 && work > 0 ? ", " + percent(work / modelFlops) + " of the floating-point work," : "";
  message(Severity::Warning, std::to_string(count) + (count == 1 ? " op" : " ops") + share +
                                 (count == 1 ? " runs" : " run") + " on reference kernels: " + list + "; expect " +
                                 (count == 1 ? "it" : "them") + " to be many times slower, see docs/kernels.md");
  return Status::success();
}

Status Compilation::showKernels() {
  bool wanted = options.stopAfter == Stage::Lowered || !options.dumpDirectory.empty();
  if (!wanted || interpreted())
    return Status::success();
  target->backend->loadDialects(context);
  KILN_ASSIGN(BuiltProgram built, buildProgram(*module, families()));
  auto names = module->getOps<plan_ir::KernelOp>().begin();
  for (const KernelJob &job : built.kernels) {
    KILN_ASSIGN(Emission emission, target->backend->emit(*job.family, job.problem, job.config, target->info, context));
    emission.module->setSymName(kernelCodeName(*names));
    module->push_back(emission.module.release());
    ++names;
  }
  return Status::success();
}
