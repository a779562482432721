// The state of one compilation: the module on its way through the stages, and all that a stage needs beside it.

#pragma once

#include "codegen/CodegenOracle.h"
#include "compiler/session/BuildProgram.h"
#include "compiler/session/Options.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir {
class Pass;
}

namespace kiln {

class Compilation {
public:
  /// Checks the options and prepares the context.
  static Result<std::unique_ptr<Compilation>> create(CompileOptions options, CompileInput input);
  ~Compilation();

  // --- what the pipeline calls, in this order for each stage
  /// Whether the stage is to be run: it lies after the one that the input is in, and not after the one to stop at.
  bool begin(Stage stage);
  /// Marks the module, checks the stage's legality table and dumps.
  Status end(Stage stage);

  /// Reads the input, a model or IR text. IR text may be at any stage.
  Status read();
  /// Runs one pass over the module.
  Status run(std::unique_ptr<mlir::Pass> pass);
  /// Gives every configured kernel its launches and packed constants (passes/plan/KernelPlan.h).
  Status describeKernels();
  /// Gives host steps their estimated work; counts, warns, and refuses where all is to be compiled.
  Status reportReferenceWork();
  /// Appends the vector-level code of every kernel to the module.
  Status lowerKernels();

  // --- results
  bool stopped() const { return options.stopAfter.has_value(); }
  /// The module's text; derived weights are named as `weightsFile` if that is not empty.
  std::string printModule(const std::string &weightsFile = "");
  /// Bytes of constants that passes computed and the text refers to.
  std::vector<std::byte> derivedWeights() const;
  /// Writes the artifact of a lowered (or planned) module.
  Status writeArtifact(class ByteSink &sink);

  bool interpreted() const { return !target.has_value(); }
  WeightStore &weights();

  CompileOptions options;
  CompileInput input;
  std::optional<TargetInfo> target; ///< none: "interpreter"
  Precision precision = Precision::Default;
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<CodegenOracle> oracle;
  size_t threads = 1;

private:
  Compilation(CompileOptions options, CompileInput input);
  Status prepare();
  Status readText(const std::string &text);
  Status addWeightFiles();
  Status diagnosed(ErrorCode fallback);
  void message(Severity severity, const std::string &text) const;
  bool progress(std::string_view stage, size_t done, size_t total);

  Stage reached = Stage::None;
  std::vector<std::string> errors; // of the context's diagnostics, not yet turned into a Status
};

} // namespace kiln
