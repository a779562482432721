// FormKernels: regions of ops that one kernel will compute.
//
//   %1 = kiln.matmul %x, %w                       %3 = kiln.kernel %x, %w, %b {family = "matmul"} {
//   %2 = kiln.add %1, %b                  =>      ^bb0(%x, %w, %b):
//   %3 = kiln.relu %2                               matmul, add, relu; kiln.yield
//                                                 }
//
// Greedy and deterministic. Seeds are taken by kind (contractions, windows, reductions, movements, elementwise ops), in
// program order. A group grows by one op at a time while the family of the seed claims the larger group, for no more
// than what the group and the op cost apart (KernelOracle::propose): first consumers (epilogue), then producers
// (prologue). A value of the group that others use too becomes one more output.
// Where a step is not claimed, a few more ops are tried with it, because `x * sigmoid(x)` is one output only when both
// ops are in. What only views its operand (transpose, slice, expand) or widens bytes is copied into a prologue when
// others need it as well. What no family claims stays outside as a host step. Refused are
//   1. groups that would depend on themselves through an op outside;
//   2. groups of more than maxGroupOps ops (code generation is superlinear), and ops of more operands;
//   3. shape arithmetic (few integers), which the host does while it launches;
//   4. reshapes, except between other views in a prologue: they are no work, the host aliases the buffer (SinkReshapes
//      has moved them out of the way);
//   5. ops that tell a size: they return their results;
//   6. slices that show a piece of memory as it lies there, as seeds and in a prologue: they are no work either
//      (Parts.h), and kernels of several parts are one kernel;
//   7. what does not pay: the cosine of a small table, say, in a kernel that would compute it for every head;
//   8. ops of the nodes that `keep-out` names. Without `fuse` no group grows.
//
// Runs after Layout and SinkReshapes, before Configure.
#include "passes/graph/Passes.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/DataSizes.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/GrowingStates.h"
#include "dialects/kiln/HostValues.h"
#include "dialects/kiln/KernelOracle.h"
#include "dialects/kiln/NodeName.h"
#include "dialects/kiln/Parts.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/kiln/Structure.h"
#include "passes/Rewrite.h"
#include "passes/graph/KernelGroups.h"
#include "passes/graph/Quantization.h"

#include "mlir/IR/IRMapping.h"

#include <limits>

namespace kiln {

#define GEN_PASS_DEF_FORMKERNELS
#include "passes/graph/Passes.h.inc"

using llvm::ArrayRef;
using llvm::SmallVector;
using mlir::Operation;
using mlir::Value;

static constexpr size_t maxGroupOps = 64;
/// How many ops past the last claimed state are tried.
static constexpr size_t lookahead = 6;
/// Prices are estimates: what one kernel must cost more than two for the two to be kept.
static constexpr double clearlyMore = 1.1;

static FusionRole roleOf(Operation *op) { return llvm::cast<KilnOpInterface>(op).getFusionRole(); }

static bool mayBeInKernel(Operation *op) {
  auto kilnOp = llvm::dyn_cast<KilnOpInterface>(op);
  if (!kilnOp || op->getNumResults() == 0 || op->getNumOperands() == 0 || op->getNumOperands() > maxGroupOps ||
      op->getNumRegions() != 0)
    return false;
  FusionRole role = kilnOp.getFusionRole();
  if (role == FusionRole::View || role == FusionRole::Source || role == FusionRole::Structure)
    return false;
  return !isSizeArithmetic(op) && !isAppend(op);
}

/// Whether all who read wider bytes may read the bytes instead, and widen them as they do.
static bool isWidenedByReaders(Operation *op) {
  return widensBytes(op) && llvm::all_of(op->getUsers(), [](Operation *user) {
           if (!llvm::isa<KilnOpInterface>(user) || user->getNumRegions() != 0)
             return false;
           FusionRole role = roleOf(user);
           return isWidenedByReaders(user) ||
                  (!widensBytes(user) && (role == FusionRole::Elementwise || role == FusionRole::Contraction ||
                                          role == FusionRole::Reduction || role == FusionRole::Movement));
         });
}

/// Moves elements of its one operand and computes nothing, or next to nothing: cheaper read through than stored.
static bool mayBeCopied(Operation *op) {
  if (widensBytes(op))
    return true;
  const OpInfo *info = findOp(mnemonicOf(op));
  return info && info->stridedView && op->getNumOperands() == 1;
}

namespace {

class Former {
public:
  Former(mlir::Block &block, KernelOracle &oracle, const SizeTable &sizes, bool fuse, ArrayRef<std::string> keepOut)
      : graph(block), oracle(oracle), sizes(sizes),
        hasSizesFromData(llvm::any_of(sizes.symbols(), [](auto &symbol) { return symbol.dataDependent; })), fuse(fuse),
        keepOut(keepOut) {}
  void run();

private:
  using Group = KernelGraph::Group;

