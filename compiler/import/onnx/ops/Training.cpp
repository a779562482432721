// Steps of optimizers: domain ai.onnx.preview.training. Inputs are a rate and the number of updates so far, then lists:
// all tensors, all their gradients, and what the optimizer remembers of each.
#include "compiler/import/onnx/OpTable.h"

namespace kiln::onnx {
namespace {

class Optimizer {
public:
  Optimizer(NodeImport &node, size_t memories) : node(node), memories(memories) {}

  /// The number of tensors; E0306 where the lists do not have one length.
  Result<size_t> count() {
    KILN_TRY(node.allOperands().status());
    const size_t given = node.operandCount();
    if (given < 2 || (given - 2) % (2 + memories) != 0)
      return makeError(ErrorCode::E0306, "has ", given, " inputs; expected 2 and a multiple of ", 2 + memories);
    KILN_ASSIGN(rate, node.reshape(node.operand(0), {}));
    KILN_ASSIGN(updates, node.reshape(node.operand(1), {}));
    return (given - 2) / (2 + memories);
  }

  Result<Value> binary(const char *mnemonic, Value a, Value b) const { return node.emit(mnemonic, {a, b}); }
  Result<Value> scaled(Value x, double factor) const {
    return factor == 1 ? Result<Value>(x) : binary("mul", x, node.scalar(factor, node.dtype(x)));
  }
  /// a * x + b * y
  Result<Value> sum(Value x, double a, Value y, double b) const {
    KILN_ASSIGN(x, scaled(x, a));
    KILN_ASSIGN(y, scaled(y, b));
    return binary("add", x, y);
  }
  /// The gradient with the regularization of x.
  Result<Value> gradient(Value x, Value g) const {
    KILN_ASSIGN(double norm, node.floatAttribute("norm_coefficient", 0));
    return norm == 0 ? Result<Value>(g) : sum(x, norm, g, 1);
  }
  /// x - rate * step
  Result<Value> moved(Value x, Value rate, Value step) const {
    KILN_ASSIGN(rate, node.cast(rate, node.dtype(x)));
    KILN_ASSIGN(step, binary("mul", rate, step));
    return binary("sub", x, step);
  }
  /// Whether there were updates.
  Result<Value> begun() const { return binary("greater", updates, node.scalar(0, node.dtype(updates))); }
  /// sqrt(h) + epsilon
  Result<Value> root(Value h) const {
    KILN_ASSIGN(double epsilon, node.floatAttribute("epsilon", double(1e-6f)));
    KILN_ASSIGN(h, node.emit("sqrt", {h}));
    return binary("add", h, node.scalar(epsilon, node.dtype(h)));
  }

