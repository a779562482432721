#include "dialects/kiln/Elementwise.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/OpTable.h"
#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace kiln {

static std::string printType(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

static Result<Type> resultElement(Operation *op, ElementRule rule) {
  MLIRContext *context = op->getContext();
  if (rule == ElementRule::Cast) {
    StringRef name = cast<CastOp>(op).getTo();
    auto dtype = dtypeFromName(std::string_view(name.data(), name.size()));
    if (!dtype)
      return makeError(ErrorCode::E0411, "'", name.str(), "' names no element type");
    return elementTypeOf(context, *dtype);
  }
  unsigned first = rule == ElementRule::Where ? 1 : 0;
  Type element = elementTypeOf(op->getOperand(first));
  StringRef name = mnemonicOf(op);
  if (const OpInfo *info = findOp(std::string_view(name.data(), name.size())))
    if (auto dtype = dtypeOf(element); dtype && !info->body.takes(*dtype))
      return makeError(ErrorCode::E0203, info->name, " is defined for ", info->body.typeNames(), ", not for ",
                       dtypeName(*dtype));
  if (first == 1 && !elementTypeOf(op->getOperand(0)).isInteger(1))
    return makeError(ErrorCode::E0305, "the condition must be bool, not ", printType(elementTypeOf(op->getOperand(0))));
  // The exponent of pow may have a type of its own.
  if (!isa<PowOp>(op))
    for (Value operand : op->getOperands().drop_front(first))
      if (elementTypeOf(operand) != element)
        return makeError(ErrorCode::E0305, "operands have different element types ", printType(element), " and ",
                         printType(elementTypeOf(operand)));
  if (rule == ElementRule::Bool)
    return Type(IntegerType::get(context, 1));
  return element;
}

Result<ResultShapes> inferElementwise(Operation *op, ShapeContext &context, ElementRule rule) {
  KILN_ASSIGN(Type element, resultElement(op, rule));
  Dims dims = getDims(op->getOperand(0));
  for (Value operand : op->getOperands().drop_front()) {
    Dims other = getDims(operand);
    Result<Dims> both = context.broadcast(dims, other);
    if (!both.ok())
      return both.status().withContext("shapes " + printDims(dims) + " and " + printDims(other) +
                                       " do not broadcast: ");
    dims = *both;
  }
  return one(dims, element);
}

// --- symbolic integers

namespace {

/// -1, 0 or 1 as `a` is surely less than, equal to or greater than `b`.
std::optional<int> compare(ShapeContext &context, const SizeExpr &a, const SizeExpr &b) {
  if (auto difference = (context.expand(a) - context.expand(b)).asConstant())
    return *difference < 0 ? -1 : *difference > 0;
  if (auto limit = b.asConstant(); limit && context.lowerBound(a) && *context.lowerBound(a) > *limit)
    return 1;
  if (auto limit = a.asConstant(); limit && context.lowerBound(b) && *context.lowerBound(b) > *limit)
    return -1;
  return std::nullopt;
}

std::optional<SizeExpr> truth(std::optional<int> order, llvm::function_ref<bool(int)> holds) {
  if (!order)
    return std::nullopt;
  return SizeExpr(int64_t(holds(*order)));
}

/// One element of the result; nothing where it is not known as an expression.
std::optional<SizeExpr> evaluate(Operation *op, ShapeContext &context, ArrayRef<SizeExpr> x) {
  auto nonNegative = [&](const SizeExpr &e) { return context.lowerBound(e).value_or(-1) >= 0; };
  return llvm::TypeSwitch<Operation *, std::optional<SizeExpr>>(op)
      .Case([&](AddOp) { return x[0] + x[1]; })
      .Case([&](SubOp) { return x[0] - x[1]; })
      .Case([&](MulOp) { return x[0] * x[1]; })
      .Case([&](NegOp) { return SizeExpr(0) - x[0]; })
      .Case([&](MaxOp) { return SizeExpr::max(x[0], x[1]); })
      .Case([&](MinOp) { return SizeExpr::min(x[0], x[1]); })
      .Case([&](DivOp) -> std::optional<SizeExpr> {
        auto a = x[0].asConstant(), b = x[1].asConstant();
        if (b && *b == 0)
          return std::nullopt;
        if (a && b)
          return *b == -1 ? SizeExpr(0) - x[0] : SizeExpr(*a / *b);
        // Truncation and floor agree where nothing is negative; a symbolic divisor of 0 fails when it is evaluated.
        if (nonNegative(x[0]) && nonNegative(x[1]))
          return SizeExpr::floorDiv(x[0], x[1]);
        return std::nullopt;
      })
      .Case([&](ModOp mod) -> std::optional<SizeExpr> {
        if (x[1].isConstant(0) || (mod.getFmod() && !(nonNegative(x[0]) && nonNegative(x[1]))))
          return std::nullopt;
        return SizeExpr::mod(x[0], x[1]);
      })
      .Case([&](CastOp cast) -> std::optional<SizeExpr> {
        Type from = elementTypeOf(cast.getX());
        StringRef to = cast.getTo();
        if (to == "i64" || to == "i32" || (to == "bool" && from.isInteger(1)))
          return x[0];
        return std::nullopt;
      })
      .Case([&](EqualOp) { return truth(compare(context, x[0], x[1]), [](int o) { return o == 0; }); })
      .Case([&](LessOp) { return truth(compare(context, x[0], x[1]), [](int o) { return o < 0; }); })
      .Case([&](LessEqualOp) { return truth(compare(context, x[0], x[1]), [](int o) { return o <= 0; }); })
      .Case([&](GreaterOp) { return truth(compare(context, x[0], x[1]), [](int o) { return o > 0; }); })
      .Case([&](GreaterEqualOp) { return truth(compare(context, x[0], x[1]), [](int o) { return o >= 0; }); })
      .Case([&](NotOp) -> std::optional<SizeExpr> {
        if (auto value = x[0].asConstant())
          return SizeExpr(int64_t(*value == 0));
        return std::nullopt;
      })
      .Case([&](AndOp) -> std::optional<SizeExpr> {
        if (x[0].isConstant() && x[1].isConstant())
          return SizeExpr(int64_t(x[0].constant() && x[1].constant()));
        return std::nullopt;
      })
      .Case([&](OrOp) -> std::optional<SizeExpr> {
        if (x[0].isConstant() && x[1].isConstant())
          return SizeExpr(int64_t(x[0].constant() || x[1].constant()));
        return std::nullopt;
      })
      .Case([&](WhereOp) -> std::optional<SizeExpr> {
        if (auto condition = x[0].asConstant())
          return *condition ? x[1] : x[2];
        return x[1] == x[2] ? std::optional(x[1]) : std::nullopt;
      })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace

std::optional<SizeValues> elementwiseSizeValues(Operation *op, ShapeContext &context) {
  SmallVector<SizeValues, 3> operands;
  size_t count = 1;
  for (Value operand : op->getOperands()) {
    auto values = context.values(operand);
    // Scalars and vectors cover the arithmetic of shapes; higher ranks only without broadcasting.
    if (!values)
      return std::nullopt;
    if (values->size() != 1)
      count = values->size();
    operands.push_back(std::move(*values));
  }
  for (auto [operand, values] : llvm::zip(op->getOperands(), operands))
    if (values.size() != 1 && values.size() != count)
      return std::nullopt;
    else if (values.size() == count && count > 1 && getRank(operand.getType()) > 1)
      for (Value other : op->getOperands())
        if (getDims(other).size() > 0 && getDims(other) != getDims(operand))
          return std::nullopt;
  SizeValues result;
  for (size_t i = 0; i < count; ++i) {
    SmallVector<SizeExpr, 3> x;
    for (const SizeValues &values : operands)
      x.push_back(values[values.size() == 1 ? 0 : i]);
    auto element = evaluate(op, context, x);
    if (!element)
      return std::nullopt;
    result.push_back(*element);
  }
  return result;
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Elementwise.cpp.inc"