  void formAt(Operation *seed);
  bool growConsumers(Group &group, llvm::StringRef family);
  bool growProducers(Group &group, llvm::StringRef family);
  /// Adds `op` and, if need be, a few of its consumers; true when the family claims the result, which `group` then is.
  bool tryAdd(Group &group, Operation *op, llvm::StringRef family, bool asProducer);
  /// Whether `family` would run the group as one kernel; sets the group's price.
  bool claimed(Group &group, llvm::StringRef family);
  std::vector<Implementation> propose(const Group &group) {
    return oracle.propose(graph.members(group), graph.outputs(group), sizes);
  }
  /// Seconds of an op as a kernel of its own; none where it is no work.
  double apart(Operation *op);
  /// `group` without the reshapes at its border.
  Group peeled(Group group) const;
  SmallVector<Operation *> consumers(const Group &group) const;
  SmallVector<std::pair<Operation *, bool>> producers(const Group &group) const;

  bool mayJoin(Operation *op) const {
    return mayBeInKernel(op) && !(hasSizesFromData && tellsSize(op, sizes)) &&
           (keepOut.empty() || !llvm::is_contained(keepOut, nodeName(op->getLoc())));
  }

  KernelGraph graph;
  KernelOracle &oracle;
  const SizeTable &sizes;
  bool hasSizesFromData;
  bool fuse;
  ArrayRef<std::string> keepOut;
  llvm::DenseSet<Operation *> refused; // during the growth of one group
  llvm::DenseMap<Operation *, double> priceApart;
};

} // namespace

bool Former::claimed(Group &group, llvm::StringRef family) {
  std::vector<Implementation> all = propose(group);
  if (all.empty() || all[0].family != family)
    return false;
  group.seconds = all[0].seconds;
  return true;
}

double Former::apart(Operation *op) {
  auto [it, isNew] = priceApart.try_emplace(op, 0);
  if (isNew && !isView(op)) {
    SmallVector<Value> results(op->getResults());
    std::vector<Implementation> all = oracle.propose(op, results, sizes);
    // A host step is anything but cheap.
    it->second = all.empty() ? std::numeric_limits<double>::infinity() : all[0].seconds;
  }
  return it->second;
}

/// Ungrouped ops that read a value of the group and could be computed with it, in program order.
SmallVector<Operation *> Former::consumers(const Group &group) const {
  llvm::SetVector<Operation *> found;
  for (Operation *op : group.owned)
    for (Operation *user : op->getUsers())
      if (!graph.isGrouped(user) && !group.contains(user) && !refused.contains(user) && mayJoin(user) &&
          (!isWidenedByReaders(user) || widensBytes(group.anchor))) {
        FusionRole role = roleOf(user);
        if (role == FusionRole::Elementwise || role == FusionRole::Movement)
          found.insert(user);
      }
  return graph.sorted(found.getArrayRef());
}

/// Ungrouped ops that compute an operand of the group, latest first, and whether each would be copied.
SmallVector<std::pair<Operation *, bool>> Former::producers(const Group &group) const {
  llvm::SetVector<Operation *> found;
  bool viewsInside = roleOf(group.anchor) == FusionRole::Contraction;
  // A kernel that is formed stores what it stores: a copy of one of its ops reads no more of it.
  auto readsStored = [&](Operation *op) {
    return llvm::all_of(op->getOperands(), [&](Value operand) { return graph.isStored(operand); });
  };
  // What widens bytes is never made for others.
  auto isInside = [&](Operation *op) {
    return llvm::all_of(op->getUsers(), [&](Operation *user) {
      return widensBytes(op) ? group.owned.contains(user) : group.contains(user);
    });
  };
  for (Operation *op : graph.members(group))
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (!producer || producer->getBlock() != &graph.body() || group.contains(producer) ||
          refused.contains(producer) || !(mayJoin(producer) || (viewsInside && isView(producer))) ||
          partOffset(producer))
        continue;
      FusionRole role = roleOf(producer);
      if (role != FusionRole::Elementwise && role != FusionRole::Movement && role != FusionRole::View)
        continue;
      bool isFree = !graph.isGrouped(producer);
      if (isFree ? mayBeCopied(producer) || isInside(producer) : mayBeCopied(producer) && readsStored(producer))
        found.insert(producer);
    }
  SmallVector<std::pair<Operation *, bool>> out;
  auto inOrder = graph.sorted(found.getArrayRef());
  for (Operation *op : llvm::reverse(inOrder)) {
    out.push_back({op, !isInside(op) || graph.isGrouped(op)});
  }
  return out;
}

