#include "passes/graph/KernelGroups.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/KernelOracle.h"
#include "dialects/kiln/Structure.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

#include <queue>

namespace kiln {

using llvm::SmallVector;
using mlir::Operation;
using mlir::Value;

KernelGraph::KernelGraph(mlir::Block &block) : block(block) {
  for (Operation &op : block) {
    positions[&op] = order.size();
    order.push_back(&op);
  }
  byRank = order;
  ranks = positions;
}

SmallVector<Operation *> KernelGraph::sorted(llvm::ArrayRef<Operation *> ops) const {
  SmallVector<Operation *> out(ops);
  llvm::sort(out, [&](Operation *a, Operation *b) { return position(a) < position(b); });
  return out;
}

SmallVector<Operation *> KernelGraph::members(const Group &group) const {
  SmallVector<Operation *> all(group.owned.getArrayRef());
  all.append(group.copied.begin(), group.copied.end());
  return sorted(all);
}

bool KernelGraph::isReadOutside(Value value, const Group &group) const {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    // The copies of a user read the value where they are without it; its original where somebody reads that.
    auto copies = copiedIn.find(user);
    if (copies != copiedIn.end() &&
        llvm::any_of(copies->second, [&](size_t index) { return !groups[index].contains(value.getDefiningOp()); }))
      return true;
    if (group.owned.contains(user))
      return false;
    if (auto it = groupOf.find(user); it != groupOf.end())
      return !groups[it->second].copied.contains(value.getDefiningOp());
    bool isCopied = group.copied.contains(user) || copies != copiedIn.end();
    return !isCopied || llvm::any_of(user->getResults(), [&](Value result) { return isReadOutside(result, group); });
  });
}

bool KernelGraph::isStored(Value value) const {
  auto it = groupOf.find(value.getDefiningOp());
  return it == groupOf.end() || isReadOutside(value, groups[it->second]);
}

bool KernelGraph::isRead(Operation *op) const {
  return llvm::any_of(op->getResults(), [&](Value result) { return isReadOutside(result, Group()); });
}

SmallVector<Value> KernelGraph::outputs(const Group &group) const {
  SmallVector<Value> out;
  for (Operation *op : sorted(group.owned.getArrayRef()))
    for (Value result : op->getResults())
      if (isReadOutside(result, group))
        out.push_back(result);
  return out;
}

/// Ops after the group that its results lead to, up to rank `last`. True if a way leads back into the group.
bool KernelGraph::follow(const Group &group, unsigned last, llvm::DenseSet<Operation *> &seen) const {
  SmallVector<Operation *> stack;
  auto visitUsers = [&](Operation *op) {
    for (Operation *user : op->getUsers())
      if (rankOf(user) <= last && seen.insert(user).second)
        stack.push_back(user);
  };
  for (Operation *op : group.owned)
    for (Operation *user : op->getUsers())
      if (!group.contains(user) && rankOf(user) <= last && seen.insert(user).second)
        stack.push_back(user);
  while (!stack.empty()) {
    Operation *op = stack.pop_back_val();
    if (group.contains(op))
      return true;
    auto it = groupOf.find(op);
    if (it == groupOf.end()) {
      visitUsers(op);
      continue;
    }
    // A formed group is one step: whoever enters it reaches all its results.
    for (Operation *member : groups[it->second].owned) {
      seen.insert(member);
      visitUsers(member);
    }
  }
  return false;
}

bool KernelGraph::dependsOnItself(const Group &group) const {
  unsigned last = 0; // ranks are topological: what comes later leads to nothing here
  for (Operation *op : group.owned)
    last = std::max(last, rankOf(op));
  llvm::DenseSet<Operation *> seen;
  return follow(group, last, seen);
}

/// Gives the group's ops neighbouring ranks: after what does not depend on it, before what does. Only ranks between its
/// first and last op change (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic graphs").
void KernelGraph::rankTogether(const Group &group) {
  unsigned first = ~0u, last = 0;
  for (Operation *op : group.owned) {
    first = std::min(first, rankOf(op));
    last = std::max(last, rankOf(op));
  }
  if (last - first + 1 == group.owned.size())
    return;
  llvm::DenseSet<Operation *> after;
  follow(group, last, after);
  SmallVector<Operation *> before, members, later;
  for (unsigned rank = first; rank <= last; ++rank) {
    Operation *op = byRank[rank];
    (group.owned.contains(op) ? members : after.contains(op) ? later : before).push_back(op);
  }
  unsigned rank = first;
  for (const SmallVector<Operation *> *part : {&before, &members, &later})
    for (Operation *op : *part) {
      byRank[rank] = op;
      ranks[op] = rank++;
    }
}

void KernelGraph::commit(Group group) {
  rankTogether(group);
  for (Operation *op : group.owned)
    groupOf[op] = groups.size();
  for (Operation *op : group.copied)
    copiedIn[op].push_back(groups.size());
  groups.push_back(std::move(group));
}

//===- rewriting ----------------------------------------------------------------------------===//

