#include "codegen/families/gemm/Widening.h"

#include "codegen/families/common/Launches.h"
#include "codegen/families/common/Space.h"

namespace kiln::gemm {

using namespace emit;

/// Elements of one workgroup.
static constexpr int64_t block = 1 << 14;

SizeExpr widenedBytes(const std::vector<SizeExpr> &dims, const ElementTypes &types) {
  return SizeExpr::product(dims) * types.accumulatorBytes();
}

KernelInterface::Launch wideningLaunch(const Problem &problem, Problem::ValueId input, const ElementTypes &types) {
  const std::vector<SizeExpr> &dims = problem.value(input).dims;
  return preparingLaunch(problem, "widen", input, SizeExpr::ceilDiv(SizeExpr::product(dims), block),
                         widenedBytes(dims, types));
}

void emitWidening(Emitter &e, const KernelInterface &interface, size_t launch, const std::vector<SizeExpr> &dims,
                  const ElementTypes &types, const SizeExpr &offset) {
  beginLaunch(e, interface, launch);
  SizeExpr elements = SizeExpr::product(dims);
  int64_t lanes = types.lanes(e.target());
  Value from = e.buffer(0), to = e.offset(e.workspace(), e.size(offset), 1);
  Value begin = e.mul(e.workgroup(), e.index(block));
  Value end = e.min(e.size(elements), e.add(begin, e.index(block)));
  emitVectors(e, begin, end, lanes, 4, unsigned(dtypeBits(types.accumulator)), elements,
              [&](Value at, int count, Value mask) {
                for (int u = 0; u < count; ++u) {
                  Value i = e.add(at, e.index(u * lanes));
                  Value wide = e.loadAs(types.operand, lanes, e.offset(from, i, types.operandBytes()), mask);
                  e.storeAs(types.accumulator, wide, e.offset(to, i, types.accumulatorBytes()), mask);
                }
              });
  e.endKernel();
}

} // namespace kiln::gemm