bool Former::tryAdd(Group &group, Operation *op, llvm::StringRef family, bool copied) {
  Group trial = group;
  if (copied)
    trial.copied.insert(op);
  else
    trial.owned.insert(op);
  SmallVector<Operation *> added{op};
  for (size_t extra = 0; extra <= lookahead; ++extra) {
    if (trial.size() > maxGroupOps || graph.dependsOnItself(trial))
      return false;
    if (claimed(trial, family)) {
      double seconds = group.seconds;
      for (Operation *one : added)
        seconds += apart(one);
      if (trial.seconds > clearlyMore * seconds || !takeFuel(op, "FormKernels"))
        return false;
      group = std::move(trial);
      return true;
    }
    if (copied)
      return false;
    // The next op that reads what was just added; elementwise only, to keep the search short.
    Operation *next = nullptr;
    for (Operation *user : consumers(trial))
      if (!next && roleOf(user) == FusionRole::Elementwise && llvm::any_of(user->getOperands(), [&](Value operand) {
            Operation *producer = operand.getDefiningOp();
            return producer && trial.owned.contains(producer) && !group.owned.contains(producer);
          }))
        next = user;
    if (!next)
      return false;
    trial.owned.insert(next);
    added.push_back(next);
  }
  return false;
}

bool Former::growConsumers(Group &group, llvm::StringRef family) {
  bool grew = false;
  while (true) {
    SmallVector<Operation *> candidates = consumers(group);
    if (candidates.empty())
      return grew;
    if (tryAdd(group, candidates.front(), family, /*copied=*/false))
      grew = true;
    else
      refused.insert(candidates.front());
  }
}

bool Former::growProducers(Group &group, llvm::StringRef family) {
  bool grew = false;
  while (true) {
    auto candidates = producers(group);
    if (candidates.empty())
      return grew;
    auto [op, copied] = candidates.front();
    if (tryAdd(group, op, family, copied))
      grew = true;
    else
      refused.insert(op);
  }
}

void Former::formAt(Operation *seed) {
  if (partOffset(seed)) {
    if (takeFuel(seed, "FormKernels"))
      seed->setAttr(partAttrName, mlir::UnitAttr::get(seed->getContext()));
    return;
  }
  Group group;
  group.owned.insert(seed);
  group.anchor = seed;
  std::vector<Implementation> alone = propose(group);
  if (alone.empty() || !takeFuel(seed, "FormKernels"))
    return;
  group.family = alone[0].family;
  group.seconds = alone[0].seconds;
  // What was refused may fit once the group has grown on the other side.
  if (fuse)
    do
      refused.clear();
    while (growConsumers(group, group.family) | growProducers(group, group.family));
  // Reshapes at the border are the host's, unless the family needs them to see how the dims on both sides relate.
  Group smaller = peeled(group);
  if (smaller.size() != group.size() && claimed(smaller, group.family))
    group = std::move(smaller);
  graph.commit(std::move(group));
}

Former::Group Former::peeled(Group group) const {
  for (bool changed = true; changed;) {
    changed = false;
    for (Operation *op : graph.members(group))
      if (isView(op) && !group.contains(op->getOperand(0).getDefiningOp())) {
        group.owned.remove(op);
        group.copied.remove(op);
        changed = true;
      }
  }
  return group;
}

void Former::run() {
  static constexpr FusionRole order[] = {FusionRole::Contraction, FusionRole::Window, FusionRole::Reduction,
                                         FusionRole::Movement, FusionRole::Elementwise};
  for (bool widening : {false, true}) // bytes are widened alone where no reader took that over
    for (FusionRole role : order)
      for (Operation *op : graph.ops())
        if (!graph.isGrouped(op) && mayJoin(op) && roleOf(op) == role && isWidenedByReaders(op) == widening &&
            graph.isRead(op))
          formAt(op);
  graph.materialize(oracle);
}

namespace {
struct FormKernels : impl::FormKernelsBase<FormKernels> {
  using FormKernelsBase::FormKernelsBase;
  void runOnOperation() override {
    auto *dialect = getContext().getLoadedDialect<KilnDialect>();
    if (!dialect || !dialect->oracle)
      return;
    Result<SizeTable> sizes = SizeTable::read(getOperation());
    if (!sizes.ok()) {
      emitError(getOperation().getLoc(), sizes.status());
      return signalPassFailure();
    }
    std::vector<std::string> nodes(keepOut.begin(), keepOut.end());
    for (mlir::Block &block : getOperation().getBody())
      Former(block, *dialect->oracle, *sizes, fuse, nodes).run();
  }
};
} // namespace

} // namespace kiln
