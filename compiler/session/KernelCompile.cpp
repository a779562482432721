#include "compiler/session/KernelCompile.h"

#include "compiler/session/Diagnostics.h"
#include "compiler/session/Parallel.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <mutex>

using namespace kiln;

namespace {

/// Runs fn(i, context) for every kernel, each thread with a context of its own.
template <typename Fn> Status forEachKernel(size_t count, size_t threads, const Backend &backend, Fn fn) {
  std::vector<std::unique_ptr<mlir::MLIRContext>> contexts(threads);
  return parallelFor(count, threads, [&](size_t i, size_t worker) -> Status {
    if (!contexts[worker])
      contexts[worker] = backend.makeContext();
    return fn(i, *contexts[worker]);
  });
}

/// Reports in order while several threads finish kernels.
class Reports {
public:
  Reports(const KernelProgress &progress, size_t total) : progress(progress), total(total) {}

  /// Asks whether to go on.
  Status poll() { return add(0); }
  Status finished() { return add(1); }

private:
  Status add(size_t kernels) {
    std::lock_guard lock(mutex);
    done += kernels;
    return progress ? progress(done, total) : Status::success();
  }

  const KernelProgress &progress;
  size_t total, done = 0;
  std::mutex mutex;
};

Result<Emission> emissionOf(const KernelJob &kernel, const BackendTarget &target, mlir::MLIRContext &context) {
  Result<Emission> emission = target.backend->emit(*kernel.family, kernel.problem, kernel.config, target.info, context);
  if (emission.ok() && !kernel.code.empty()) {
    DiagnosticCollector diagnostics(context, "");
    emission->module = mlir::parseSourceString<mlir::ModuleOp>(kernel.code, &context);
    KILN_TRY(diagnostics.take(ErrorCode::E0312));
  }
  if (emission.ok())
    return emission;
  return emission.status().withContext("family " + std::string(kernel.family->name()) + ", problem \"" +
                                       kernel.problem.print() + "\": ");
}

} // namespace

Result<std::vector<CompiledKernel>> kiln::compileKernels(std::span<const KernelJob> kernels,
                                                         const BackendTarget &target, size_t threads, bool keepTexts,
                                                         const KernelProgress &progress) {
  std::vector<CompiledKernel> result(kernels.size());
  Reports reports(progress, kernels.size());
  KILN_TRY(forEachKernel(kernels.size(), threads, *target.backend, [&](size_t i, mlir::MLIRContext &context) -> Status {
    KILN_TRY(reports.poll());
    KILN_ASSIGN(Emission emission, emissionOf(kernels[i], target, context));
    KILN_TRY(reports.poll());
    KernelTexts texts;
    if (keepTexts) {
      llvm::raw_string_ostream(result[i].code) << **emission.module;
      texts = {&result[i].llvmIr, &result[i].assembly};
    }
    Result<KernelImage> image = target.backend->compile(emission, target.info, texts);
    if (!image.ok())
      return image.status().withContext("problem \"" + kernels[i].problem.print() + "\": ");
    result[i].image = std::move(*image);
    return reports.finished();
  }));
  return result;
}
