// What constants that are bound later (#kiln.bound) hold in the model's file, for as long as models are read.
#pragma once

#include "mlir/IR/BuiltinAttributeInterfaces.h"

namespace kiln {

class BoundAttr;

class BoundReader {
public:
  virtual ~BoundReader() = default;
  /// The constant's value. Whoever asks makes what is compiled depend on it, so it can no longer be bound later.
  virtual mlir::TypedAttr read(BoundAttr constant) = 0;
};

} // namespace kiln
