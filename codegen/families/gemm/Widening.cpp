#include "codegen/families/gemm/Widening.h"

#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/Space.h"
#include "codegen/families/gemm/IntegerOperands.h"

#include <algorithm>

namespace kiln::gemm {

using namespace emit;
using ValueId = Problem::ValueId;

namespace {

constexpr int unroll = 4;

/// The walk over the elements.
struct Walk {
  std::vector<ValueId> buffers;
  CollapsedSpace space;
  RowGrid grid;

  Walk(const Problem &problem, ValueId id) : buffers(buffersBelow(problem, id)) {
    std::vector<std::span<const SizeExpr>> dims;
    for (ValueId buffer : buffers)
      dims.push_back(problem.value(buffer).dims);
    space = collapse(problem.value(id).dims, dims);
    grid = makeRowGrid(space.space, 1 << 14, 64);
  }
};

} // namespace

SizeExpr widenedBytes(const Problem &problem, ValueId id, const ElementTypes &types) {
  return SizeExpr::product(problem.value(id).dims) * types.rowBytes();
}

KernelInterface::Launch wideningLaunch(const Problem &problem, ValueId id, const ElementTypes &types) {
  Walk walk(problem, id);
  KernelInterface::Launch launch =
      preparingLaunch(problem, "widen", walk.buffers.front(), walk.grid.grid(), widenedBytes(problem, id, types));
  for (size_t i = 1; i < walk.buffers.size(); ++i)
    launch.operands.push_back(KernelOperand::input(size_t(problem.inputIndex(walk.buffers[i]))));
  return launch;
}

void emitWidening(Emitter &e, const KernelInterface &interface, size_t launch, const Problem &problem, ValueId id,
                  const ElementTypes &types, const SizeExpr &offset) {
  Walk walk(problem, id);
  int64_t lanes = types.lanes(e.target());
  beginLaunch(e, interface, launch);
  std::vector<BufferAccess> in;
  for (size_t i = 0; i < walk.buffers.size(); ++i)
    in.emplace_back(e, e.buffer(i), problem.value(walk.buffers[i]).dtype, walk.space.buffers[i], walk.space.space);
  BufferAccess out(e, e.offset(e.workspace(), e.size(offset), 1), types.row, walk.space.space, walk.space.space);
  ScalarEmitter scalars(e);
  SizeExpr part = walk.grid.partsPerRow.isConstant(1) ? walk.grid.row : SizeExpr::symbol("part");
  emitRows(e, walk.space.space, walk.grid, [&](ValueRange outer, Value begin, Value end) {
    Values rows;
    for (BufferAccess &access : in)
      rows.push_back(access.rowAddress(outer));
    Value outRow = out.rowAddress(outer);
    emitVectors(e, begin, end, lanes, unroll, unsigned(dtypeBits(types.accumulator)), part,
                [&](Value at, int count, Value mask) {
                  for (int u = 0; u < count; ++u) {
                    Value index = e.add(at, e.index(u * lanes));
                    Expression point(problem, scalars, lanes, [&](ValueId buffer) {
                      size_t i = size_t(std::ranges::find(walk.buffers, buffer) - walk.buffers.begin());
                      return in[i].load(in[i].step(rows[i], index), lanes, mask);
                    });
                    Value value = point.get(id);
                    if (types.multipliesPairs())
                      value = e.resizeInt(value, e.vec(e.integer(16), lanes));
                    out.store(value, out.step(outRow, index), mask);
                  }
                });
  });
  e.endKernel();
}

} // namespace kiln::gemm
