#include "dialects/kiln/NodeName.h"

#include "llvm/ADT/TypeSwitch.h"

namespace kiln {

std::string nodeName(mlir::Location location) {
  return llvm::TypeSwitch<mlir::LocationAttr, std::string>(location)
      .Case([](mlir::NameLoc loc) { return loc.getName().str(); })
      .Case([](mlir::CallSiteLoc loc) { return nodeName(loc.getCallee()); })
      .Case([](mlir::FusedLoc loc) {
        for (mlir::Location part : loc.getLocations())
          if (std::string name = nodeName(part); !name.empty())
            return name;
        return std::string();
      })
      .Default([](mlir::LocationAttr) { return std::string(); });
}

} // namespace kiln
