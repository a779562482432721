// Schedule: the order of execution.
//
//   %a = kernel(%x); %b = kernel(%x); %c = kernel(%a); %d = kernel(%b)   ->   %a; %c; %b; %d
//
// A list schedule that takes, of the steps whose operands are there, the one that leaves the least
// memory live; the model's own order breaks ties and is kept whole where it needs no more memory.
// Sizes that are not known yet count at a nominal value. Runs before Bufferize, on values, since
// afterwards the order is fixed by who overwrites what.

#include "passes/plan/Passes.h"
#include "passes/plan/Tensors.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/HostValues.h"
#include "dialects/kiln/Parts.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <set>

using namespace mlir;

namespace kiln {
#define GEN_PASS_DEF_SCHEDULE
#include "passes/plan/Passes.h.inc"

namespace {

/// A piece of memory: a value with all its reshapes.
struct Piece {
  int64_t bytes = 0;
  bool counted = false; // inputs, constants and outputs are not memory of ours
  int readers = 0;      // steps that read it
};

struct Step {
  Operation *op;
  SmallVector<int> reads, writes; // pieces, each once
  SmallVector<int> users;         // steps that take a result of this one, repeats allowed
  int waiting = 0;                // operands still to be computed, repeats counted as in `users`
};

struct Graph {
  std::vector<Piece> pieces;
  std::vector<Step> steps;
};

Graph build(Block &block, const SizeTable &sizes) {
  Graph graph;
  DenseMap<Value, int> pieceOf;
  DenseMap<Operation *, int> stepOf;
  auto newPiece = [&](Value value, bool counted) {
    pieceOf[value] = static_cast<int>(graph.pieces.size());
    graph.pieces.push_back({counted ? nominalBytes(value.getType(), sizes) : 0, counted, 0});
    return pieceOf[value];
  };
  for (Value argument : block.getArguments())
    newPiece(argument, false);
  for (Operation &op : block.without_terminator()) {
    int index = static_cast<int>(graph.steps.size());
    Step step{&op, {}, {}, {}, 0};
    for (Value operand : op.getOperands()) {
      int piece = pieceOf[operand];
      // The step that defines the value, not the one that wrote its memory: a view comes between.
      if (Operation *definition = operand.getDefiningOp()) {
        graph.steps[stepOf[definition]].users.push_back(index);
        ++step.waiting;
      }
      if (!llvm::is_contained(step.reads, piece)) {
        step.reads.push_back(piece);
        ++graph.pieces[piece].readers;
      }
    }
    // What the host computes to compute with is too little to count.
    bool counted = !isa<ConstantOp>(op) && (isa<KernelOp>(op) || !computesHostValues(&op));
    for (Value result : op.getResults()) {
      if (isView(&op) || isPart(&op)) { // shares its operand's memory
        pieceOf[result] = pieceOf[op.getOperand(0)];
        continue;
      }
      step.writes.push_back(newPiece(result, counted));
    }
    stepOf[&op] = index;
    graph.steps.push_back(std::move(step));
  }
  for (Value returned : block.getTerminator()->getOperands()) {
    Piece &piece = graph.pieces[pieceOf[returned]];
    piece.counted = false;
    piece.bytes = 0;
  }
  return graph;
}

/// Memory while steps run one after another.
class Meter {
public:
  explicit Meter(const Graph &graph) : graph(graph) {
    for (const Piece &piece : graph.pieces)
      readersLeft.push_back(piece.readers);
  }

  /// How many steps still read a piece.
  int left(int piece) const { return readersLeft[piece]; }

  /// By how much more memory is live after `step`.
  int64_t growth(const Step &step) const {
    int64_t bytes = 0;
    for (int piece : step.writes)
      bytes += graph.pieces[piece].readers ? graph.pieces[piece].bytes : 0;
    for (int piece : step.reads)
      bytes -= readersLeft[piece] == 1 ? graph.pieces[piece].bytes : 0;
    return bytes;
  }

  void run(const Step &step) {
    for (int piece : step.writes)
      live += graph.pieces[piece].bytes;
    peak = std::max(peak, live);
    for (int piece : step.reads)
      if (--readersLeft[piece] == 0)
        live -= graph.pieces[piece].bytes;
    for (int piece : step.writes)
      if (graph.pieces[piece].readers == 0)
        live -= graph.pieces[piece].bytes;
  }

  int64_t peak = 0;

private:
  const Graph &graph;
  std::vector<int> readersLeft;
  int64_t live = 0;
};

std::vector<int> greedyOrder(Graph &graph, int64_t &peak) {
  Meter meter(graph);
  std::vector<int> waiting, order;
  std::vector<SmallVector<int>> readersOf(graph.pieces.size());
  std::vector<int64_t> growthOf(graph.steps.size());
  std::set<std::pair<int64_t, int>> ready; // growth and step: first the best one, of equals the earliest of the model
  auto makeReady = [&](int step) {
    growthOf[step] = meter.growth(graph.steps[step]);
    ready.emplace(growthOf[step], step);
  };
  for (int i = 0; i < static_cast<int>(graph.steps.size()); ++i) {
    for (int piece : graph.steps[i].reads)
      readersOf[piece].push_back(i);
    waiting.push_back(graph.steps[i].waiting);
    if (!waiting.back())
      makeReady(i);
  }
  while (!ready.empty()) {
    int chosen = ready.begin()->second;
    ready.erase(ready.begin());
    meter.run(graph.steps[chosen]);
    order.push_back(chosen);
    // Who is the last to read a piece now frees it.
    for (int piece : graph.steps[chosen].reads)
      if (meter.left(piece) == 1)
        for (int reader : readersOf[piece])
          if (ready.erase({growthOf[reader], reader}))
            makeReady(reader);
    for (int user : graph.steps[chosen].users)
      if (--waiting[user] == 0)
        makeReady(user);
  }
  peak = meter.peak;
  return order;
}

class Schedule : public impl::ScheduleBase<Schedule> {
  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    Block &block = getOperation().getBody().front();
    Result<SizeTable> sizes = SizeTable::read(getOperation());
    if (!sizes.ok()) {
      emitError(getOperation().getLoc(), sizes.status());
      return signalPassFailure();
    }
    Graph graph = build(block, *sizes);
    Meter asWritten(graph);
    for (const Step &step : graph.steps)
      asWritten.run(step);
    int64_t peak = 0;
    std::vector<int> order = greedyOrder(graph, peak);
    if (peak >= asWritten.peak)
      return markAllAnalysesPreserved();
    for (int index : order)
      graph.steps[index].op->moveBefore(block.getTerminator());
  }
};

} // namespace
} // namespace kiln
