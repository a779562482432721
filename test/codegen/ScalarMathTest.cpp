// Accuracy of the inline maths against libm in double precision, over a dense sample of every range and the special
// values.
#include "FamilyTest.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <functional>

using namespace kiln;

static double ulpError(float got, double want) {
  float rounded = float(want);
  if (std::isnan(want) || std::isnan(got))
    return std::isnan(want) && std::isnan(got) ? 0 : 1e9;
  if (std::isinf(rounded) || std::isinf(got))
    return rounded == got ? 0 : 1e9;
  // Subnormal results may be flushed.
  if (std::fabs(want) < 1.1754944e-38)
    return std::fabs(got) <= 1.1754944e-38f ? 0 : 1e9;
  int exponent;
  std::frexp(want, &exponent);
  return std::fabs(double(got) - want) / std::ldexp(1.0, exponent - 24);
}

static std::vector<float> samples(float low, float high) {
  std::vector<float> x;
  constexpr int count = 200000;
  for (int i = 0; i <= count; ++i)
    x.push_back(low + (high - low) * (float(i) / count));
  for (int e = -126; e <= 126; ++e) // every binade that lies inside
    for (int m = 0; m < 64; ++m)
      for (float sign : {1.0f, -1.0f}) {
        float v = sign * std::ldexp(1.0f + float(m) / 64, e);
        if (v >= low && v <= high)
          x.push_back(v);
      }
  return x;
}

static void checkFunction(const std::string &op, const std::string &attributes, float low, float high, double bound,
                          const std::function<double(double)> &want) {
  Problem problem =
      *Problem::parse("v1 default; %0 = in f32[d0]; %1 = " + op + "(%0)" + attributes + " f32[d0]; out %1");
  std::vector<float> x = samples(low, high);
  for (float special : {0.0f, -0.0f, INFINITY, -INFINITY, NAN})
    x.push_back(special);
  Tensor input = *Tensor::of<float>(DType::F32, {int64_t(x.size())}, std::span<const float>(x));
  TensorView views[] = {input.view()};
  const KernelFamily *family = test::claimant(problem.print());
  REQUIRE(family);
  for (const TargetInfo &target : test::allTargets()) {
    if (!target.runsHere())
      continue;
    Result<CompiledProblem> kernel =
        CompiledProblem::compile(*family, problem, family->defaultConfig(problem, target), {&cpuBackend(), target});
    REQUIRE(kernel.ok());
    Result<std::vector<Tensor>> out = kernel->run(views);
    REQUIRE(out.ok());
    double worst = 0;
    float worstAt = 0, worstGot = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double error = ulpError((*out)[0].as<float>()[i], want(double(x[i])));
      if (error > worst) {
        worst = error;
        worstAt = x[i];
        worstGot = (*out)[0].as<float>()[i];
      }
    }
    INFO(op << " " << target.print() << ": " << worst << " ulp at " << worstAt << ": got " << worstGot << ", want "
            << want(worstAt));
    CHECK(worst <= bound);
  }
}

TEST_CASE("scalar maths within its stated bounds") {
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  checkFunction("exp", "", -110, 90, 1, [](double x) { return std::exp(x); });
  checkFunction("log", "", -2, 1e6, 2, [](double x) { return std::log(x); });
  checkFunction("elu", "{alpha=1.0}", -20, 0, 3, [](double x) { return x < 0 ? std::expm1(x) : x; });
  checkFunction("softplus", "", -80, 80, 5,
                [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); });
  checkFunction("tanh", "", -12, 12, 5, [](double x) { return std::tanh(x); });
  checkFunction("sigmoid", "", -86, 90, 3, sigmoid);
  checkFunction("erf", "", -6, 6, 6, [](double x) { return std::erf(x); });
  checkFunction("gelu", "", -12, 12, 8,
                [](double x) { return std::isinf(x) && x < 0 ? NAN : 0.5 * x * std::erfc(-x / std::sqrt(2.0)); });
  checkFunction("sin", "", -3000, 3000, 2, [](double x) { return std::sin(x); });
  checkFunction("cos", "", -3000, 3000, 2, [](double x) { return std::cos(x); });
  checkFunction("tan", "", -100, 100, 4, [](double x) { return std::tan(x); });
  checkFunction("atan", "", -100, 100, 3, [](double x) { return std::atan(x); });
}