  Value rate, updates; // scalars; known after count()

private:
  NodeImport &node;
  size_t memories;
};

Status adagrad(NodeImport &node) {
  Optimizer o(node, 1);
  KILN_ASSIGN(size_t count, o.count());
  KILN_ASSIGN(double decay, node.floatAttribute("decay_factor", 0));
  KILN_ASSIGN(Value steps, node.cast(o.updates, node.dtype(o.rate)));
  KILN_ASSIGN(steps, o.scaled(steps, decay));
  KILN_ASSIGN(steps, o.binary("add", steps, node.scalar(1, node.dtype(steps))));
  KILN_ASSIGN(Value rate, o.binary("div", o.rate, steps));
  for (size_t i = 0; i < count; ++i) {
    Value x = node.operand(2 + i), h = node.operand(2 + 2 * count + i);
    KILN_ASSIGN(Value g, o.gradient(x, node.operand(2 + count + i)));
    KILN_ASSIGN(Value square, o.binary("mul", g, g));
    KILN_ASSIGN(h, o.binary("add", h, square));
    KILN_ASSIGN(Value root, o.root(h));
    KILN_ASSIGN(Value step, o.binary("div", g, root));
    KILN_ASSIGN(x, o.moved(x, rate, step));
    node.setResult(i, x);
    node.setResult(count + i, h);
  }
  return Status();
}

Status momentum(NodeImport &node) {
  Optimizer o(node, 1);
  KILN_ASSIGN(size_t count, o.count());
  for (const char *name : {"alpha", "beta", "mode", "norm_coefficient"})
    KILN_TRY(node.requireAttribute(name));
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", 0));
  KILN_ASSIGN(double beta, node.floatAttribute("beta", 0));
  KILN_ASSIGN(std::string mode, node.textAttribute("mode", ""));
  if (mode != "standard" && mode != "nesterov")
    return makeError(ErrorCode::E0411, "mode is \"", mode, "\"; expected \"standard\" or \"nesterov\"");
  KILN_ASSIGN(Value begun, o.begun());
  for (size_t i = 0; i < count; ++i) {
    Value x = node.operand(2 + i), v = node.operand(2 + 2 * count + i);
    const DType dtype = node.dtype(x);
    KILN_ASSIGN(Value g, o.gradient(x, node.operand(2 + count + i)));
    KILN_ASSIGN(Value factor, node.emit("where", {begun, node.scalar(beta, dtype), node.scalar(1, dtype)}));
    KILN_ASSIGN(Value own, o.binary("mul", factor, g));
    KILN_ASSIGN(v, o.sum(v, alpha, own, 1));
    Value step = v;
    if (mode == "nesterov") {
      KILN_ASSIGN(step, o.sum(g, 1, v, alpha));
    }
    KILN_ASSIGN(x, o.moved(x, o.rate, step));
    node.setResult(i, x);
    node.setResult(count + i, v);
  }
  return Status();
}

Status adam(NodeImport &node) {
  Optimizer o(node, 2);
  KILN_ASSIGN(size_t count, o.count());
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", double(0.9f)));
  KILN_ASSIGN(double beta, node.floatAttribute("beta", double(0.999f)));
  KILN_ASSIGN(double post, node.floatAttribute("norm_coefficient_post", 0));
  // rate * sqrt(1 - beta^updates) / (1 - alpha^updates), from the first update on
  const DType dtype = node.dtype(o.rate);
  KILN_ASSIGN(Value steps, node.cast(o.updates, dtype));
  auto decayed = [&](double factor) -> Result<Value> {
    KILN_ASSIGN(Value power, o.binary("pow", node.scalar(factor, dtype), steps));
    return o.binary("sub", node.scalar(1, dtype), power);
  };
  KILN_ASSIGN(Value over, decayed(beta));
  KILN_ASSIGN(over, node.emit("sqrt", {over}));
  KILN_ASSIGN(Value under, decayed(alpha));
  KILN_ASSIGN(Value factor, o.binary("div", over, under));
  KILN_ASSIGN(Value rate, o.binary("mul", o.rate, factor));
  KILN_ASSIGN(Value begun, o.begun());
  KILN_ASSIGN(rate, node.emit("where", {begun, rate, o.rate}));
  for (size_t i = 0; i < count; ++i) {
    Value x = node.operand(2 + i), v = node.operand(2 + 2 * count + i), h = node.operand(2 + 3 * count + i);
    KILN_ASSIGN(Value g, o.gradient(x, node.operand(2 + count + i)));
    KILN_ASSIGN(Value square, o.binary("mul", g, g));
    KILN_ASSIGN(v, o.sum(v, alpha, g, 1 - alpha));
    KILN_ASSIGN(h, o.sum(h, beta, square, 1 - beta));
    KILN_ASSIGN(Value root, o.root(h));
    KILN_ASSIGN(Value step, o.binary("div", v, root));
    KILN_ASSIGN(x, o.moved(x, rate, step));
    KILN_ASSIGN(x, o.scaled(x, 1 - post));
    node.setResult(i, x);
    node.setResult(count + i, v);
    node.setResult(2 * count + i, h);
  }
  return Status();
}

constexpr OpEntry table[] = {
    {"Adagrad", 1, adagrad, "ai.onnx.preview.training"},
    {"Adam", 1, adam, "ai.onnx.preview.training"},
    {"Momentum", 1, momentum, "ai.onnx.preview.training"},
};

} // namespace

std::span<const OpEntry> trainingOps() { return table; }

} // namespace kiln::onnx
