#include "codegen/harness/KernelHarness.h"

#include "codegen/harness/KernelProgram.h"
#include "codegen/harness/OrderedCpu.h"
#include "codegen/problem/ProblemReference.h"
#include "runtime/exec/ExecutionContext.h"

#include <algorithm>
#include <chrono>

namespace kiln {

struct CompiledProblem::State {
  Problem problem;
  LooseKernel kernel;
  double compileSeconds = 0;

  Result<std::shared_ptr<const LoadedModel>> load(std::span<const TensorView> inputs, Device &device,
                                                  std::optional<Problem::InPlace> shared = std::nullopt) const {
    KILN_ASSIGN(SymbolValues symbols, bindSymbols(problem, inputs));
    return loadKernel(kernel, inputs, symbols, shared, device);
  }
};

CompiledProblem::CompiledProblem(std::unique_ptr<State> state) : state_(std::move(state)) {}
CompiledProblem::CompiledProblem(CompiledProblem &&) noexcept = default;
CompiledProblem::~CompiledProblem() = default;
double CompiledProblem::compileSeconds() const { return state_->compileSeconds; }
size_t CompiledProblem::imageBytes() const { return state_->kernel.code.size(); }

Result<CompiledProblem> CompiledProblem::compile(const KernelFamily &family, const Problem &problem,
                                                 const Config &config, const BackendTarget &target,
                                                 const CodeMaker &makeCode) {
  using Clock = std::chrono::steady_clock;
  auto state = std::make_unique<State>();
  state->problem = problem;
  std::unique_ptr<mlir::MLIRContext> context = target.backend->makeContext();
  auto begin = Clock::now();
  KILN_ASSIGN(Emission emission, target.backend->emit(family, problem, config, target.info, *context));
  KILN_ASSIGN(KernelImage image,
              makeCode ? makeCode(emission, target.info) : target.backend->compile(emission, target.info));
  state->compileSeconds = std::chrono::duration<double>(Clock::now() - begin).count();
  emission.module = {}; // before its context
  Kernel &kernel = state->kernel.kernel;
  kernel.family = family.name();
  kernel.config = config.print();
  kernel.problem = problem.print();
  kernel.interface = std::move(emission.interface);
  kernel.codeBytes = image.bytes.size();
  kernel.entries = std::move(image.entries);
  auto bytes = std::as_bytes(std::span(image.bytes));
  state->kernel.code.assign(bytes.begin(), bytes.end());
  state->kernel.target = target.info.print();
  return CompiledProblem(std::move(state));
}

Result<std::vector<Tensor>> CompiledProblem::run(std::span<const TensorView> inputs, BufferPlacement placement,
                                                 GridOrder order, std::optional<Problem::InPlace> shared) const {
  OrderedCpu cpu(order);
  KILN_ASSIGN(std::shared_ptr<const LoadedModel> model, state_->load(inputs, cpu, shared));
  ExecutionContext context(std::move(model), 1);
  context.setGuardPages(true, placement);
  return context.run(inputs);
}

Result<std::vector<Tensor>> CompiledProblem::runOn(Device &device, std::span<const TensorView> inputs) const {
  KILN_ASSIGN(std::shared_ptr<const LoadedModel> model, state_->load(inputs, device));
  return ExecutionContext(std::move(model), 1).run(inputs);
}

Result<double> CompiledProblem::time(std::span<const TensorView> inputs, int repeats) const {
  KILN_ASSIGN(std::shared_ptr<const LoadedModel> model, state_->load(inputs, cpuDevice()));
  ExecutionContext context(model, 1);
  context.setProfiling(true);
  std::vector<OutputSlot> outputs(model->program().entry().outputs.size());
  int64_t best = INT64_MAX;
  for (int r = 0; r <= repeats; ++r) {
    KILN_TRY(context.run(inputs, outputs));
    for (OutputSlot &output : outputs) // its memory is for the next run
      output.spare = std::move(output.allocated);
    if (r > 0)
      best = std::min(best, context.stepProfiles()[0].nanoseconds);
  }
  return double(best) * 1e-9;
}

} // namespace kiln
