// The one list of CPU families, in order of preference: of several that claim a problem the first one gets it.
#include "codegen/KernelFamily.h"

namespace kiln {

std::span<const KernelFamily *const> cpuFamilies() {
  return {};
}

} // namespace kiln
