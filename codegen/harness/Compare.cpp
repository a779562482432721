// Inputs for checks, and the comparison with the reference.
#include "codegen/harness/Close.h"
#include "codegen/harness/KernelHarness.h"
#include "codegen/problem/ProblemReference.h"
#include "runtime/base/Float16.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace kiln {

static void setElement(const Tensor &tensor, int64_t i, double value) {
  switch (tensor.dtype()) {
  case DType::F32: tensor.as<float>()[i] = float(value); break;
  case DType::F64: tensor.as<double>()[i] = value; break;
  case DType::F16: tensor.as<uint16_t>()[i] = floatToF16(float(value)); break;
  case DType::BF16: tensor.as<uint16_t>()[i] = floatToBf16(float(value)); break;
  case DType::I8:
  case DType::U8: tensor.as<int8_t>()[i] = int8_t(value); break;
  case DType::I16:
  case DType::U16: tensor.as<int16_t>()[i] = int16_t(value); break;
  case DType::I32:
  case DType::U32: tensor.as<int32_t>()[i] = int32_t(value); break;
  case DType::I64:
  case DType::U64: tensor.as<int64_t>()[i] = int64_t(value); break;
  case DType::Bool: tensor.as<uint8_t>()[i] = value > 0; break;
  }
}

/// The least number of the type that is not subnormal to generated code, which computes f16 in f32.
static double leastNormal(DType dtype) {
  switch (dtype) {
  case DType::F64: return std::numeric_limits<double>::min();
  case DType::F32:
  case DType::BF16: return std::numeric_limits<float>::min();
  default: return 0;
  }
}

/// Kernels take subnormal numbers as 0 and may give 0 for them.
static double flushed(double value, DType dtype) { return std::fabs(value) < leastNormal(dtype) ? 0 : value; }

/// Numbers where kernels go wrong. The large ones can be squared and summed in f32, and differ so that they do not
/// cancel out.
static double specialValue(DType dtype, std::mt19937_64 &random) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double normal = dtype == DType::F64 ? leastNormal(dtype) : leastNormal(DType::F32);
  double large = 1e15 * (1 + double(random() % 1000) / 1000);
  double values[] = {infinity, std::nan(""), 0, normal, normal / 8, large};
  double value = values[random() % std::size(values)];
  return random() % 2 ? -value : value;
}

/// Whether a filter tap that is not finite meets a pad's zero is left open (docs/semantics.md), so filters stay
/// ordinary.
static bool isFilter(const Problem &problem, Problem::ValueId id) {
  return std::ranges::any_of(problem.ops, [&](const Problem::Op &op) {
    return op.mnemonic == "conv" && op.operands.size() > 1 && op.operands[1] == id;
  });
}

static void strewSpecials(const Tensor &tensor, uint64_t seed) {
  if (!isFloat(tensor.dtype()) || tensor.size() == 0)
    return;
  std::mt19937_64 random(seed);
  for (int64_t n = std::clamp<int64_t>(tensor.size() / 16, 1, 16); n > 0; --n) {
    int64_t at = int64_t(random() % uint64_t(tensor.size()));
    setElement(tensor, at, specialValue(tensor.dtype(), random));
  }
}

