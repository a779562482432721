// The passes' questions (dialects/kiln/KernelOracle.h) answered by the kernel families.
#pragma once

#include "codegen/Choose.h"
#include "dialects/kiln/KernelOracle.h"

namespace kiln {

class CodegenOracle : public KernelOracle {
public:
  explicit CodegenOracle(ChooseOptions options, Precision precision = Precision::Default)
      : options(std::move(options)), precision(precision) {}

  std::vector<Implementation> propose(llvm::ArrayRef<mlir::Operation *> ops, llvm::ArrayRef<mlir::Value> outputs,
                                      const SizeTable &sizes) override;
  bool isLiteral(mlir::Value constant) override;
  std::optional<std::string> layoutPreference(mlir::Operation *op) override;
  double flops(mlir::Operation *op) override;
  Result<KernelChoice> choose(mlir::Operation *kernel, const SizeTable &sizes) override;
  /// The families that it asks, in order of preference.
  std::span<const KernelFamily *const> families() const { return options.families; }

private:
  /// Of a problem that was asked before, the answer is remembered: regions grow over the same steps in every block of a
  /// model.
  Result<std::vector<Implementation>> implementations(const Problem &problem);

  ChooseOptions options;
  std::map<std::string, std::vector<Implementation>> known; ///< by problem text
  Precision precision;
};

} // namespace kiln
