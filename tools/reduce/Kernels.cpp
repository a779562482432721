#include "tools/reduce/Kernels.h"

#include "codegen/harness/KernelHarness.h"
#include "compiler/pipeline/Pipeline.h"
#include "dialects/kiln/NodeName.h"
#include "dialects/kiln/Ops.h"
#include "dialects/kiln/SizeTable.h"
#include "tools/reduce/Child.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <nlohmann/json.hpp>

namespace kiln::reduce {
namespace {

/// Values of the function's symbols for these inputs.
SymbolValues bindSizes(mlir::func::FuncOp function, const std::vector<Input> &inputs) {
  SymbolValues values;
  for (mlir::BlockArgument argument : function.getArguments()) {
    const std::shared_ptr<const Tensor> &tensor = inputs[argument.getArgNumber()].value;
    for (auto [axis, dim] : llvm::enumerate(getDims(argument)))
      if (auto symbol = dim.asSymbol(); symbol && tensor)
        values[*symbol] = tensor->dims()[axis];
  }
  if (Result<SizeTable> table = SizeTable::read(function); table.ok())
    for (const SizeTable::Symbol &symbol : table->symbols())
      if (symbol.definition)
        if (Result<int64_t> value = symbol.definition->evaluate(values); value.ok())
          values[symbol.name] = *value;
  return values;
}

nlohmann::json describe(mlir::Operation *kernel, const SymbolValues &values) {
  auto text = [&](const char *name) { return kernel->getAttrOfType<mlir::StringAttr>(name).getValue().str(); };
  nlohmann::json entry = {{"family", text("family")}, {"config", text("config")}, {"problem", text("problem")}};
  std::vector<std::string> nodes{nodeName(kernel->getLoc())};
  kernel->getRegion(0).walk([&](mlir::Operation *op) {
    if (std::string name = nodeName(op->getLoc());
        !llvm::isa<YieldOp, ConstantOp>(op) && !llvm::is_contained(nodes, name))
      nodes.push_back(name);
  });
  entry["nodes"] = nodes;
  std::vector<int64_t> sizes;
  for (mlir::Attribute size : kernel->getAttrOfType<mlir::ArrayAttr>("sizes")) {
    Result<SizeExpr> expression = SizeExpr::parse(std::string_view(llvm::cast<mlir::StringAttr>(size).getValue()));
    Result<int64_t> value = expression.ok() ? expression->evaluate(values) : expression.status();
    sizes.push_back(value.ok() ? *value : 1);
  }
  entry["sizes"] = sizes;
  return entry;
}

} // namespace

std::vector<SuspectKernel> kernelsOf(const Subject &subject, const CompileOptions &given, double timeout) {
  ChildResult child = inChild(
      [&](const Say &say) {
        CompileOptions options = given;
        options.stopAfter = Stage::Configured;
        auto c = Compilation::create(options, {{"reduced.mlir", std::as_bytes(std::span(subject.text)), ""}});
        if (!c.ok() || !runPipeline(**c).ok())
          return;
        nlohmann::json list = nlohmann::json::array();
        for (auto function : (*c)->module->getOps<mlir::func::FuncOp>()) {
          SymbolValues values = bindSizes(function, subject.inputs);
          function.walk([&](KernelOp kernel) { list.push_back(describe(kernel, values)); });
        }
        say(list.dump());
      },
      timeout);
  std::vector<SuspectKernel> kernels;
  auto list = nlohmann::json::parse(child.text, nullptr, /*allow_exceptions=*/false);
  if (list.is_array())
    for (const auto &entry : list)
      kernels.push_back({entry["nodes"], entry["family"], entry["config"], entry["problem"], entry["sizes"]});
  return kernels;
}

static std::string check(const SuspectKernel &kernel, const std::string &targetText, const CodeMaker &makeCode) {
  auto run = [&]() -> Status {
    KILN_ASSIGN(Problem problem, Problem::parse(kernel.problem));
    KILN_ASSIGN(Config config, Attributes::parse(kernel.config));
    KILN_ASSIGN(BackendTarget target, findTarget(targetText));
    const KernelFamily *family = findFamily(target.backend->families(), kernel.family);
    if (!family)
      return makeError(ErrorCode::E0806, "there is no kernel family ", kernel.family);
    KILN_ASSIGN(CompiledProblem code, CompiledProblem::compile(*family, problem, config, target, makeCode));
    Exactness exactness = family->exactness(problem, config);
    SymbolValues sizes;
    std::vector<std::string> symbols = problem.symbols();
    for (size_t i = 0; i < symbols.size() && i < kernel.sizes.size(); ++i)
      sizes[symbols[i]] = kernel.sizes[i];
    for (uint64_t seed = 1; seed <= 3; ++seed)
      KILN_TRY(checkAt(code, problem, exactness, sizes, seed));
    return Status();
  };
  Status status = run();
  bool compiled = status.ok() || status.code() != ErrorCode::E0903; // no code of another compiler says nothing
  return status.ok() ? "right" : (compiled ? "wrong: " : "not checked: ") + formatError(status);
}

std::string checkAlone(const SuspectKernel &kernel, const std::string &target, double timeout,
                       const CodeMaker &makeCode) {
  ChildResult child = inChild([&](const Say &say) { say(check(kernel, target, makeCode)); }, timeout);
  switch (child.end) {
  case ChildResult::End::Finished: return child.text;
  case ChildResult::End::Crashed: return "wrong: crash, or an access outside its buffers";
  case ChildResult::End::TimedOut: return "wrong: no end";
  }
  return "";
}

} // namespace kiln::reduce