Result<std::vector<Tensor>> makeInputs(const Problem &problem, const SymbolValues &sizes, InputValues values,
                                       uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  std::vector<Tensor> tensors;
  for (Problem::ValueId id : problem.inputs()) {
    const Problem::Value &v = problem.value(id);
    KILN_ASSIGN(std::vector<int64_t> dims, valueDims(problem, id, sizes));
    KILN_ASSIGN(Tensor tensor, Tensor::create(v.dtype, dims));
    double low = isUnsignedInt(v.dtype) ? 0 : -9;
    for (int64_t i = 0; i < tensor.size(); ++i)
      setElement(tensor, i, isFloat(v.dtype) || v.dtype == DType::Bool ? normal(random) : low + double(random() % 19));
    if (values == InputValues::Special && !isFilter(problem, id))
      strewSpecials(tensor, random());
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

double elementAt(const TensorView &tensor, int64_t i) {
  switch (tensor.dtype) {
  case DType::F32: return tensor.as<float>()[i];
  case DType::F64: return tensor.as<double>()[i];
  case DType::F16: return f16ToFloat(tensor.as<uint16_t>()[i]);
  case DType::BF16: return bf16ToFloat(tensor.as<uint16_t>()[i]);
  case DType::I8: return tensor.as<int8_t>()[i];
  case DType::U8:
  case DType::Bool: return tensor.as<uint8_t>()[i];
  case DType::I16: return tensor.as<int16_t>()[i];
  case DType::U16: return tensor.as<uint16_t>()[i];
  case DType::I32: return tensor.as<int32_t>()[i];
  case DType::U32: return tensor.as<uint32_t>()[i];
  case DType::I64: return double(tensor.as<int64_t>()[i]);
  case DType::U64: return double(tensor.as<uint64_t>()[i]);
  }
  return 0;
}

static Status compareOne(size_t output, const Tensor &actual, const Tensor &expected, const Exactness &exactness) {
  DType dtype = expected.dtype();
  double most = 0;
  for (int64_t i = 0; i < expected.size(); ++i)
    if (double v = std::fabs(elementAt(expected.view(), i)); std::isfinite(v))
      most = std::max(most, v);
  int64_t bytes = dtypeBytes(dtype);
  for (int64_t i = 0; i < expected.size(); ++i) {
    double a = flushed(elementAt(actual.view(), i), dtype), b = flushed(elementAt(expected.view(), i), dtype);
    bool same = isFloat(dtype)
                    ? isClose(a, b, exactness.relative * std::fabs(b) + exactness.scaled * most)
                    : std::memcmp(actual.as<char>() + i * bytes, expected.as<char>() + i * bytes, size_t(bytes)) == 0;
    if (!same)
      return makeError(ErrorCode::E0901, "output ", output, ", element ", i, " of ", expected.size(), ": got ", a,
                       ", expected ", b, " (difference ", a - b, ", largest value ", most, ")");
  }
  return Status();
}

Status compareOutputs(const Problem &problem, std::span<const Tensor> actual, std::span<const Tensor> expected,
                      const Exactness &exactness) {
  for (size_t i = 0; i < expected.size(); ++i)
    KILN_TRY(compareOne(i, actual[i], expected[i], exactness));
  return Status();
}

static std::vector<TensorView> viewsOf(std::span<const Tensor> tensors) {
  std::vector<TensorView> views;
  for (const Tensor &tensor : tensors)
    views.push_back(tensor.view());
  return views;
}

std::vector<TensorView> CheckCase::views() const { return viewsOf(inputs); }

Result<std::vector<CheckCase>> makeCases(const Problem &problem, const SymbolValues &sizes, uint64_t seed) {
  std::vector<CheckCase> cases;
  for (InputValues values : {InputValues::Ordinary, InputValues::Special}) {
    CheckCase c;
    c.values = values;
    KILN_ASSIGN(c.inputs, makeInputs(problem, sizes, values, seed));
    KILN_ASSIGN(std::vector<Tensor> read, makeInputs(problem, sizes, values, seed));
    for (const Tensor &tensor : read)
      for (int64_t i = 0; isFloat(tensor.dtype()) && i < tensor.size(); ++i)
        if (double value = elementAt(tensor.view(), i); value != 0 && flushed(value, tensor.dtype()) == 0)
          setElement(tensor, i, std::copysign(0.0, value));
    KILN_ASSIGN(c.expected, referenceResults(problem, viewsOf(read)));
    cases.push_back(std::move(c));
    bool floats = std::ranges::any_of(problem.inputs(), [&](int id) { return isFloat(problem.value(id).dtype); });
    if (!floats)
      break;
  }
  return cases;
}

static Status checkRuns(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
                        std::span<const TensorView> inputs, std::span<const Tensor> expected) {
  const std::pair<BufferPlacement, GridOrder> ways[] = {{BufferPlacement::AtEnd, GridOrder::Forward},
                                                        {BufferPlacement::AtStart, GridOrder::Reverse},
                                                        {BufferPlacement::AtEnd, GridOrder::Shuffled}};
  for (auto [placement, order] : ways) {
    KILN_ASSIGN(std::vector<Tensor> actual, kernel.run(inputs, placement, order));
    KILN_TRY(compareOutputs(problem, actual, expected, exactness));
  }
  for (const Problem::InPlace &fact : problem.inPlace) {
    KILN_ASSIGN(std::vector<Tensor> actual, kernel.run(inputs, BufferPlacement::AtEnd, GridOrder::Shuffled, fact));
    Status status = compareOutputs(problem, actual, expected, exactness);
    KILN_TRY(status.withContext("output " + std::to_string(fact.output) + " over input " + std::to_string(fact.input) +
                                ": "));
  }
  return Status();
}

Status checkCase(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
                 const CheckCase &c) {
  if (c.values == InputValues::Ordinary)
    return checkRuns(kernel, problem, exactness, c.views(), c.expected);
  if (!exactness.nonFinite)
    return Status();
  // Sums absorb small numbers beside large ones, which the bounds are not made for.
  Exactness loose = {16 * exactness.relative, 16 * exactness.scaled};
  return checkRuns(kernel, problem, loose, c.views(), c.expected).withContext("special values: ");
}

Status checkAt(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
               const SymbolValues &sizes, uint64_t seed) {
  KILN_ASSIGN(std::vector<CheckCase> cases, makeCases(problem, sizes, seed));
  for (const CheckCase &c : cases)
    KILN_TRY(checkCase(kernel, problem, exactness, c));
  return Status();
}

Status checkOn(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
               std::span<const TensorView> inputs) {
  KILN_ASSIGN(std::vector<Tensor> expected, referenceResults(problem, inputs));
  return checkRuns(kernel, problem, exactness, inputs, expected);
}

} // namespace kiln
