// The same vector-level code, compiled in other ways than Kiln does: whether MLIR or LLVM is to blame for a wrong
// kernel.

#pragma once

#include "codegen/harness/KernelHarness.h"

#include <string>
#include <vector>

namespace kiln::reduce {

struct OtherCompiler {
  std::string name;
  CodeMaker make;
};

/// LLVM at its least effort, and upstream's tools where they are installed, which use `folder`.
std::vector<OtherCompiler> otherCompilers(const std::string &folder);

} // namespace kiln::reduce
