// SetOptLimit: fuel for the passes that follow, so that a pipeline given as text can be bisected.
#include "passes/graph/Passes.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_SETOPTLIMIT
#include "passes/graph/Passes.h.inc"

namespace {
class SetOptLimitPass : public impl::SetOptLimitBase<SetOptLimitPass> {
public:
  using SetOptLimitBase::SetOptLimitBase;
  void runOnOperation() override { getContext().getLoadedDialect<KilnDialect>()->rewrites = {limit}; }
};
} // namespace
} // namespace kiln
