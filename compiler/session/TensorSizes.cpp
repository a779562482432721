#include "compiler/session/TensorSizes.h"

#include "compiler/session/Diagnostics.h"
#include "dialects/kiln/Build.h"
#include "runtime/base/Tensor.h"
#include "runtime/plan/Program.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace kiln;

/// No machine has more; below it, counts of elements, bytes and operations per element fit 64 bits.
static constexpr int64_t mostBytes = int64_t(1) << 47;

/// A size that `dim` is never below, whatever the inputs are: its value for the least of all symbols, where it grows
/// with them; else 0.
static int64_t leastOf(const SizeTable &sizes, const SizeExpr &dim) {
  SizeExpr expr = sizes.expand(dim);
  std::string text = expr.print();
  for (const char *shrinks : {"-", "div", "mod"})
    if (text.find(shrinks) != std::string::npos)
      return 0;
  Result<int64_t> least = expr.evaluate([&](const std::string &name) {
    const SizeTable::Symbol *symbol = sizes.find(name);
    return std::optional<int64_t>(symbol ? symbol->low : 0);
  });
  return least.ok() ? *least : least.status().code() == ErrorCode::E0308 ? INT64_MAX : 0;
}

static Status checkType(const SizeTable &sizes, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  std::optional<DType> dtype = tensor ? dtypeOf(tensor.getElementType()) : std::nullopt;
  if (!dtype)
    return Status::success();
  if (size_t(tensor.getRank()) > maxRank)
    return makeError(ErrorCode::E0207, "a tensor of ", tensor.getRank(), " dims; at most ", maxRank, " are supported");
  // What is known of the dims may be too much already. One that is 0 makes the tensor small, but not its strides.
  std::vector<int64_t> dims;
  for (const SizeExpr &dim : getDims(type))
    if (int64_t least = dim.isInvalid() ? 0 : leastOf(sizes, dim); least != 0)
      dims.push_back(least);
  std::optional<int64_t> bytes = byteCount(*dtype, dims);
  if (bytes && *bytes <= mostBytes)
    return Status::success();
  std::string text;
  for (const SizeExpr &dim : getDims(type))
    text += (text.empty() ? "" : ",") + (dim.isInvalid() ? std::string("?") : sizes.expand(dim).print());
  return makeError(ErrorCode::E0308, "a tensor ", dtypeName(*dtype), "[", text, "] is larger than any memory");
}

Status kiln::checkTensorSizes(ModuleOp module) {
  Status status;
  SizeTable sizes;
  auto check = [&](Type type, auto where) {
    status = checkType(sizes, type);
    if (!status.ok())
      status = status.withContext(where());
    return status.ok();
  };
  for (auto function : module.getOps<func::FuncOp>()) {
    KILN_ASSIGN(sizes, SizeTable::read(function));
    for (BlockArgument argument : function.getArguments())
      if (!check(argument.getType(), [&] {
            auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), nameAttrName);
            return "input \"" + (name ? name.getValue().str() : std::to_string(argument.getArgNumber())) + "\": ";
          }))
        return status;
    for (Operation &op : function.getBody().front())
      for (Type type : op.getResultTypes())
        if (!check(type, [&] { return "node \"" + nodeName(op.getLoc()) + "\": "; }))
          return status;
  }
  return Status::success();
}
