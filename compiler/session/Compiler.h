// One call from a model to an artifact, or to the text of a stage.

#pragma once

#include "compiler/session/Options.h"
#include "runtime/base/Tensor.h"

#include <cstddef>
#include <string>
#include <vector>

namespace kiln {

struct CompileOutput {
  std::string path;              ///< file to write; empty: none
  AlignedBytes *bytes = nullptr; ///< memory to fill; null: none
};

/// Compiles the models, each an entry of one artifact. The output is an artifact; with CompileOptions::stopAfter (other
/// than `artifact`) the module's text.
Status compileModels(std::vector<CompileInput> inputs, const CompileOptions &options, const CompileOutput &output);
Status compileModel(const CompileInput &input, const CompileOptions &options, const CompileOutput &output);

} // namespace kiln
