// A model ready to run, shared between threads: immutable, but for constants that the host binds. Holds the artifact
// and, for each set of sizes that a function was called with, the function with all sizes worked out (an Instance), so
// that a warm run computes none.
#pragma once

#include "runtime/device/Cpu.h"
#include "runtime/exec/ConstantSet.h"
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
  /// Compares the weights that runs read with their digests (E0608): those of the files as they were mapped when the
  /// model was loaded, whatever lies under their names now.
  Status verifyWeights() const { return theArtifact->verifyWeights(files); }
  /// What launches run on.
  Device &device() const { return theDevice; }
  /// Base of Address::DeviceConstants.
  char *deviceConstants() const { return sectionOnDevice.data(); }
  /// The sizes, compiled.
  const CompiledFunction &compiledFunction(FunctionId function) const { return compiled.functions[function]; }

  /// The constants outside of the artifact as they are now, for one run; null where there are none.
  std::shared_ptr<const ConstantSet> constants() const;
  /// Makes these the ones that later runs see, all at once; an error changes nothing. From any thread; calls take
  /// turns.
  Status bindConstants(std::span<const ConstantSet::Binding> bindings) const;

  /// Checks inputs against the function's signature (E0502 ... E0508, naming the input and what was expected) and gives
  /// the function for their sizes. `inputs` in the signature's order, then the states;
  /// `sizes` as Call::sizes. The instance is kept for
  /// later calls if `keep`.
  Result<std::shared_ptr<const Instance>> bind(FunctionId function, std::span<const InputShape> inputs,
                                               std::span<const int64_t> sizes = {}, bool keep = true) const;

private:
  explicit LoadedModel(Device &device) : theDevice(device), sectionOnDevice(device) {}
  Status placeConstants();

  Device &theDevice;
  GrowingMemory sectionOnDevice; // constants of the weights section, in the device's memory
  std::shared_ptr<const Artifact> theArtifact;
  Artifact::Files files;
  CompiledProgram compiled;

  mutable std::mutex binding; // held while constants are bound
  mutable std::mutex constantsMutex;
  mutable std::shared_ptr<const ConstantSet> theConstants;

  static constexpr size_t cachedInstances = 64; ///< of each function
  mutable std::mutex mutex;
  mutable std::vector<std::list<std::shared_ptr<const Instance>>> caches; // by function; most recently used first
};

} // namespace kiln
