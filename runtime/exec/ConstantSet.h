// The bytes of the constants that do not lie in an artifact: ranges of other files, what the host binds, and what
// recipes make of them. A set never changes: binding makes the next one, and what both have in common is shared. So a
// run sees one set from its beginning to its end, and whoever owned the bytes is told when the last run that used them
// is over.
#pragma once

#include "runtime/device/Device.h"
#include "runtime/plan/Artifact.h"
#include "runtime/plan/Transfers.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kiln {

class ConstantSet {
public:
  /// What the host gives for a constant that is a BoundSource. `owner` keeps the bytes; null: they stay as they are for
  /// as long as sets may be in use.
  struct Binding {
    uint32_t constant = 0; ///< into Program::constants
    TensorView value;
    std::shared_ptr<const void> owner;
  };

  /// Nothing is bound. `artifact` and `device` outlive all sets; `files` are the artifact's. Ranges that recipes read
  /// are compared with their digests (E0608), for they are read anyway. `placed`: which constants the device has too.
  static Result<std::shared_ptr<const ConstantSet>> load(const Artifact &artifact, const Artifact::Files &files,
                                                         Device &device, const DeviceConstants &placed);
  /// The set with these bound, each of the constant's type (E0525, E0515). Recipes run for what is made of them.
  Result<std::shared_ptr<const ConstantSet>> bind(std::span<const Binding> bindings) const;

  /// An error (E0524) that names the constants which nobody has bound.
  Status checkBound() const;
  bool isBound(uint32_t constant) const { return values[constant].ready; }
  /// The bytes of a constant outside of the artifact.
  char *data(uint32_t constant, Buffer::Space space) const;

private:
  struct DeviceCopy;
  struct Value {
    bool ready = false;
    void *data = nullptr;
    std::shared_ptr<const void> owner;
    std::shared_ptr<const DeviceCopy> copy; ///< in the device's memory
  };

  ConstantSet(const Artifact &artifact, Device &device, const DeviceConstants &placed)
      : artifact(artifact), program(artifact.program()), device(device), placed(placed) {}
  /// Makes what follows from constants that changed.
  Status update(std::vector<bool> changed);
  TensorView viewOf(uint32_t constant) const;

  const Artifact &artifact;
  const Program &program;
  Device &device;
  const DeviceConstants &placed;
  std::vector<Value> values; // by constant
  std::string missing;       // names that are not bound, for an error
};

} // namespace kiln
