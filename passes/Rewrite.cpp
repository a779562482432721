#include "passes/Rewrite.h"

#include "dialects/kiln/Dialect.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace kiln {

namespace {

/// A pattern's name without its namespaces.
StringRef nameOf(const Pattern &pattern) {
  StringRef name = pattern.getDebugName();
  size_t colons = name.rfind("::");
  return colons == StringRef::npos ? name : name.substr(colons + 2);
}

/// Counts how often each pattern succeeded, and notes the last success.
class PatternCounter : public RewriterBase::Listener {
public:
  explicit PatternCounter(RewriteBudget &budget) : budget(budget) {}

  void notifyPatternBegin(const Pattern &, Operation *op) override { place = op->getLoc(); }
  void notifyPatternEnd(const Pattern &pattern, LogicalResult status) override {
    if (succeeded(status)) {
      ++hits[nameOf(pattern)];
      ++count;
      budget.last = nameOf(pattern);
      budget.lastPlace = place;
    }
  }
  int64_t total() const { return count; }

  std::string worst() const {
    SmallVector<std::pair<int64_t, StringRef>> sorted;
    for (auto [name, count] : hits)
      sorted.push_back({count, name});
    llvm::sort(sorted, std::greater<>());
    std::string text;
    for (auto [count, name] : ArrayRef(sorted).take_front(3))
      text += (text.empty() ? "" : ", ") + name.str() + " (" + std::to_string(count) + ")";
    return text.empty() ? "none" : text;
  }

private:
  RewriteBudget &budget;
  std::optional<Location> place; // of the op under rewrite, which may be gone at the end
  llvm::MapVector<StringRef, int64_t> hits;
  int64_t count = 0;
};

RewriteBudget &budgetOf(MLIRContext *context) { return context->getOrLoadDialect<KilnDialect>()->rewrites; }

} // namespace

bool hasFuel(MLIRContext *context) {
  RewriteBudget &budget = budgetOf(context);
  return budget.limit < 0 || budget.used < budget.limit;
}

bool takeFuel(Operation *op, StringRef what) {
  if (!hasFuel(op->getContext()))
    return false;
  RewriteBudget &budget = budgetOf(op->getContext());
  ++budget.used;
  budget.last = what;
  budget.lastPlace = op->getLoc();
  return true;
}

LogicalResult runPatterns(Operation *root, RewritePatternSet patterns, StringRef passName) {
  constexpr int64_t rewritesPerOp = 16, extraRewrites = 1000, rounds = 100;
  int64_t ops = 0;
  root->walk([&](Operation *) { ++ops; });
  int64_t cap = rewritesPerOp * ops + extraRewrites;

  RewriteBudget &budget = budgetOf(root->getContext());
  PatternCounter counter(budget);
  FrozenRewritePatternSet frozen(std::move(patterns));
  // One iteration at a time: the driver's own limit counts rewrites within an iteration only.
  for (int64_t round = 0; round < rounds; ++round) {
    int64_t fuel = budget.limit < 0 ? cap : std::min(cap, budget.limit - budget.used);
    if (fuel <= 0)
      return success(); // out of fuel
    GreedyRewriteConfig config;
    config.useTopDownTraversal = true;
    config.enableRegionSimplification = GreedySimplifyRegionLevel::Disabled;
    config.maxIterations = 1;
    config.maxNumRewrites = fuel;
    config.listener = &counter;
    int64_t before = counter.total();
    bool changed = false;
    (void)applyPatternsAndFoldGreedily(root, frozen, config, &changed);
    int64_t done = counter.total() - before;
    budget.used += done;
    cap -= done;
    if (!changed || (done == 0 && round > 0))
      return success();
    if (cap <= 0)
      break;
  }
  return root->emitError() << passName << " did not reach a fixed point; most frequent rewrites: " << counter.worst()
                           << " [KILN-E0906]";
}

} // namespace kiln
