#include "compiler/session/Compilation.h"

#include "compiler/session/States.h"
#include "compiler/session/TensorSizes.h"
#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/Structure.h"
#include "dialects/kiln/WeightStore.h"
#include "passes/graph/WorkShare.h"
#include "runtime/base/AtomicFile.h"
#include "runtime/device/HostCpu.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

#include <cstdio>
#include <filesystem>

using namespace mlir;
using namespace kiln;

static std::string labelOf(std::span<const CompileInput> inputs) {
  std::string label;
  for (const CompileInput &input : inputs)
    label += (label.empty() ? "" : ", ") + std::filesystem::path(input.path).filename().string();
  return label;
}

std::string Compilation::label() const { return labelOf(inputs); }

Compilation::Compilation(CompileOptions givenOptions, std::vector<CompileInput> givenInputs)
    : options(std::move(givenOptions)), inputs(std::move(givenInputs)), bound(options.bind),
      context(MLIRContext::Threading::DISABLED), diagnostics(context, labelOf(inputs)) {}

Compilation::~Compilation() = default;

Result<std::unique_ptr<Compilation>> Compilation::create(CompileOptions options, std::vector<CompileInput> inputs) {
  std::unique_ptr<Compilation> result(new Compilation(std::move(options), std::move(inputs)));
  KILN_TRY(result->prepare());
  return result;
}

Status Compilation::prepare() {
  threads = options.threads ? options.threads : static_cast<size_t>(availableCpus());
  std::optional<Precision> level = parsePrecision(options.precision);
  if (!level)
    return makeError(ErrorCode::E0701, "precision \"", options.precision, "\" is unknown; use default");
  // The names are reserved; what they would promise is not built.
  if (*level != Precision::Default)
    return makeError(ErrorCode::E0701, "precision \"", options.precision,
                     "\" is not supported yet; only \"default\" is supported so far");
  precision = *level;
  if (options.weights != "embedded" && options.weights != "external")
    return makeError(ErrorCode::E0701, "weights \"", options.weights, "\" is unknown; use embedded or external");
  KILN_ASSIGN(without, Without::parse(options.without));
  context.loadDialect<KilnDialect, func::FuncDialect, plan_ir::PlanDialect>();
  if (options.target == "interpreter")
    return Status::success();

  ChooseOptions choose;
  KILN_ASSIGN(target, findTarget(options.target));
  choose.families = target->backend->families();
  choose.target = target->info;
  choose.seed = options.choiceSeed;
  if (!options.cache.empty()) {
    // A cache can only make kernels faster: without it the defaults are used.
    Result<TuningCache> cache = TuningCache::open(options.cache);
    if (cache.ok())
      choose.cache = std::move(*cache);
    else
      message(Severity::Warning, formatError(cache.status()));
  }
  oracle = std::make_unique<CodegenOracle>(std::move(choose), precision);
  context.getLoadedDialect<KilnDialect>()->oracle = oracle.get();
  return Status::success();
}

bool Compilation::holdsControlFlow() {
  bool holds = false;
  module->walk([&](Operation *op) { holds |= isControlFlow(op); });
  return holds;
}

size_t Compilation::countSizesFromData() {
  size_t count = 0;
  for (auto function : module->getOps<func::FuncOp>())
    if (Result<SizeTable> table = SizeTable::read(function); table.ok())
      count += llvm::count_if(table->symbols(), [](const SizeTable::Symbol &symbol) { return symbol.dataDependent; });
  return count;
}

Status Compilation::refuseKernelsOfInterpreter() {
  bool holdsKernels = false;
  module->walk([&](Operation *op) { holdsKernels |= isa<kiln::KernelOp, plan_ir::KernelOp>(op); });
  if (interpreted() && holdsKernels)
    return makeError(ErrorCode::E0703, "the module holds kernels, which target \"interpreter\" cannot run");
  return Status::success();
}

WeightStore &Compilation::weights() { return context.getLoadedDialect<KilnDialect>()->weights(); }

void Compilation::message(Severity severity, const std::string &text) const {
  if (options.message)
    options.message(severity, text);
}

Status Compilation::progress(std::string_view stage, size_t done, size_t total) {
  std::lock_guard lock(progressMutex);
  return !options.progress || options.progress(stage, done, total) ? Status::success() : interrupted();
}

bool Compilation::begin(Stage stage) {
  if (reached >= stage || (options.stopAfter && stage > *options.stopAfter))
    return false;
  current = stage;
  return true;
}

Status Compilation::end(Stage stage) {
  setStage(*module, stage);
  reached = stage;
  KILN_TRY(checkStage(*module, stage));
  if (stage <= Stage::Canonical) {
    KILN_TRY(checkTensorSizes(*module).withContext(label() + ": "));
    KILN_TRY(checkStates(*module).withContext(label() + ": "));
  }
  KILN_TRY(progress(stageName(stage), 1, 1));
  if (options.dumpDirectory.empty())
    return Status::success();
  std::string name = dumpName(stage);
  if (hasDerivedWeights())
    KILN_TRY(writeDerivedWeights(options.dumpDirectory + "/" + name));
  return dump(name, printModule(name + ".weights"));
}

std::string Compilation::dumpName(Stage stage) {
  char number[8];
  std::snprintf(number, sizeof number, "%02d-", static_cast<int>(stage));
  return number + std::string(stageName(stage)) + ".mlir";
}

Status Compilation::dump(const std::string &name, const std::string &text) {
  std::filesystem::path path = std::filesystem::path(options.dumpDirectory) / name;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error)
    return makeError(ErrorCode::E0106, path.parent_path().string(), ": cannot be made: ", error.message());
  return writeFile(path.string(), std::as_bytes(std::span(text)));
}

Status Compilation::run(std::unique_ptr<Pass> pass) {
  KILN_TRY(progress(stageName(current), 0, 0));
  std::string name = pass->getArgument().str();
  PassManager manager(&context);
  if (pass->getOpName() == func::FuncOp::getOperationName())
    manager.addNestedPass<func::FuncOp>(std::move(pass));
  else
    manager.addPass(std::move(pass));
  bool ok = succeeded(manager.run(*module));
  Status status = diagnostics.take(ErrorCode::E0901);
  if (ok)
    return Status::success();
  return status.ok() ? makeError(ErrorCode::E0901, "pass ", name, " failed") : status;
}

Status Compilation::checkStageOptions() const {
  KILN_TRY(without.checkStage(reached));
  if (options.choiceSeed && reached >= Stage::Configured)
    return makeError(ErrorCode::E0703, "a seed of choices has no effect on IR at stage ", stageName(reached),
                     ", whose kernels are configured");
  return Status::success();
}

void Compilation::reportKeptOut() {
  for (const std::string &node : without.keptOut()) {
    bool found = false;
    module->walk([&](Operation *op) { found |= nodeName(op->getLoc()) == node; });
    if (!found)
      message(Severity::Warning, "without \"kernel:" + node + "\": no op of that node is left to keep out of kernels");
  }
}

void Compilation::reportRewrites() {
  if (options.rewriteLimit < 0)
    return;
  const RewriteBudget &rewrites = context.getLoadedDialect<KilnDialect>()->rewrites;
  std::string text = "rewrites: " + std::to_string(rewrites.used);
  if (rewrites.used > 0)
    text += "; last: " + rewrites.last;
  if (rewrites.used > 0 && rewrites.lastPlace)
    if (std::string node = nodeName(*rewrites.lastPlace); !node.empty())
      text += " at node \"" + node + "\"";
  message(Severity::Note, text);
}

void Compilation::countModelWork() {
  if (oracle)
    modelFlops = countFlops(*module, *oracle);
}