/// Reorders the block: a topological order in which the op with the smallest key goes first.
void KernelGraph::schedule(llvm::ArrayRef<std::pair<Operation *, unsigned>> keys) {
  llvm::DenseMap<Operation *, unsigned> waitsFor;
  using Item = std::pair<unsigned, unsigned>; // key, index into keys
  std::priority_queue<Item, std::vector<Item>, std::greater<>> ready;
  llvm::DenseMap<Operation *, unsigned> indexOf;
  for (auto [i, entry] : llvm::enumerate(keys))
    indexOf[entry.first] = i;
  for (auto [op, key] : keys) {
    unsigned count = 0;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp())
        count += indexOf.count(producer);
    waitsFor[op] = count;
    if (count == 0)
      ready.push({key, indexOf[op]});
  }
  Operation *terminator = block.getTerminator();
  while (!ready.empty()) {
    Operation *op = keys[ready.top().second].first;
    ready.pop();
    op->moveBefore(terminator);
    for (Value result : op->getResults())
      for (Operation *user : result.getUsers())
        if (auto it = indexOf.find(user); it != indexOf.end() && --waitsFor[user] == 0)
          ready.push({keys[it->second].second, it->second});
  }
}

void KernelGraph::materialize(KernelOracle &oracle) {
  mlir::OpBuilder builder(block.getParentOp()->getContext());
  std::vector<std::pair<Operation *, unsigned>> keys;
  Operation *terminator = block.getTerminator();
  // What kernels hand out -> their results. An op that its kernel owns reads the former, and so would its copies.
  llvm::DenseMap<Value, Value> stored;

  for (const Group &group : groups) {
    SmallVector<Operation *> members = this->members(group);
    SmallVector<Value> outputs = this->outputs(group);
    if (outputs.empty()) // groups that were formed later have copies of all that anybody reads
      continue;
    llvm::SetVector<Value> inputs, literals;
    auto whereStored = [&](Value value) {
      auto it = stored.find(value);
      return it == stored.end() ? value : it->second;
    };
    // The anchor's node first: it names the kernel in profiles and errors.
    llvm::SetVector<mlir::Attribute> locations;
    locations.insert(mlir::LocationAttr(group.anchor->getLoc()));
    for (Operation *op : members) {
      locations.insert(mlir::LocationAttr(op->getLoc()));
      for (Value operand : op->getOperands())
        if (!group.contains(operand.getDefiningOp()))
          (oracle.isLiteral(operand) ? literals : inputs).insert(whereStored(operand));
    }
    SmallVector<mlir::Location> nodes;
    for (mlir::Attribute location : locations)
      nodes.push_back(mlir::Location(llvm::cast<mlir::LocationAttr>(location)));

    // Placed at the end for now; schedule() finds its place.
    builder.setInsertionPoint(terminator);
    mlir::OperationState state(builder.getFusedLoc(nodes), KernelOp::getOperationName());
    state.addOperands(inputs.getArrayRef());
    for (Value output : outputs)
      state.addTypes(output.getType());
    state.addAttribute("family", builder.getStringAttr(group.family));
    mlir::Region *region = state.addRegion();
    auto *body = new mlir::Block();
    region->push_back(body);
    mlir::IRMapping mapping;
    for (Value input : inputs)
      mapping.map(input, body->addArgument(input.getType(), input.getLoc()));
    builder.setInsertionPointToEnd(body);
    for (Value literal : literals)
      mapping.map(literal, builder.clone(*literal.getDefiningOp())->getResult(0));
    for (Operation *op : members) {
      for (Value operand : op->getOperands())
        if (!mapping.contains(operand))
          mapping.map(operand, mapping.lookup(whereStored(operand)));
      builder.clone(*op, mapping);
    }
    SmallVector<Value> yielded;
    for (Value output : outputs)
      yielded.push_back(mapping.lookup(output));
    mlir::OperationState yield(state.location, YieldOp::getOperationName());
    yield.addOperands(yielded);
    builder.create(yield);

    builder.setInsertionPoint(terminator);
    Operation *kernel = builder.create(state);
    for (auto [output, result] : llvm::zip_equal(outputs, kernel->getResults())) {
      stored[output] = result;
      output.replaceUsesWithIf(result, [&](mlir::OpOperand &use) { return !group.owned.contains(use.getOwner()); });
    }
    keys.push_back({kernel, position(group.anchor)});
  }
  // Users first. Copied originals whose last user was a kernel go too.
  llvm::DenseSet<Operation *> erased;
  for (Operation *op : llvm::reverse(order)) {
    bool unused = op->getNumResults() == 1 && op->use_empty() && (isConstant(op->getResult(0)) || copiedIn.count(op));
    if (isGrouped(op) || unused) {
      erased.insert(op);
      op->erase();
    }
  }
  for (Operation *op : order)
    if (!erased.contains(op) && op != terminator)
      keys.push_back({op, position(op)});
  schedule(keys);
}

} // namespace kiln
