// A kernel family turns a class of problems into code. Stateless: every answer is a function of the arguments, so
// kernels compile in parallel contexts and equal problems share code.
#pragma once

#include "codegen/Emission.h"
#include "codegen/problem/Problem.h"
#include "codegen/problem/TargetInfo.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

namespace emit {
class Emitter;
}

/// How a problem is to be implemented: tile sizes, algorithm, loop order ... Only the family understands it.
using Config = Attributes;

/// How results are compared with the reference's: bitwise when both are 0, else
/// |x - ref| <= relative * |ref| + scaled * max |ref| over the output.
struct Exactness {
  double relative = 0;
  double scaled = 0;
  /// Whether infinities and NaN appear where the reference has them, and nowhere else.
  bool nonFinite = true;
  bool bitwise() const { return relative == 0 && scaled == 0; }
};

class KernelFamily {
public:
  virtual ~KernelFamily() = default;

  virtual std::string_view name() const = 0;
  /// Raising it retires this family's cache entries and no others; so must every change of emitted code.
  virtual int version() const = 0;

  /// Whether this family can implement the problem, all of it, at any sizes its symbols allow. Cheap: kernel forming
  /// asks for every step of a growing region.
  virtual bool claims(const Problem &problem) const = 0;
  /// Whether it looks at more than the first result of an op; claims is asked of no problem else that holds one with
  /// several.
  virtual bool takesSeveralResults() const { return false; }
  /// For a problem of one convolution- or pool-like op in NCHW: the layout ("nhwc") that is claimed and better, if any.
  virtual std::optional<std::string> layoutPreference(const Problem &problem) const { return std::nullopt; }

  /// Every legal configuration worth measuring; holds the default.
  virtual std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const = 0;
  /// Good without any cache.
  virtual Config defaultConfig(const Problem &problem, const TargetInfo &target) const = 0;
  /// Whether `config` (from a cache, or forced) is one that emit accepts.
  virtual bool isLegal(const Problem &problem, const Config &config, const TargetInfo &target) const;

  /// How the kernel is called. Emits nothing: takes microseconds. A configuration that is not legal is an error.
  Result<KernelInterface> describe(const Problem &problem, const Config &config, const TargetInfo &target) const;
  /// The code, with the interface that describe gives. Sees nothing but its arguments; the emitter is the target's, and
  /// new.
  Result<Emission> emit(const Problem &problem, const Config &config, const TargetInfo &target,
                        emit::Emitter &emitter) const;
  virtual Exactness exactness(const Problem &problem, const Config &config) const = 0;

  /// Seconds that a call takes on one core of the target, estimated: what starting its launches takes, and the larger
  /// part of arithmetic (`cycles`) and memory (Roofline) with some of the smaller. Takes microseconds; for comparing
  /// implementations. `config` is legal, `sizes` has all symbols.
  double cost(const Problem &problem, const Config &config, const TargetInfo &target, const SymbolValues &sizes) const;
  /// At nominal sizes.
  double cost(const Problem &problem, const Config &config, const TargetInfo &target) const;

protected:
  /// The launches, with what they share: packed constants and workspace. What follows from the problem (symbols,
  /// inputs, outputs, in-place pairs) is filled in by describe. `config` is legal.
  virtual Result<KernelInterface> describeLaunches(const Problem &problem, const Config &config,
                                                   const TargetInfo &target) const = 0;
  /// Cycles of arithmetic of a call, were all memory the nearest: the family's own account of its code.
  virtual double cycles(const Problem &problem, const Config &config, const TargetInfo &target,
                        const SymbolValues &sizes) const = 0;
  /// A function for each launch of `interface`.
  virtual void emitLaunches(const Problem &problem, const Config &config, const TargetInfo &target,
                            const KernelInterface &interface, emit::Emitter &emitter) const = 0;
};

/// The family of that name; null when there is none.
const KernelFamily *findFamily(std::span<const KernelFamily *const> families, std::string_view name);

/// Sizes for estimates: nominalSize of each symbol.
SymbolValues nominalSizes(const Problem &problem);

} // namespace kiln
