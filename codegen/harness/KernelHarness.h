// KernelHarness: compiles one implementation of a problem, runs it on the executor in this process and compares it with
// the reference. Used by tests, the sweep tool and the tuner. Sanitizers do not see generated code, so every buffer
// lies between inaccessible pages and canaries.
#pragma once

#include "codegen/Backend.h"
#include "codegen/harness/OrderedCpu.h"
#include "runtime/base/Tensor.h"
#include "runtime/device/GuardedBuffer.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kiln {

/// From vector-level code to machine code; Backend::compile unless somebody wants to see what another way gives.
using CodeMaker = std::function<Result<KernelImage>(Emission &, const TargetInfo &)>;

/// The code of an emission, with what is needed to run it.
class CompiledProblem {
public:
  ~CompiledProblem();
  CompiledProblem(CompiledProblem &&) noexcept;

  static Result<CompiledProblem> compile(const KernelFamily &family, const Problem &problem, const Config &config,
                                         const BackendTarget &target, const CodeMaker &makeCode = {});

  /// One call on `inputs`, on the CPU between guard pages. What the kernel touches outside its buffers, or writes to an
  /// input, is a fault of the process or an error. With `shared`, that output is written over that input, as the
  /// problem's in-place facts allow.
  Result<std::vector<Tensor>> run(std::span<const TensorView> inputs,
                                  BufferPlacement placement = BufferPlacement::AtEnd,
                                  GridOrder order = GridOrder::Forward,
                                  std::optional<Problem::InPlace> shared = std::nullopt) const;
  /// The same on a device, without guard pages.
  Result<std::vector<Tensor>> runOn(Device &device, std::span<const TensorView> inputs) const;
  /// Seconds of the fastest of `repeats` calls (after one to warm up), one thread.
  Result<double> time(std::span<const TensorView> inputs, int repeats) const;

  double compileSeconds() const;
  size_t imageBytes() const;

private:
  struct State;
  explicit CompiledProblem(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

enum class InputValues {
  Ordinary, ///< normally distributed numbers, small integers, booleans
  Special,  ///< the same, with infinities, NaN, zeros, subnormal and large numbers strewn in
};

/// Inputs for `problem` at the given sizes, from a seed.
Result<std::vector<Tensor>> makeInputs(const Problem &problem, const SymbolValues &sizes,
                                       InputValues values = InputValues::Ordinary, uint64_t seed = 1);

/// Element `i` of a tensor as a number.
double elementAt(const TensorView &tensor, int64_t i);

/// Compares with the reference; an error names the output, the element and both values.
Status compareOutputs(const Problem &problem, std::span<const Tensor> actual, std::span<const Tensor> expected,
                      const Exactness &exactness);

/// Inputs with what the reference makes of them.
struct CheckCase {
  InputValues values = InputValues::Ordinary;
  std::vector<Tensor> inputs, expected;
  std::vector<TensorView> views() const;
};
/// What to check a kernel on at one set of sizes: ordinary inputs first, special ones where they are not all integers.
Result<std::vector<CheckCase>> makeCases(const Problem &problem, const SymbolValues &sizes, uint64_t seed = 1);

/// Both placements, three grid orders, every in-place fact made use of. Special values are for kernels whose exactness
/// covers them.
Status checkCase(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
                 const CheckCase &inputs);
/// checkCase on all of makeCases.
Status checkAt(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
               const SymbolValues &sizes, uint64_t seed = 1);
/// The same runs on inputs of the caller's choice.
Status checkOn(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
               std::span<const TensorView> inputs);

} // namespace kiln
