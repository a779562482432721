// The graph's inputs as arguments of a function: declared dims, names of unknown sizes, and the caller's overrides.
//
// A sequence is one argument with its items along a first dim of its own, which only a run tells; or an argument for
// each item, where the caller says their shapes ("x[0]", "x[1]" ...). An optional is a sequence of one item or none.
#pragma once

#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/OnnxModel.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/kiln/ValuePart.h"

#include <set>

namespace kiln::onnx {

/// An argument or result of a model's function.
struct FunctionPort {
  std::string name;
  mlir::Type type;
  std::optional<ValuePart> part{}; ///< of what is no tensor
};

/// "x[1]": the name of an item of a sequence.
std::string itemName(std::string_view sequence, size_t item);

class Signature {
public:
  Signature(mlir::MLIRContext *context, SizeTable &sizes, const ImportOptions &options)
      : context(context), sizes(sizes), options(options) {}

  /// The arguments for each of `inputs`, in order; declares their symbols.
  Result<std::vector<std::vector<FunctionPort>>> inputPorts(const std::vector<const ValueInfoProto *> &inputs);

private:
  Result<mlir::Type> elementType(const ValueInfoProto &input);
  Result<Dims> declaredDims(const ValueInfoProto &input);
  Result<std::vector<DeclaredInput>> declaredInputs(const ValueInfoProto &input,
                                                    const std::vector<const ValueInfoProto *> &inputs);
  Dims itemDims(const ValueInfoProto &input, const std::string &item) const;
  SizeExpr presence(const ValueInfoProto &input);
  std::string freshName(std::string name);

  mlir::MLIRContext *context;
  SizeTable &sizes;
  const ImportOptions &options;
  std::set<std::string, std::less<>> names; // taken
};

} // namespace kiln::onnx
