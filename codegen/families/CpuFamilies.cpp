// The one list of CPU families, in order of preference: of several that claim a problem the first one gets it.
#include "codegen/KernelFamily.h"
#include "codegen/families/elementwise/Elementwise.h"

namespace kiln {

std::span<const KernelFamily *const> cpuFamilies() {
  static const ElementwiseFamily elementwise;
  static const KernelFamily *const families[] = {&elementwise};
  return families;
}

} // namespace kiln
