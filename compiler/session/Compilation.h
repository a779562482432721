// The state of one compilation: the module on its way through the stages, and all that a stage
// needs beside it.

#pragma once

#include "codegen/CodegenOracle.h"
#include "compiler/import/BoundConstants.h"
#include "compiler/session/BuildProgram.h"
#include "compiler/session/Diagnostics.h"
#include "compiler/session/Options.h"
#include "compiler/session/Without.h"
#include "runtime/plan/Artifact.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <mutex>
#include <set>

namespace mlir {
class Pass;
}

namespace kiln {

class MappedFile;
class WeightStore;

class Compilation {
public:
  /// Checks the options and prepares the context.
  static Result<std::unique_ptr<Compilation>> create(CompileOptions options, std::vector<CompileInput> inputs);
  ~Compilation();

  // --- what the pipeline calls, in this order for each stage
  /// Reads the inputs: models, which are then at stage `imported`, or IR text, which says its stage. Several become one
  /// module with a public function each.
  Status read();
  /// Whether the stage is to be run: it lies after the one that the module is in, and not after the
  /// one to stop at.
  bool begin(Stage stage);
  /// Marks the module, checks the stage's legality table and dumps.
  Status end(Stage stage);
  /// Runs one pass over the module.
  Status run(std::unique_ptr<mlir::Pass> pass);
  /// Refuses kernels that the target cannot run, which IR text may hold.
  Status refuseKernelsOfInterpreter();
  /// Whether functions call functions.
  bool holdsControlFlow();
  /// How many sizes only a run would tell.
  size_t countSizesFromData();
  /// Remembers the model's floating-point work, of which later reports are shares.
  void countModelWork();
  /// Notes the estimated work of host steps; warns of what runs on reference kernels, or refuses it. Arithmetic on
  /// sizes does not count: it belongs on the host.
  Status reportReferenceWork();
  /// Warns of nodes to be kept out of kernels (--without kernel:NODE) of which no op is left.
  void reportKeptOut();
  /// Says how many rewrites the passes did and which was the last, where there is a limit.
  void reportRewrites();
  /// Adds the vector-level code of every kernel to the module, where somebody wants to see it.
  Status showKernels();

  // --- results
  bool stopped() const { return options.stopAfter.has_value(); }
  /// The module's text; derived weights are named as `weightsFile` if that is not empty.
  std::string printModule(const std::string &weightsFile = "");
  /// Whether the module refers to constants that passes computed.
  bool hasDerivedWeights();
  /// Writes these constants, in the form that IR text named after `path` refers to.
  Status writeDerivedWeights(const std::string &path);
  /// Compiles the kernels of a planned module and writes the artifact. `folder`: where it will lie; empty: in memory.
  Status writeArtifact(ByteSink &sink, const std::string &folder);

  bool interpreted() const { return !target.has_value(); }
  /// The kernel families of the target; none when interpreted.
  std::span<const KernelFamily *const> families() const {
    return oracle ? oracle->families() : std::span<const KernelFamily *const>();
  }
  WeightStore &weights();

  CompileOptions options;
  std::vector<CompileInput> inputs;
  std::optional<BackendTarget> target; ///< none: "interpreter"
  Precision precision = Precision::Default;
  Without without;
  BoundConstants bound;
  mlir::MLIRContext context;
  std::unique_ptr<CodegenOracle> oracle; // outlives the module, which may ask it
  mlir::OwningOpRef<mlir::ModuleOp> module;
  size_t threads = 1;

private:
  Compilation(CompileOptions options, std::vector<CompileInput> inputs);
  Status prepare();
  /// The bytes of the input, which the module may go on referring to.
  struct Source {
    std::span<const std::byte> bytes;
    std::shared_ptr<const MappedFile> file; // that holds them; null: the caller
    std::string directory;                  // of files that the input names; empty: none are allowed
  };
  /// Refuses options that cannot act on IR that is past their stage.
  Status checkStageOptions() const;
  /// Reads `input` into `module`.
  Status readInput();
  /// Of `input`: what is said of all models, and of ENTRY:NAME.
  ShapeOverrides shapesOfInput() const;
  Result<std::vector<std::string>> extraOutputsOfInput() const;
  /// The names of the models' files.
  std::string label() const;
  Status readText(const Source &source);
  Status readOnnx(const Source &source);
  Status openWeightFiles();
  /// Removes the files that an earlier dump into the same directory wrote of kernels and of stages after `read`, and
  /// no other file.
  Status removeOldDump(Stage read);
  static std::string dumpName(Stage stage); // "02-canonical.mlir"
  Status dump(const std::string &name, const std::string &text);
  Status dumpKernels(const BuiltProgram &built, std::span<const CompiledKernel> kernels);
  void message(Severity severity, const std::string &text) const;
  /// Reports; an error when the caller wants to stop. From any thread.
  Status progress(std::string_view stage, size_t done, size_t total);

  Stage reached = Stage::None;
  Stage current = Stage::Imported; // under way, for reports
  std::mutex progressMutex;
  double modelFlops = 0;             // at stage canonical
  CompileInput input;                // that is read, or was last
  std::set<std::string> otherShapes; // said of what is no input of `input`
  DiagnosticCollector diagnostics;
};

} // namespace kiln
