#include "dialects/kiln/Recurrent.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

namespace {

/// What a recurrent layer has of gates, states (h, c) and activation functions for each direction.
struct Layer {
  int64_t gates, states, functions;
};

} // namespace

/// The shape rule of them all: operands are x, w, r, bias, lengths, a state each, peephole.
static Result<ResultShapes> inferRecurrent(Operation *op, ShapeContext &context, Layer layer) {
  SmallVector<Value> operands = operandsOf(op);
  Attributes attributes = toAttributes(op);
  std::string direction = attributes.getString("direction");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return makeError(ErrorCode::E0411, "direction '", direction, "' is unknown");
  int64_t directions = direction == "bidirectional" ? 2 : 1;
  int64_t functions = 1 + llvm::count(attributes.getString("activations"), ',');
  if (functions != layer.functions && functions != layer.functions * directions)
    return makeError(ErrorCode::E0404, "activations has ", functions, " entries, expected ",
                     layer.functions * directions);
  for (const char *name : {"alpha", "beta"})
    if (size_t count = attributes.getFloats(name).size(); count != 0 && int64_t(count) != functions)
      return makeError(ErrorCode::E0404, name, " has ", count, " entries, expected ", functions);
  if (!(attributes.getFloat("clip") >= 0))
    return makeError(ErrorCode::E0411, "clip is ", attributes.getFloat("clip"), ", expected 0 or more");

  Type element = elementTypeOf(operands[0]);
  if (!isa<FloatType>(element))
    return makeError(ErrorCode::E0305, "the operand must be of a floating-point type");
  Dims x = getDims(operands[0]), r = getDims(operands[2]);
  if (x.size() != 3 || r.size() != 3)
    return makeError(ErrorCode::E0304, "operand ", printDims(x), " and weights of the state ", printDims(r),
                     " must have rank 3");
  SizeExpr count(directions), hidden = r[2];
  auto times = [](const SizeExpr &size, int64_t factor) { return size.isInvalid() ? size : size * factor; };
  auto require = [&](size_t place, StringRef what, const Dims &want, bool isElement = true) -> Status {
    if (place >= operands.size() || !operands[place])
      return Status();
    Dims have = getDims(operands[place]);
    Type type = elementTypeOf(operands[place]);
    if (isElement ? type != element : !type.isInteger(32) && !type.isInteger(64))
      return makeError(ErrorCode::E0305, what.str(),
                       isElement ? ": element type differs from the operand's" : ": must be i32 or i64");
    if (have.size() != want.size())
      return makeError(ErrorCode::E0304, what.str(), ": has rank ", have.size(), ", expected ", want.size());
    for (size_t i = 0; i < want.size(); ++i)
      KILN_TRY(context.requireEqual(have[i], want[i]).withContext(what.str() + ": "));
    return Status();
  };
  KILN_TRY(require(1, "weights", {count, times(hidden, layer.gates), x[2]}));
  KILN_TRY(require(2, "weights of the state", {count, times(hidden, layer.gates), hidden}));
  KILN_TRY(require(3, "bias", {count, times(hidden, 2 * layer.gates)}));
  KILN_TRY(require(4, "lengths", {x[1]}, false));
  Dims state{count, x[1], hidden};
  for (int64_t i = 0; i < layer.states; ++i)
    KILN_TRY(require(size_t(5 + i), "initial state", state));
  KILN_TRY(require(7, "peephole", {count, times(hidden, layer.gates - 1)}));
  ResultShapes shapes{{{x[0], count, x[1], hidden}, element, {}}};
  for (int64_t i = 0; i < layer.states; ++i)
    shapes.push_back({state, element, {}});
  return shapes;
}

Result<ResultShapes> RnnOp::inferShapes(ShapeContext &context) {
  return inferRecurrent(getOperation(), context, {1, 1, 1});
}
Result<ResultShapes> GruOp::inferShapes(ShapeContext &context) {
  return inferRecurrent(getOperation(), context, {3, 1, 2});
}
Result<ResultShapes> LstmOp::inferShapes(ShapeContext &context) {
  return inferRecurrent(getOperation(), context, {4, 2, 3});
}

Result<ResultShapes> LinearAttentionOp::inferShapes(ShapeContext &context) {
  Dims q = getDims(getQ()), k = getDims(getK()), v = getDims(getV());
  Type element = elementTypeOf(getQ());
  if (!isa<FloatType>(element) || (getState() && !isa<FloatType>(elementTypeOf(getState()))))
    return makeError(ErrorCode::E0305, "the operands must be of a floating-point type");
  auto require = [&](Value operand, StringRef what, const Dims &want) -> Status {
    if (!operand)
      return Status();
    Dims have = getDims(operand);
    if (operand != getState() && elementTypeOf(operand) != element)
      return makeError(ErrorCode::E0305, what.str(), ": element type differs from the queries'");
    if (have.size() != want.size())
      return makeError(ErrorCode::E0304, what.str(), ": has rank ", have.size(), ", expected ", want.size());
    for (size_t i = 0; i < want.size(); ++i)
      KILN_TRY(context.requireEqual(have[i], want[i]).withContext(what.str() + ": "));
    return Status();
  };
  if (q.size() != 4 || k.size() != 4 || v.size() != 4)
    return makeError(ErrorCode::E0304, "queries ", printDims(q), ", keys ", printDims(k), " and values ", printDims(v),
                     " must have rank 4");
  KILN_TRY(require(getK(), "keys", {q[0], k[1], q[2], q[3]}));
  KILN_TRY(require(getV(), "values", {q[0], k[1], q[2], v[3]}));
  if (k[1].isConstant(0))
    return makeError(ErrorCode::E0304, "keys and values have no heads");
  if (!q[1].isInvalid() && !k[1].isInvalid())
    KILN_TRY(context.requireEqual(SizeExpr::floorDiv(q[1], k[1]) * k[1], q[1])
                 .withContext("heads of queries that share those of keys and values: "));
  Dims state{q[0], k[1], q[3], v[3]};
  KILN_TRY(require(getState(), "state", state));
  // One for all: a dim that is not 1 is the other.
  auto oneOr = [&](Value operand, unsigned dim, const SizeExpr &size) {
    return operand && getRank(operand.getType()) == 4 && getDims(operand)[dim].isConstant(1) ? SizeExpr(1) : size;
  };
  KILN_TRY(require(getDecay(), "decay", {q[0], k[1], q[2], oneOr(getDecay(), 3, q[3])}));
  KILN_TRY(require(getBeta(), "beta", {q[0], oneOr(getBeta(), 1, k[1]), q[2], SizeExpr(1)}));
  return ResultShapes{{{q[0], q[1], q[2], v[3]}, element, {}},
                      {state, getState() ? elementTypeOf(getState()) : element, {}}};
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Recurrent.cpp.inc"
