// A parsed model to a function: order, names, inlined functions, and everything unsupported
// collected into one error.
#pragma once

#include "compiler/import/onnx/ImportState.h"
#include "compiler/import/onnx/Importer.h"

namespace kiln::onnx {

/// Nodes after inlining; a small model of nested functions must not explode.
inline constexpr size_t kMaxNodes = size_t(1) << 20;

/// Builds func @main at the builder's insertion point. `label` is the file's name in errors.
Status importModel(ImportState &state, const ModelProto &model, const ImportOptions &options, const std::string &label);

} // namespace kiln::onnx
