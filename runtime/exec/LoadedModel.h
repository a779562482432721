// A model ready to run: immutable and shared between threads. Holds the artifact and, for each set
// of sizes that a function was called with, the function with all sizes worked out (an Instance), so
// that a warm run computes none.
#pragma once

#include "runtime/device/Cpu.h"
#include "runtime/exec/GrowingMemory.h"
#include "runtime/exec/Instance.h"
#include "runtime/plan/Artifact.h"

#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace kiln {

/// Type and dims of an input as given by the caller.
struct InputShape {
  DType dtype = DType::F32;
  std::span<const int64_t> dims;
};

class LoadedModel {
public:
  /// Checks the artifact's target against the device (E0604) and that every host operation exists (E0606), and puts
  /// the constants there that launches read. `device` outlives the model.
  static Result<std::shared_ptr<const LoadedModel>> create(std::shared_ptr<const Artifact> artifact,
                                                           Device &device = cpuDevice());

  const Artifact &artifact() const { return *theArtifact; }
  const Program &program() const { return theArtifact->program(); }
  /// What launches run on.
  Device &device() const { return theDevice; }
  /// Base of Address::DeviceConstants.
  char *deviceConstants() const { return constants.data(); }

  /// Checks inputs against the function's signature (E0502 ... E0508, naming the input and what was expected) and gives
  /// the function for their sizes. `inputs` in the signature's order, then the states;
  /// `sizes` as Call::sizes. The instance is kept for
  /// later calls if `keep`.
  Result<std::shared_ptr<const Instance>> bind(FunctionId function, std::span<const InputShape> inputs,
                                               std::span<const int64_t> sizes = {}, bool keep = true) const;

  /// "f32[N,3]"
  static std::string describe(const Function &function, ViewId view);

private:
  explicit LoadedModel(Device &device) : theDevice(device), constants(device) {}
  Status placeConstants();

  Device &theDevice;
  GrowingMemory constants; // in the device's memory
  std::shared_ptr<const Artifact> theArtifact;
  CompiledProgram compiled;

  static constexpr size_t cachedInstances = 64; ///< of each function
  mutable std::mutex mutex;
  mutable std::vector<std::list<std::shared_ptr<const Instance>>> caches; // by function; most recently used first
};

} // namespace kiln
