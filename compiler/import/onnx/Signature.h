// The graph's inputs as types: declared dims, names of unknown sizes, and the caller's overrides.
#pragma once

#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/OnnxModel.h"
#include "dialects/kiln/SizeTable.h"

#include <set>

namespace kiln::onnx {

class Signature {
public:
  Signature(mlir::MLIRContext *context, SizeTable &sizes, const ImportOptions &options)
      : context(context), sizes(sizes), options(options) {}

  /// The types of `inputs`, in order; declares their symbols.
  Result<std::vector<mlir::Type>> inputTypes(const std::vector<const ValueInfoProto *> &inputs);

private:
  Result<mlir::Type> elementType(const ValueInfoProto &input);
  Result<Dims> declaredDims(const ValueInfoProto &input);
  std::string freshName(const ValueInfoProto &input, size_t axis);

  mlir::MLIRContext *context;
  SizeTable &sizes;
  const ImportOptions &options;
  std::set<std::string, std::less<>> names; // taken
};

} // namespace kiln::onnx
