#include "test/ops/OneOpModel.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/OpTable.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "passes/Stages.h"

#include <charconv>
#include <set>

namespace kiln::test {
namespace {

} // namespace

bool saysDims(const Case &c, size_t operand) {
  static const std::set<std::string_view> shaped = {"reshape", "expand", "tile", "slice", "resize", "topk", "dft"};
  if (c.op == "range")
    return true;
  return (operand >= 1 && shaped.count(c.op)) || (operand == 1 && c.op == "pad");
}

namespace {

bool isNumber(const std::string &text) {
  int64_t value;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Status cannot(const std::string &why) { return Status(ErrorCode::E0201, why); }

class Builder {
public:
  Builder(const Case &c, const Sizes &sizes, const std::vector<Tensor> &operands, Mode mode)
      : c(c), sizes(sizes), operands(operands), mode(mode), builder(&context) {
    context.loadDialect<KilnDialect, mlir::func::FuncDialect>();
  }

  Result<OneOpModel> run() {
    mlir::Location loc = mlir::NameLoc::get(builder.getStringAttr(c.op));
    mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(loc);
    setStage(*module, Stage::Imported);
    builder.setInsertionPointToEnd(module->getBody());

    OneOpModel model;
    llvm::SmallVector<mlir::Type> types;
    for (size_t k = 0; k < c.operands.size(); ++k) {
      const mlir::OperationName name("kiln." + c.op, &context);
      if (c.operands[k].absent && k + 1 < c.operands.size() &&
          !name.hasTrait<mlir::OpTrait::AttrSizedOperandSegments>())
        return cannot("an operand is absent in the middle");
      if (!isInput(k))
        continue;
      model.inputs.push_back(k);
      KILN_ASSIGN(types.emplace_back(), inputType(c.operands[k]));
    }
    auto function = builder.create<mlir::func::FuncOp>(loc, "main", builder.getFunctionType(types, {}));
    mlir::Block *body = function.addEntryBlock();
    builder.setInsertionPointToEnd(body);
    for (size_t i = 0; i < model.inputs.size(); ++i)
      function.setArgAttr(static_cast<unsigned>(i), "kiln.name",
                          builder.getStringAttr(c.operands[model.inputs[i]].name));

    llvm::SmallVector<mlir::Value> values(c.operands.size());
    for (size_t i = 0; i < model.inputs.size(); ++i)
      values[model.inputs[i]] = body->getArgument(static_cast<unsigned>(i));
    for (size_t k = 0; k < c.operands.size(); ++k)
      if (!values[k] && !c.operands[k].absent) {
        KILN_ASSIGN(values[k], constant(k, values));
      }
    KILN_ASSIGN(mlir::Operation * op, makeOp(builder, table, loc, c.op, values, completed(c.attributes)));
    builder.create<mlir::func::ReturnOp>(loc, op->getResults());
    function.setFunctionType(builder.getFunctionType(types, op->getResultTypes()));
    for (unsigned i = 0; i < op->getNumResults(); ++i)
      function.setResultAttr(i, "kiln.name", builder.getStringAttr("result" + (i ? std::to_string(i) : "")));
    table.write(function);
    llvm::raw_string_ostream stream(model.text);
    module->print(stream, mlir::OpPrintingFlags().enableDebugInfo(true, false));
    return model;
  }

private:
  bool isInput(size_t operand) const {
    if (c.operands[operand].absent || (saysDims(c, operand) && mode != Mode::Data) || mode == Mode::Constants)
      return false;
    return mode != Mode::Weights || operand == 0;
  }

  Result<mlir::Type> inputType(const OperandSpec &spec) {
    llvm::SmallVector<SizeExpr> dims;
    for (const std::string &dim : spec.dims) {
      if (mode == Mode::Dynamic && !isNumber(dim)) {
        dims.push_back(table.declareUser(dim));
      } else {
        const auto it = sizes.find(dim);
        dims.push_back(SizeExpr(it != sizes.end() ? it->second : int64_t{std::stoll(dim)}));
      }
    }
    return mlir::Type(makeTensorType(dims, elementTypeOf(&context, spec.dtype)));
  }

  mlir::Value dense(const TensorView &view) {
    mlir::DenseElementsAttr elements = denseAttr(&context, view);
    mlir::NamedAttribute value(builder.getStringAttr("value"), elements);
    mlir::OperationState state(builder.getUnknownLoc(), "kiln.constant", {}, elements.getType(), value);
    return builder.create(state)->getResult(0);
  }

  /// A constant operand; in mode Dynamic its letters are read off the dims of other operands.
  Result<mlir::Value> constant(size_t k, llvm::ArrayRef<mlir::Value> values) {
    const OperandSpec &spec = c.operands[k];
    bool letters = false;
    for (const std::string &item : spec.list)
      letters |= !isFloat(spec.dtype) && !isNumber(item);
    if (mode != Mode::Dynamic || !letters) {
      for (const std::string &dim : spec.dims)
        if (mode == Mode::Dynamic && !isNumber(dim))
          return cannot("a constant operand has a symbolic dim");
      return dense(operands[k].view());
    }
    if (spec.dims.size() != 1 || spec.dtype != DType::I64)
      return cannot("a letter stands in an operand that is no list of sizes");
    llvm::SmallVector<mlir::Value> parts;
    for (const std::string &item : spec.list) {
      if (isNumber(item)) {
        int64_t number = std::stoll(item), one = 1;
        parts.push_back(dense({&number, DType::I64, std::span(&one, 1)}));
        continue;
      }
      KILN_ASSIGN(parts.emplace_back(), sizeOf(item, values));
    }
    KILN_ASSIGN(mlir::Operation * concat,
                makeOp(builder, table, builder.getUnknownLoc(), "concat", parts, Attributes{{"axis", int64_t(0)}}));
    return concat->getResult(0);
  }

  Result<mlir::Value> sizeOf(const std::string &letter, llvm::ArrayRef<mlir::Value> values) {
    for (size_t k = 0; k < c.operands.size(); ++k)
      for (size_t d = 0; d < c.operands[k].dims.size(); ++d)
        if (values[k] && c.operands[k].dims[d] == letter) {
          const auto at = static_cast<int64_t>(d);
          KILN_ASSIGN(mlir::Operation * shape, makeOp(builder, table, builder.getUnknownLoc(), "shape", values[k],
                                                      Attributes{{"start", at}, {"end", at + 1}}));
          return shape->getResult(0);
        }
    return cannot("no operand has the dim " + letter);
  }

  /// Cases leave out lists that importers always write.
  Attributes completed(Attributes attributes) const {
    if (c.op == "slice" && attributes.contains("starts")) {
      const size_t count = attributes.getInts("starts").size();
      std::vector<int64_t> axes(count);
      for (size_t i = 0; i < count; ++i)
        axes[i] = static_cast<int64_t>(i);
      attributes.set("axes", attributes.getInts("axes", axes));
      attributes.set("steps", attributes.getInts("steps", std::vector<int64_t>(count, 1)));
    }
    static const std::set<std::string_view> windowed = {"conv",     "conv_transpose", "max_pool",   "max_pool_indices",
                                                        "avg_pool", "lp_pool",        "deform_conv"};
    if (!windowed.count(c.op))
      return attributes;
    const int64_t rank = static_cast<int64_t>(c.operands[0].dims.size()) - 2;
    if (rank < 1)
      return attributes;
    for (const char *name : {"strides", "dilations"})
      if (!attributes.contains(name))
        attributes.set(name, std::vector<int64_t>(rank, 1));
    if (!attributes.contains("pads"))
      attributes.set("pads", std::vector<int64_t>(2 * rank, 0));
    return attributes;
  }

  const Case &c;
  const Sizes &sizes;
  const std::vector<Tensor> &operands;
  const Mode mode;
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  mlir::OpBuilder builder;
  SizeTable table;
};

} // namespace

std::string_view modeName(Mode mode) {
  switch (mode) {
  case Mode::Static: return "static sizes";
  case Mode::Dynamic: return "unknown sizes";
  case Mode::Weights: return "constant weights";
  case Mode::Constants: return "constant operands";
  case Mode::Data: return "sizes from data";
  }
  return "";
}

Result<OneOpModel> makeModel(const Case &c, const Sizes &sizes, const std::vector<Tensor> &operands, Mode mode) {
  return Builder(c, sizes, operands, mode).run();
}

} // namespace kiln::test
