// The op definitions against what belongs to them: every op has a reference kernel, and every scalar body computes what
// that kernel says.
#include "dialects/kiln/OpTable.h"
#include "runtime/base/Tensor.h"
#include "runtime/reference/Reference.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <optional>
#include <span>

namespace kiln {
#include "codegen/ScalarBodies.inc"
}

using namespace kiln;

namespace {

/// An emitter that computes at once, in f64; booleans and integers are numbers too.
struct Evaluator {
  using Value = double;
  double constant(double v) { return v; }
  double add(double a, double b) { return a + b; }
  double sub(double a, double b) { return a - b; }
  double mul(double a, double b) { return a * b; }
  double div(double a, double b) { return a / b; }
  double neg(double a) { return -a; }
  double abs(double a) { return std::fabs(a); }
  double sign(double a) { return (a > 0) - (a < 0); }
  double ceil(double a) { return std::ceil(a); }
  double floor(double a) { return std::floor(a); }
  double round(double a) { return std::nearbyint(a); }
  double exp(double a) { return std::exp(a); }
  double expm1(double a) { return std::expm1(a); }
  double log(double a) { return std::log(a); }
  double log1p(double a) { return std::log1p(a); }
  double sqrt(double a) { return std::sqrt(a); }
  double sin(double a) { return std::sin(a); }
  double cos(double a) { return std::cos(a); }
  double tan(double a) { return std::tan(a); }
  double tanh(double a) { return std::tanh(a); }
  double atan(double a) { return std::atan(a); }
  double erf(double a) { return std::erf(a); }
  double sigmoid(double a) { return 1 / (1 + std::exp(-a)); }
  double normalCdf(double a) { return 0.5 * std::erfc(-a / std::sqrt(2.0)); }
  double isNan(double a) { return std::isnan(a); }
  double pow(double a, double b) { return std::pow(a, b); }
  double mod(double a, double b) { return a - b * std::floor(a / b); }
  double fmod(double a, double b) { return std::fmod(a, b); }
  double maximum(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b); }
  double minimum(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::fmin(a, b); }
  double less(double a, double b) { return a < b; }
  double lessEqual(double a, double b) { return a <= b; }
  double greater(double a, double b) { return a > b; }
  double greaterEqual(double a, double b) { return a >= b; }
  double equal(double a, double b) { return a == b; }
  double where(double c, double a, double b) { return c != 0 ? a : b; }
  double logicalNot(double a) { return a == 0; }
  double logicalAnd(double a, double b) { return a != 0 && b != 0; }
  double logicalOr(double a, double b) { return a != 0 || b != 0; }
  double logicalXor(double a, double b) { return (a != 0) != (b != 0); }
  double bitwiseAnd(double a, double b) { return double(int64_t(a) & int64_t(b)); }
  double bitwiseOr(double a, double b) { return double(int64_t(a) | int64_t(b)); }
  double bitwiseXor(double a, double b) { return double(int64_t(a) ^ int64_t(b)); }
  double shiftLeft(double a, double b) {
    return b < 0 || b >= 64 ? 0 : double(int64_t(uint64_t(int64_t(a)) << int(b)));
  }
  double shiftRight(double a, double b) { return double(int64_t(a) >> (b < 0 || b >= 64 ? 63 : int(b))); }
  double cast(double a, const std::string &) { return a; }
};

double bodyOf(std::string_view op, std::span<const double> x, const Attributes &attributes) {
  Evaluator e;
#define KILN_X(name, function) \
  if (op == name)              \
    return function(e, x, attributes);
  KILN_SCALAR_BODIES(KILN_X)
#undef KILN_X
  FAIL("no scalar body of " << op);
  return 0;
}

bool isLogical(std::string_view op) { return op == "and" || op == "or" || op == "xor" || op == "not"; }
bool isBitwise(std::string_view op) { return op.starts_with("bitwise") || op.starts_with("shift"); }

/// The operand type that the op is tried with.
DType operandType(std::string_view op, size_t index) {
  if (isLogical(op) || (op == "where" && index == 0))
    return DType::Bool;
  return isBitwise(op) ? DType::I64 : DType::F64;
}

double read(const Tensor &tensor) {
  switch (tensor.dtype()) {
  case DType::F64: return *tensor.as<double>();
  case DType::I64: return double(*tensor.as<int64_t>());
  default: return *tensor.as<uint8_t>();
  }
}

Tensor scalar(DType dtype, double value) {
  Tensor tensor = *Tensor::create(dtype, std::span<const int64_t>());
  switch (dtype) {
  case DType::F64: *tensor.as<double>() = value; break;
  case DType::I64: *tensor.as<int64_t>() = int64_t(value); break;
  default: *tensor.as<uint8_t>() = value != 0; break;
  }
  return tensor;
}

