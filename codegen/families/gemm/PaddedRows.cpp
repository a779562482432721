#include "codegen/families/gemm/PaddedRows.h"

#include "codegen/families/common/Launches.h"

namespace kiln::gemm {

using namespace emit;

KernelInterface::Launch PaddedRows::launch(const Problem &problem) const {
  return preparingLaunch(problem, "pad", buffer, SizeExpr::ceilDiv(rows, rowsPerGroup), bytes());
}

void PaddedRows::emit(Emitter &e, const KernelInterface &interface, size_t launch, const SizeExpr &offset) const {
  constexpr int64_t lanes = 16;
  auto vector = e.vec(e.i8(), lanes);
  const int64_t padded = paddedLength(length);
  beginLaunch(e, interface, launch);
  Value from = e.buffer(0), to = e.offset(e.workspace(), e.size(offset), 1);
  Value begin = e.mul(e.workgroup(), e.index(rowsPerGroup));
  Value end = e.min(e.size(rows), e.add(begin, e.index(rowsPerGroup)));
  Value pads = e.constant(vector, fill);
  e.loop(begin, end, e.index(1), [&](Value row) {
    Value source = e.offset(from, row, length), target = e.offset(to, row, padded);
    auto copy = [&](Value at) {
      Value x = e.maskedLoad(vector, e.offset(source, at, 1), e.tailMask(lanes, e.sub(e.index(length), at)), pads);
      e.maskedStore(x, e.offset(target, at, 1), e.tailMask(lanes, e.sub(e.index(padded), at)));
    };
    if (padded <= lanes)
      copy(e.index(0));
    else
      e.loop(0, e.index(padded), lanes, copy);
  });
  e.endKernel();
}

} // namespace kiln::gemm
