#include "dialects/kiln/Parts.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Movement.h"

#include <algorithm>

using namespace mlir;

namespace kiln {

std::optional<int64_t> partOffset(Operation *op) {
  auto slice = dyn_cast<SliceOp>(op);
  if (!slice || !slice.getBounds().empty())
    return std::nullopt;
  auto from = cast<RankedTensorType>(slice.getX().getType()), to = cast<RankedTensorType>(slice.getResult().getType());
  std::optional<DType> dtype = dtypeOf(from.getElementType());
  if (!from.hasStaticShape() || !to.hasStaticShape() || to.getNumElements() == 0 || !dtype)
    return std::nullopt;
  SmallVector<int64_t> first(from.getRank(), 0);
  for (auto [given, start, step] : llvm::zip_equal(slice.getAxes(), slice.getStarts(), slice.getSteps())) {
    int64_t axis = given < 0 ? given + from.getRank() : given;
    if (step != 1 && to.getDimSize(axis) != 1)
      return std::nullopt;
    int64_t size = from.getDimSize(axis);
    first[axis] = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size - 1);
  }
  // In one piece: outside of a dim that is cut there is but one.
  int64_t offset = 0, stride = int64_t(dtypeBytes(*dtype));
  bool isCut = false;
  for (int64_t d = from.getRank(); d-- > 0;) {
    if (isCut && to.getDimSize(d) != 1)
      return std::nullopt;
    isCut |= to.getDimSize(d) != from.getDimSize(d);
    offset += first[d] * stride;
    stride *= from.getDimSize(d);
  }
  return offset;
}

} // namespace kiln
