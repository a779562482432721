// A kind of processor that kernels are compiled for: its targets, its families, and the way from a problem to code. The
// session and the tools know no other door.
#pragma once

#include "codegen/Emission.h"
#include "codegen/KernelFamily.h"

#include <cstdint>
#include <memory>

namespace kiln {

/// Code of one kernel as an artifact holds it and a device loads it.
struct KernelImage {
  std::vector<uint8_t> bytes;    ///< of the backend's format; of the CPU, see codegen/cpu/Relocator.h
  std::vector<uint64_t> entries; ///< where in `bytes` each launch of the emission begins
};

/// Texts of the levels below the emission, for the dump directory. Null members are not produced.
struct KernelTexts {
  std::string *llvmIr = nullptr;
  std::string *assembly = nullptr;
};

/// How much LLVM does to the code. Least tells its mistakes from those of what it was given.
enum class LlvmEffort { Normal, Least };

/// Stateless, and safe from several threads at once.
class Backend {
public:
  virtual ~Backend() = default;

  /// The device that its kernels run on, as Program::device.
  virtual std::string_view device() const = 0;
  /// E0206.
  virtual Result<TargetInfo> parseTarget(std::string_view text) const = 0;
  /// The best target that this machine runs.
  virtual Result<TargetInfo> hostTarget() const = 0;
  /// In order of preference: of several families that claim a problem the first one gets it.
  virtual std::span<const KernelFamily *const> families() const = 0;

  /// Adds the dialects of emissions to a context, which then can read and print them.
  virtual void loadDialects(mlir::MLIRContext &context) const = 0;
  /// One that holds these dialects and no others, single-threaded. One for each compiling thread.
  virtual std::unique_ptr<mlir::MLIRContext> makeContext() const = 0;

  /// The vector-level code of a kernel. `context` has the dialects.
  Result<Emission> emit(const KernelFamily &family, const Problem &problem, const Config &config,
                        const TargetInfo &target, mlir::MLIRContext &context) const;
  /// From there to machine code; the emission's module is consumed. Deterministic.
  virtual Result<KernelImage> compile(Emission &emission, const TargetInfo &target, const KernelTexts &texts = {},
                                      LlvmEffort effort = LlvmEffort::Normal) const = 0;

protected:
  virtual std::unique_ptr<emit::Emitter> makeEmitter(mlir::MLIRContext &context, const TargetInfo &target) const = 0;
};

const Backend &cpuBackend();

/// A target with who compiles for it.
struct BackendTarget {
  const Backend *backend = nullptr;
  TargetInfo info;
};
/// "host", or a target's text as TargetInfo prints it (E0206). The CPU's is the one backend so far.
Result<BackendTarget> findTarget(std::string_view text);

} // namespace kiln
