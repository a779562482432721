// A model ready to run: immutable and shared between threads. Holds the artifact and, for each set
// of sizes that inputs were bound with, the program with all sizes worked out (an Instance), so
// that a warm run computes none.
#pragma once

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
  /// Checks the artifact's target against this machine (E0604) and that every host operation exists
  /// (E0606).
  static Result<std::shared_ptr<const LoadedModel>> create(std::shared_ptr<const Artifact> artifact);

  const Artifact &artifact() const { return *theArtifact; }
  const Program &program() const { return theArtifact->program(); }

  /// Checks inputs against the signature (E0502 ... E0508, naming the input and what was expected)
  /// and gives the program for their sizes, from a cache where possible. `inputs` in the
  /// signature's order.
  Result<std::shared_ptr<const Instance>> bind(std::span<const InputShape> inputs) const;

  /// Index of the input or output of that name; -1 when there is none.
  int findInput(std::string_view name) const;
  int findOutput(std::string_view name) const;
  /// "f32[N,3]"
  std::string describe(const Port &port) const;

private:
  LoadedModel() = default;
  Result<std::vector<int64_t>> bindSymbols(std::span<const InputShape> inputs) const;
  Status checkInputs(std::span<const InputShape> inputs, std::span<const int64_t> symbols) const;
  Status checkFailure(const Condition &check, std::optional<int64_t> lhs, std::optional<int64_t> rhs) const;
  Status inputMismatch(ErrorCode code, size_t input, const InputShape &given, const std::string &why) const;

  std::shared_ptr<const Artifact> theArtifact;
  CompiledProgram compiled;

  static constexpr size_t cachedInstances = 64;
  mutable std::mutex mutex;
  mutable std::list<std::shared_ptr<const Instance>> cache; // most recently used first
};

} // namespace kiln
