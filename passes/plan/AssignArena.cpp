// AssignArena: byte offsets for buffers.
//
//   %b = plan.alloc "arena" : !plan.view<"f32[1,64,56,56]">   ->   %b = plan.alloc "arena" offset
//   802816 : ...
//
// A buffer is in use from the first step that touches it, through any alias, to the last one;
// buffers that are never in use together may share bytes. Runs last, since every earlier pass may
// change what is in use when.
//
// Without `share` every buffer is in use from the first step to the last, and the program is marked so
// (noReuseAttrName).
//
// Not assigned: anything in a program where one buffer's size is not known. There all offsets are
// packed when inputs are bound, by the same function.

#include "dialects/plan/PlanDialect.h"
#include "passes/plan/Passes.h"
#include "runtime/base/PlantedBug.h"
#include "runtime/plan/Packing.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace kiln {
#define GEN_PASS_DEF_ASSIGNARENA
#include "passes/plan/Passes.h.inc"

namespace {

class AssignArena : public impl::AssignArenaBase<AssignArena> {
public:
  using AssignArenaBase::AssignArenaBase;

private:
  void runOnOperation() override {
    for (auto program : getOperation().getOps<plan_ir::ProgramOp>())
      assign(program);
  }

  void assign(plan_ir::ProgramOp program) {
    llvm::MapVector<Value, PackInterval> intervals;
    bool known = true;
    if (!share)
      program->setAttr(plan_ir::noReuseAttrName, UnitAttr::get(&getContext()));
    for (auto alloc : program.getOps<plan_ir::AllocOp>()) {
      std::optional<int64_t> bytes = alloc.getView().getType().getBytes().asConstant();
      known &= bytes.has_value();
      intervals[alloc.getView()] = {bytes.value_or(0), -1, -1}; // -1: in no step yet
    }
    if (!known) {
      for (auto &[buffer, interval] : intervals)
        buffer.getDefiningOp()->removeAttr("offset");
      return;
    }
    int64_t step = 0;
    for (Operation &op : program.getBody().front()) {
      if (!isa<plan_ir::LaunchOp, plan_ir::HostCallOp, plan_ir::CopyOp>(op))
        continue;
      for (Value operand : op.getOperands())
        if (auto it = intervals.find(plan_ir::rootOf(operand)); it != intervals.end()) {
          PackInterval &interval = it->second;
          interval.first = interval.first < 0 ? step : interval.first;
          interval.last = step;
        }
      ++step;
    }
    std::vector<PackInterval> list;
    for (auto &[buffer, interval] : intervals)
      if (interval.last > interval.first && plantedBug("arena-lifetime", interval.bytes, 256, 84))
        --interval.last;
    for (auto &[buffer, interval] : intervals)
      list.push_back(share ? interval : PackInterval{interval.bytes, 0, step});
    Packing packed = packOffsets(list);
    Builder b(&getContext());
    for (auto [entry, offset] : llvm::zip(intervals, packed.offsets))
      entry.first.getDefiningOp<plan_ir::AllocOp>().setOffset(offset);
  }
};

} // namespace
} // namespace kiln
