#include "codegen/Roofline.h"

#include <algorithm>
#include <limits>

namespace kiln {

Roofline::Roofline(const TargetInfo &target)
    : hertz(3.1e9), launchSeconds(150e-9), workgroupCycles(40), l1(double(target.l1Bytes)), l2(double(target.l2Bytes)),
      l3(double(target.l3Bytes)), vectorBytes(target.vectorBits / 8) {}

double Roofline::memoryCycles(double bytes) const {
  struct Level {
    double size, bytesPerCycle;
  };
  const Level levels[] = {
      {l1, vectorBytes}, {l2, vectorBytes / 2}, {l3, 16}, {std::numeric_limits<double>::infinity(), 8}};
  double cycles = 0, nearer = 0;
  for (const Level &level : levels) {
    cycles += std::max(0.0, std::min(bytes, level.size) - nearer) / level.bytesPerCycle;
    nearer = level.size;
  }
  return cycles;
}

} // namespace kiln