// Runs one op on given operands, for every target that this machine has.
template <typename T>
static void runOn(const std::string &op, DType dtype, const std::vector<std::vector<T>> &operands,
                  const std::function<void(const TargetInfo &, const T *)> &check) {
  std::string type(dtypeName(dtype)), text = "v1 default; ", arguments;
  for (size_t i = 0; i < operands.size(); ++i) {
    text += "%" + std::to_string(i) + " = in " + type + "[d0]; ";
    arguments += (i ? ",%" : "%") + std::to_string(i);
  }
  std::string result = std::to_string(operands.size());
  text += "%" + result + " = " + op + "(" + arguments + ") " + type + "[d0]; out %" + result;
  Problem problem = *Problem::parse(text);
  const KernelFamily *family = test::claimant(text);
  REQUIRE(family);
  std::vector<Tensor> tensors;
  std::vector<TensorView> views;
  for (const std::vector<T> &values : operands)
    tensors.push_back(*Tensor::of<T>(dtype, {int64_t(values.size())}, std::span<const T>(values)));
  for (const Tensor &t : tensors)
    views.push_back(t.view());
  for (const TargetInfo &target : test::allTargets()) {
    if (!target.runsHere())
      continue;
    auto kernel =
        CompiledProblem::compile(*family, problem, family->defaultConfig(problem, target), {&cpuBackend(), target});
    REQUIRE(kernel.ok());
    auto out = kernel->run(views);
    REQUIRE(out.ok());
    check(target, (*out)[0].template as<T>());
  }
}

TEST_CASE("pow at every special value and over a grid") {
  std::vector<float> values = {0.0f,      -0.0f, 1.0f,        -1.0f, 0.5f,  -0.5f,     2.0f,   -2.0f,
                               3.0f,      -3.0f, 2.5f,        -2.5f, 1e30f, -1e30f,    1e-30f, INFINITY,
                               -INFINITY, NAN,   16777217.0f, 7.0f,  -7.0f, 0.3333333f};
  for (int i = 1; i < 40; ++i)
    values.push_back(0.37f * float(i));
  std::vector<float> x, y;
  for (float a : values)
    for (float b : values) {
      x.push_back(a);
      y.push_back(b);
    }
  runOn<float>("pow", DType::F32, {x, y}, [&](const TargetInfo &target, const float *got) {
    for (size_t i = 0; i < x.size(); ++i) {
      double want = std::pow(double(x[i]), double(y[i]));
      INFO(target.print() << ": pow(" << x[i] << ", " << y[i] << ") = " << got[i] << ", want " << want);
      CHECK(ulpError(got[i], want) <= 2);
      if (want == 0 && got[i] == 0)
        CHECK(std::signbit(want) == std::signbit(got[i]));
    }
  });
}

TEST_CASE("f64 functions") {
  struct Function {
    const char *op;
    double low, high;
    double (*want)(double);
  };
  const Function functions[] = {{"exp", -700, 700, std::exp},
                                {"log", 1e-300, 1e3, std::log},
                                {"tanh", -20, 20, std::tanh},
                                {"sigmoid", -600, 40, [](double v) { return 1 / (1 + std::exp(-v)); }}};
  for (const Function &f : functions) {
    std::vector<double> x;
    for (int i = 0; i <= 20000; ++i)
      x.push_back(f.low + (f.high - f.low) * i / 20000);
    runOn<double>(f.op, DType::F64, {x}, [&](const TargetInfo &target, const double *got) {
      double worst = 0;
      for (size_t i = 0; i < x.size(); ++i)
        if (double want = f.want(x[i]); want != 0)
          worst = std::max(worst, std::fabs(got[i] / want - 1));
      INFO(f.op << " " << target.print() << ": relative error " << worst);
      CHECK(worst < 8 * 2.3e-16);
    });
  }
}
