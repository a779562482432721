// The one list of CPU families, in order of preference: of several that claim a problem the first one gets it.
#include "codegen/families/CpuFamilies.h"

namespace kiln {

std::span<const KernelFamily *const> cpuFamilies() {
  static const KernelFamily *const families[] = {
      &depthwiseFamily(), // before conv, which takes any groups
      &convFamily(),      &matMulFamily(),      &poolingFamily(),  &normFamily(),      &reductionFamily(),
      &attentionFamily(), &elementwiseFamily(), &movementFamily(), &recurrentFamily(), &resizeFamily(),
  };
  return families;
}

} // namespace kiln
