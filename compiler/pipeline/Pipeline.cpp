#include "compiler/pipeline/Pipeline.h"

#include "passes/graph/Passes.h"
#include "passes/plan/Passes.h"

#include <utility>

using namespace kiln;

Status kiln::runPipeline(Compilation &c) {
  KILN_TRY(c.read());
  // From here on the model's file format is forgotten: there are kiln ops, each under its model
  // node's name, and the file is only looked at for the bytes of weights.
  KILN_TRY(c.run(createSetOptLimit({c.options.rewriteLimit})));

  if (c.begin(Stage::Canonical)) {
    ConstantFoldOptions keepDequantized;
    keepDequantized.keepDequantized = true; // for QuantizedProducts
    KILN_TRY(c.run(createInferShapes()));
    KILN_TRY(c.run(createConstantFold(keepDequantized)));
    if (c.holdsControlFlow()) {
      KILN_TRY(c.run(createLoopInvariantMotion()));
      KILN_TRY(c.run(createSpecialize()));
      KILN_TRY(c.run(createInferShapes()));
      KILN_TRY(c.run(createConstantFold(keepDequantized)));
    }
    // Operands that folding made known tell sizes that seemed to depend on data, and these make more operands known.
    for (size_t unknown = c.countSizesFromData(), before = SIZE_MAX; unknown > 0 && unknown < before;) {
      KILN_TRY(c.run(createInferShapes()));
      KILN_TRY(c.run(createConstantFold(keepDequantized)));
      before = std::exchange(unknown, c.countSizesFromData());
    }
    KILN_TRY(c.run(createStoreGrowingStates()));
    // From here on states that grow have their growing axis first.
    KILN_TRY(c.run(createDeadCode()));
    KILN_TRY(c.run(createCommonSubexpressions()));
    KILN_TRY(c.run(createCastElimination()));
    // Composites are raised from the exporter's spelling, before algebra takes it apart.
    KILN_TRY(c.run(createRaiseLayerNorm()));
    KILN_TRY(c.run(createRaiseGelu()));
    KILN_TRY(c.run(createLowerConvTranspose()));
    KILN_TRY(c.run(createLowerDft()));
    // Before algebra moves scales through products.
    KILN_TRY(c.run(createQuantizedProducts()));
    KILN_TRY(c.run(createQuantizedMovement()));
    KILN_TRY(c.run(createAlgebraicSimplify()));
    // Algebra leaves ops on weights (folded normalisations, reshaped biases); attention is raised
    // from the form it gives to scales and transposes.
    KILN_TRY(c.run(createConstantFold()));
    KILN_TRY(c.run(createRaiseAttention()));
    KILN_TRY(c.run(createCommonSubexpressions()));
    KILN_TRY(c.run(createDeadCode()));
    KILN_TRY(c.end(Stage::Canonical));
  }
  // From here on every dim is an integer or a symbol of the function's size table, and composites
  // are whole.
  c.countModelWork();

  if (c.begin(Stage::Optimized)) {
    if (!c.without("layout"))
      KILN_TRY(c.run(createLayout()));
    // Layout leaves transposes of weights to fold, and shape arithmetic whose result became known.
    KILN_TRY(c.run(createConstantFold()));
    KILN_TRY(c.run(createAlgebraicSimplify()));
    KILN_TRY(c.run(createCommonSubexpressions()));
    KILN_TRY(c.run(createDeadCode()));
    KILN_TRY(c.end(Stage::Optimized));
  }
  // From here on layouts stay as they are: what needs another one says so by a transpose.

  if (c.begin(Stage::Kernels)) {
    KILN_TRY(c.run(createSinkReshapes()));
    c.reportKeptOut();
    if (!c.without("kernels"))
      KILN_TRY(c.run(createFormKernels({!c.without("fusion"), c.without.keptOut()})));
    KILN_TRY(c.reportReferenceWork());
    KILN_TRY(c.end(Stage::Kernels));
  }
  // From here on it is fixed what runs together: a kiln.kernel becomes machine code, any other op a
  // call of its reference kernel.

  if (c.begin(Stage::Configured)) {
    KILN_TRY(c.refuseKernelsOfInterpreter());
    KILN_TRY(c.run(createConfigure()));
    KILN_TRY(c.end(Stage::Configured));
  }
  // From here on problem text, configuration and target alone decide a kernel's code; bodies of
  // kernels are not looked at again.

  if (c.begin(Stage::Planned)) {
    KILN_TRY(c.run(createSplitAtData()));
    // From here on all sizes of a function are known when it is called.
    if (!c.without("scheduling"))
      KILN_TRY(c.run(createSchedule()));
    KILN_TRY(c.run(createBufferize({!c.without("buffer-reuse")})));
    // There are no tensors any more, and no step may move: who overwrites what depends on the order.
    KILN_TRY(c.end(Stage::Planned));
  }
  // From here on the host program is complete; only code and packed weights are missing, and both
  // are made while the artifact is written.

  if (c.begin(Stage::Lowered)) {
    KILN_TRY(c.showKernels());
    KILN_TRY(c.end(Stage::Lowered));
  }
  c.reportRewrites();
  return Status::success();
}
