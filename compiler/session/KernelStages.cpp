// What Compilation does to kernels: their launches (stage configured), their share of the work,
// their code as text (stage lowered).

#include "codegen/RegionProblem.h"
#include "codegen/cpu/Lowering.h"
#include "compiler/session/Compilation.h"
#include "dialects/kiln/Build.h"
#include "passes/plan/KernelPlan.h"
#include "passes/plan/Tensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/TypeUtilities.h"

#include <cstdio>
#include <filesystem>

using namespace mlir;
using namespace kiln;

namespace {

Result<KernelJob> jobOf(kiln::KernelOp op, std::span<const KernelFamily *const> families) {
  KernelJob job;
  auto text = [&](StringRef name) { return op->getAttrOfType<StringAttr>(name).getValue(); };
  job.family = findFamily(families, std::string_view(text("family")));
  if (!job.family)
    return makeError(ErrorCode::E0806, "there is no kernel family ", text("family").str());
  KILN_ASSIGN(job.problem, Problem::parse(std::string_view(text("problem"))));
  KILN_ASSIGN(job.config, Attributes::parse(std::string_view(text("config"))));
  return job;
}

/// Families and planning passes do not know each other's kinds of buffers; a new one must be mapped before this
/// compiles.
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"
KernelPlan::Buffer::Kind kindOf(BufferRef::Kind kind) {
  switch (kind) {
  case BufferRef::Kind::Input: return KernelPlan::Buffer::Kind::Input;
  case BufferRef::Kind::Packed: return KernelPlan::Buffer::Kind::Packed;
  case BufferRef::Kind::Output: return KernelPlan::Buffer::Kind::Output;
  case BufferRef::Kind::Workspace: break;
  }
  return KernelPlan::Buffer::Kind::Workspace;
}
#pragma GCC diagnostic pop

/// The plan of one kernel from its emission.
Result<KernelPlan> planOf(const KernelJob &job, const KernelInterface &interface, kiln::KernelOp op) {
  KernelPlan plan;
  for (const Launch &launch : interface.launches) {
    KernelPlan::Launch out;
    for (const BufferRef &buffer : launch.buffers)
      out.buffers.push_back({kindOf(buffer.kind), buffer.index});
    out.sizes = launch.sizes;
    out.grid = launch.grid;
    out.scratch = launch.scratchBytes;
    plan.launches.push_back(std::move(out));
  }
  std::vector<Problem::ValueId> inputs = job.problem.inputs();
  if (inputs.size() != op->getNumOperands() || job.problem.outputs.size() != op->getNumResults())
    return makeError(ErrorCode::E0905, "a kernel differs from its problem ", job.problem.print());
  for (const PackedInput &packed : interface.packed) {
    const Problem::Value &value = job.problem.value(inputs.at(static_cast<size_t>(packed.input)));
    std::vector<int64_t> dims;
    for (const SizeExpr &dim : value.dims)
      dims.push_back(dim.asConstant().value_or(-1));
    KILN_ASSIGN(RecipeType type, recipeType(value.dtype, dims, packed.recipe));
    plan.packed.push_back({packed.input, packed.recipe.print(), printTensorType(type.dtype, type.dims)});
  }
  for (Problem::ValueId id : inputs)
    plan.dims.push_back(job.problem.value(id).dims);
  for (Problem::ValueId id : job.problem.outputs)
    plan.dims.push_back(job.problem.value(id).dims);
  for (const Problem::InPlace &pair : job.problem.inPlace)
    plan.inPlace.push_back({pair.output, pair.input});
  plan.workspace = interface.workspaceBytes;
  plan.flops = flops(job.problem);
  plan.bytes = bytes(job.problem);
  return plan;
}

/// Arithmetic on sizes and indices: small integers from small integers, or the dims of a tensor. It is a step of the
/// host by design; no kernel would be faster.
bool isSizeArithmetic(Operation &op) {
  auto place = op.getAttrOfType<StringAttr>(placeAttrName);
  if (!place || place.getValue() != "host")
    return false;
  constexpr int64_t fewElements = 64;
  return isa<ShapeOp>(op) || llvm::all_of(op.getOperandTypes(), [](Type type) {
           auto tensor = dyn_cast<RankedTensorType>(type);
           return !tensor || (isa<IntegerType>(tensor.getElementType()) && tensor.hasStaticShape() &&
                              tensor.getNumElements() <= fewElements);
         });
}

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

Status Compilation::describeKernels() {
  std::vector<KernelJob> jobs;
  std::vector<std::pair<kiln::KernelOp, size_t>> kernels;
  std::map<std::string, size_t> known;
  Status status;
  module->walk([&](kiln::KernelOp op) {
    if (interpreted()) {
      status = kernelsInterpreted();
      return WalkResult::interrupt();
    }
    std::string key;
    for (StringRef name : {"family", "problem", "config"})
      if (auto text = op->getAttrOfType<StringAttr>(name))
        key += text.getValue().str() + '\n';
      else if (status.ok())
        status = makeError(ErrorCode::E0313, "a kernel has no attribute ", name.str());
    if (!status.ok())
      return WalkResult::interrupt();
    auto [it, added] = known.try_emplace(key, jobs.size());
    if (added) {
      Result<KernelJob> job = jobOf(op, families());
      if (!job.ok()) {
        status = job.status();
        return WalkResult::interrupt();
      }
      jobs.push_back(std::move(*job));
    }
    kernels.emplace_back(op, it->second);
    return WalkResult::advance();
  });
  KILN_TRY(status);
  if (jobs.empty())
    return Status::success();
  auto report = [&](size_t done, size_t total) { return progress("configured", done, total); };
  KILN_ASSIGN(std::vector<KernelInterface> interfaces, emitInterfaces(jobs, *target, threads, report));
  for (auto &[op, job] : kernels) {
    KILN_ASSIGN(KernelPlan plan, planOf(jobs[job], interfaces[job], op));
    plan.write(op);
  }
  return Status::success();
}

Status Compilation::reportReferenceWork() {
  double work = 0;
  size_t count = 0;
  std::map<std::pair<std::string, std::string>, ReferenceOps> ops; // by name and element type
  module->walk([&](func::FuncOp function) {
    Result<SizeTable> sizes = SizeTable::read(function);
    for (Operation &op : function.getBody().front()) {
      StringRef mnemonic = mnemonicOf(&op);
      if (mnemonic.empty() || isa<kiln::KernelOp, kiln::ConstantOp, ReshapeOp>(op) || op.getNumOperands() == 0 ||
          op.getNumResults() == 0)
        continue;
      Result<RegionProblem> region =
          problemOf(&op, llvm::SmallVector<Value>(op.getResults()), sizes.ok() ? &*sizes : nullptr, precision);
      if (region.ok()) {
        std::map<std::string, SizeExpr> symbols;
        std::vector<std::string> names = region->problem.symbols();
        for (size_t i = 0; i < names.size(); ++i)
          symbols.emplace(names[i], region->sizes[i]);
        writeWork(&op, flops(region->problem).substitute(symbols), bytes(region->problem).substitute(symbols));
      }
      if (oracle && !isSizeArithmetic(op)) {
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
    return makeError(ErrorCode::E0209, std::filesystem::path(input.path).filename().string(),
                     ": no compiled kernel for ", list, "; docs/kernels.md says which element types have kernels");
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
  cpu::loadKernelDialects(context);
  KILN_ASSIGN(BuiltProgram built, buildProgram(*module, families()));
  auto names = module->getOps<plan_ir::KernelOp>().begin();
  for (const KernelJob &job : built.kernels) {
    KILN_ASSIGN(Emission emission, job.family->emit(job.problem, job.config, *target, context));
    emission.module->setSymName(kernelCodeName(*names));
    module->push_back(emission.module.release());
    ++names;
  }
  return Status::success();
}
