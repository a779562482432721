#include "codegen/cpu/ObjectImage.h"

#include "codegen/cpu/Relocator.h"

namespace kiln::cpu {

Result<KernelImage> imageOfObject(const Emission &emission, std::span<const char> object) {
  KILN_ASSIGN(LinkedImage linked, linkImage(object));
  KernelImage image;
  image.bytes = std::move(linked.bytes);
  for (const KernelInterface::Launch &launch : emission.interface.launches) {
    auto symbol = linked.symbols.find(launch.name);
    if (symbol == linked.symbols.end())
      return makeError(ErrorCode::E0903, "launch of '", launch.name, "', which the kernel does not define");
    image.entries.push_back(symbol->second);
  }
  return image;
}

} // namespace kiln::cpu