DType resultType(std::string_view op) {
  static constexpr std::string_view logical[] = {
      "and", "equal", "greater", "greater_equal", "isnan", "less", "less_equal", "not", "or", "xor"};
  for (std::string_view name : logical)
    if (op == name)
      return DType::Bool;
  return isBitwise(op) ? DType::I64 : DType::F64;
}

} // namespace

TEST_CASE("every op has a reference kernel") {
  for (const OpInfo &op : allOps())
    if (!op.structural) {
      INFO(op.name);
      CHECK(ref::find(op.name) != nullptr);
    }
}

TEST_CASE("every op says what code generation needs to know of it") {
  for (const OpInfo &op : allOps()) {
    INFO(op.name);
    bool formula = op.role == FusionRole::Contraction || op.role == FusionRole::Window;
    CHECK((op.flops >= 0) != formula);
    CHECK((op.flopFormula != nullptr) == formula);
    if (ref::updatesInPlace(op.name))
      CHECK((op.role == FusionRole::Movement && op.minOperands > 1));
    CHECK((op.body.types != ScalarBody::Types::None) == op.elementwise);
    CHECK((op.body.cost > 0) == op.elementwise);
    if (op.role == FusionRole::Movement || op.role == FusionRole::View || op.role == FusionRole::Source)
      CHECK(op.flops == 0);
    if (op.rowwise)
      CHECK(op.role == FusionRole::Reduction);
    if (op.stridedView)
      CHECK((op.role == FusionRole::Movement || op.role == FusionRole::View));
  }
}

TEST_CASE("scalar bodies name their element types and functions") {
  using Names = std::vector<std::string_view>;
  auto calls = [](std::string_view op, const Attributes &attributes = {}) {
    auto names = findOp(op)->body.calls(attributes);
    return Names(names.begin(), names.end());
  };
  CHECK(calls("add") == Names{});
  CHECK(calls("silu") == Names{"sigmoid"});
  CHECK(calls("softplus") == Names{"abs", "exp", "log1p", "maximum"});
  CHECK(calls("gelu") == Names{"normal_cdf"});
  CHECK(calls("gelu", {{"tanh", int64_t(1)}}) == Names{"sigmoid"});

  auto takes = [](std::string_view op, DType dtype) { return findOp(op)->body.takes(dtype); };
  CHECK((takes("where", DType::Bool) && takes("where", DType::I8)));
  CHECK((!takes("add", DType::Bool) && takes("add", DType::I8) && takes("add", DType::F16)));
  CHECK((!takes("exp", DType::I8) && takes("exp", DType::F64)));
  CHECK((!takes("bitwise_or", DType::Bool) && takes("bitwise_or", DType::I8) && !takes("bitwise_or", DType::F32)));
  CHECK_FALSE(takes("softmax", DType::F32));
}

TEST_CASE("scalar bodies compute what the reference kernels do") {
  const double points[] = {-7.5, -3, -1, -0.4, 0, 0.25, 1, 2.5, 6};
  for (const OpInfo &op : allOps()) {
    if (!op.elementwise)
      continue;
    INFO(op.name);
    for (double a : points)
      for (double b : points)
        for (int flag = 0; flag < 2; ++flag) {
          // Integers only, where those are what the op takes; no division by zero, no log of what has none.
          std::vector<double> x = {a, b, b};
          x.resize(op.minOperands);
          if (op.name == "where")
            x = {double(a > 0), a, b};
          if (isLogical(op.name) || isBitwise(op.name))
            for (double &v : x)
              v = isLogical(op.name) ? v > 0 : std::trunc(v);
          if (op.name == "mod" && b == 0)
            continue;
          Attributes attributes;
          for (const AttributeInfo &info : op.attributes)
            attributes.set(info.name, info.required ? Attribute(std::string("f64")) : info.defaultValue());
          if (flag)
            for (const char *name : {"tanh", "fmod"})
              if (op.findAttribute(name))
                attributes.set(name, 1);
          std::vector<Tensor> operands;
          std::vector<TensorView> inputs;
          for (size_t i = 0; i < x.size(); ++i)
            operands.push_back(scalar(operandType(op.name, i), x[i]));
          for (const Tensor &operand : operands)
            inputs.push_back(operand.view());
          Tensor result = scalar(resultType(op.name), 0);
          TensorView output = result.view();
          Status status = ref::find(op.name)({attributes, inputs, {&output, 1}});
          INFO(formatError(status));
          REQUIRE(status.ok());
          double expected = read(result), actual = bodyOf(op.name, x, attributes);
          INFO("at " << a << ", " << b);
          if (std::isnan(expected))
            CHECK(std::isnan(actual));
          else if (std::isinf(expected))
            CHECK(actual == expected);
          else
            CHECK(actual == Approx(expected).epsilon(1e-9).margin(1e-12));
        }
  }
}
