// The graph that FormKernels works on: the ops of a block, the groups formed so far, and the rewriting of groups into
// kiln.kernel regions.
#pragma once

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

#include <string>
#include <vector>

namespace kiln {

class KernelOracle;

class KernelGraph {
public:
  struct Group {
    llvm::SetVector<mlir::Operation *> owned;  // computed here and nowhere else
    llvm::SetVector<mlir::Operation *> copied; // computed here too; the original stays for its other users
    mlir::Operation *anchor = nullptr;
    std::string family;
    double seconds = 0; // as one kernel

    bool contains(mlir::Operation *op) const { return owned.contains(op) || copied.contains(op); }
    size_t size() const { return owned.size() + copied.size(); }
  };

  explicit KernelGraph(mlir::Block &block);

  mlir::Block &body() const { return block; }
  /// All ops of the block as it was, in program order.
  llvm::ArrayRef<mlir::Operation *> ops() const { return order; }
  bool isGrouped(mlir::Operation *op) const { return groupOf.count(op); }
  llvm::SmallVector<mlir::Operation *> sorted(llvm::ArrayRef<mlir::Operation *> ops) const;

  /// Whether anybody reads results of `op` itself: not a kernel with a copy of it, nor a copied op that nobody reads.
  bool isRead(mlir::Operation *op) const;

  /// Whether a value is in memory: it is no formed group's, or one that its group hands out.
  bool isStored(mlir::Value value) const;

  /// Owned and copied ops in program order.
  llvm::SmallVector<mlir::Operation *> members(const Group &group) const;
  /// Results of owned ops that somebody outside reads, in program order.
  llvm::SmallVector<mlir::Value> outputs(const Group &group) const;
  /// Whether a path leads from the group through an op (or formed group) outside back into it.
  bool dependsOnItself(const Group &group) const;

  void commit(Group group);
  /// Turns the groups into kiln.kernel ops and puts the block into an order that respects them.
  void materialize(KernelOracle &oracle);

private:
  unsigned position(mlir::Operation *op) const { return positions.lookup(op); }
  unsigned rankOf(mlir::Operation *op) const { return ranks.lookup(op); }
  bool follow(const Group &group, unsigned last, llvm::DenseSet<mlir::Operation *> &seen) const;
  bool isReadOutside(mlir::Value value, const Group &group) const;
  void rankTogether(const Group &group);
  void schedule(llvm::ArrayRef<std::pair<mlir::Operation *, unsigned>> keys);

  mlir::Block &block;
  std::vector<mlir::Operation *> order;
  llvm::DenseMap<mlir::Operation *, unsigned> positions;
  // An order in which each formed group stands together, after all that it depends on.
  std::vector<mlir::Operation *> byRank;
  llvm::DenseMap<mlir::Operation *, unsigned> ranks;
  std::vector<Group> groups;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<size_t, 2>> copiedIn; // groups with a copy
  llvm::DenseMap<mlir::Operation *, size_t> groupOf;                        // owned ops only
};

} // namespace kiln
