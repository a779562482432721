#include "codegen/Backend.h"

#include "codegen/emit/Emitter.h"

namespace kiln {

Result<Emission> Backend::emit(const KernelFamily &family, const Problem &problem, const Config &config,
                               const TargetInfo &target, mlir::MLIRContext &context) const {
  std::unique_ptr<emit::Emitter> emitter = makeEmitter(context, target);
  return family.emit(problem, config, target, *emitter);
}

Result<BackendTarget> findTarget(std::string_view text) {
  BackendTarget found;
  found.backend = &cpuBackend();
  KILN_ASSIGN(found.info, text == "host" ? found.backend->hostTarget() : found.backend->parseTarget(text));
  return found;
}

} // namespace kiln
