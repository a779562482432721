// Inputs for checks, and the comparison with the interpreter.
#include "codegen/ProblemInterpreter.h"
#include "codegen/harness/KernelHarness.h"
#include "runtime/base/Float16.h"

#include <cmath>
#include <cstring>
#include <random>

namespace kiln {

template <typename F> static void fill(const Tensor &tensor, F next) {
  for (int64_t i = 0; i < tensor.size(); ++i)
    switch (tensor.dtype()) {
    case DType::F32: tensor.as<float>()[i] = float(next()); break;
    case DType::F64: tensor.as<double>()[i] = next(); break;
    case DType::F16: tensor.as<uint16_t>()[i] = floatToF16(float(next())); break;
    case DType::BF16: tensor.as<uint16_t>()[i] = floatToBf16(float(next())); break;
    case DType::I8:
    case DType::U8: tensor.as<int8_t>()[i] = int8_t(next()); break;
    case DType::I16:
    case DType::U16: tensor.as<int16_t>()[i] = int16_t(next()); break;
    case DType::I32:
    case DType::U32: tensor.as<int32_t>()[i] = int32_t(next()); break;
    case DType::I64:
    case DType::U64: tensor.as<int64_t>()[i] = int64_t(next()); break;
    case DType::Bool: tensor.as<uint8_t>()[i] = next() > 0; break;
    }
}

Result<std::vector<Tensor>> makeInputs(const Problem &problem, const SymbolValues &sizes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  std::vector<Tensor> tensors;
  for (Problem::ValueId id : problem.inputs()) {
    const Problem::Value &v = problem.value(id);
    std::vector<int64_t> dims;
    for (const SizeExpr &dim : v.dims) {
      KILN_ASSIGN(int64_t size, dim.evaluate(sizes));
      dims.push_back(size);
    }
    KILN_ASSIGN(Tensor tensor, Tensor::create(v.dtype, dims));
    double low = isUnsignedInt(v.dtype) ? 0 : -9;
    fill(tensor, [&] {
      if (isFloat(v.dtype) || v.dtype == DType::Bool)
        return normal(random);
      return low + double(random() % 19);
    });
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

static double elementAt(const Tensor &tensor, int64_t i) {
  switch (tensor.dtype()) {
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
  bool bitwise = exactness.bitwise() || !isFloat(expected.dtype());
  double most = 0;
  for (int64_t i = 0; i < expected.size(); ++i)
    if (double v = std::fabs(elementAt(expected, i)); std::isfinite(v))
      most = std::max(most, v);
  int64_t bytes = dtypeBytes(expected.dtype());
  for (int64_t i = 0; i < expected.size(); ++i) {
    double a = elementAt(actual, i), b = elementAt(expected, i);
    bool same = std::isnan(b) ? std::isnan(a) : a == b;
    if (bitwise && isInteger(expected.dtype()))
      same = std::memcmp(actual.as<char>() + i * bytes, expected.as<char>() + i * bytes, size_t(bytes)) == 0;
    if (!same && !bitwise)
      same = std::fabs(a - b) <= exactness.relative * std::fabs(b) + exactness.scaled * most;
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

Status checkOn(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
               std::span<const TensorView> inputs) {
  KILN_ASSIGN(std::vector<Tensor> expected, interpret(problem, inputs));
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

Status checkAt(const CompiledProblem &kernel, const Problem &problem, const Exactness &exactness,
               const SymbolValues &sizes, uint64_t seed) {
  KILN_ASSIGN(std::vector<Tensor> inputs, makeInputs(problem, sizes, seed));
  std::vector<TensorView> views;
  for (const Tensor &t : inputs)
    views.push_back(t.view());
  return checkOn(kernel, problem, exactness, views);
}

} // namespace kiln
