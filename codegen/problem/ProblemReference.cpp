#include "codegen/problem/ProblemReference.h"

#include "runtime/base/Convert.h"
#include "runtime/base/Float16.h"
#include "runtime/base/Recipe.h"
#include "runtime/reference/Reference.h"

namespace kiln {

Result<std::vector<int64_t>> valueDims(const Problem &problem, Problem::ValueId id, const SymbolValues &symbols) {
  std::vector<int64_t> dims;
  for (const SizeExpr &dim : problem.value(id).dims) {
    KILN_ASSIGN(int64_t size, dim.evaluate(symbols));
    dims.push_back(size);
  }
  return dims;
}

Result<SymbolValues> bindSymbols(const Problem &problem, std::span<const TensorView> inputs) {
  std::vector<Problem::ValueId> ids = problem.inputs();
  if (ids.size() != inputs.size())
    return makeError(ErrorCode::E0306, "problem has ", ids.size(), " inputs, got ", inputs.size());
  SymbolValues symbols;
  for (size_t i = 0; i < ids.size(); ++i) {
    const Problem::Value &v = problem.value(ids[i]);
    if (v.dtype != inputs[i].dtype || v.rank() != inputs[i].rank())
      return makeError(ErrorCode::E0305, "input ", i, " of the problem is ", dtypeName(v.dtype), " of rank ", v.rank(),
                       ", got ", printTensorType(inputs[i].dtype, inputs[i].dims));
    for (size_t d = 0; d < v.dims.size(); ++d)
      if (std::optional<std::string> symbol = v.dims[d].asSymbol())
        symbols.emplace(*symbol, inputs[i].dims[d]);
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    KILN_ASSIGN(std::vector<int64_t> dims, valueDims(problem, ids[i], symbols));
    if (!std::equal(dims.begin(), dims.end(), inputs[i].dims.begin(), inputs[i].dims.end()))
      return makeError(ErrorCode::E0304, "input ", i, " of the problem has other sizes: expected ",
                       printTensorType(inputs[i].dtype, dims), ", got ",
                       printTensorType(inputs[i].dtype, inputs[i].dims));
  }
  return symbols;
}

Result<Tensor> literalTensor(const Problem::Value &value) {
  std::vector<int64_t> dims;
  for (const SizeExpr &dim : value.dims)
    dims.push_back(dim.asConstant().value_or(0));
  // Elements are values of the type already, so converting them from the widest one is exact.
  if (const auto *reals = std::get_if<std::vector<double>>(&value.literal)) {
    KILN_ASSIGN(Tensor wide, Tensor::of<double>(DType::F64, dims, *reals));
    KILN_ASSIGN(Tensor tensor, Tensor::create(value.dtype, dims));
    KILN_TRY(convertElements(wide.view(), tensor.view()));
    return tensor;
  }
  DType wideType = value.dtype == DType::U64 ? DType::U64 : DType::I64;
  KILN_ASSIGN(Tensor wide, Tensor::of<int64_t>(wideType, dims, std::get<std::vector<int64_t>>(value.literal)));
  KILN_ASSIGN(Tensor tensor, Tensor::create(value.dtype, dims));
  KILN_TRY(convertElements(wide.view(), tensor.view()));
  return tensor;
}

Result<std::vector<Tensor>> referenceResults(const Problem &problem, std::span<const TensorView> inputs,
                                             const SymbolValues &symbols) {
  KILN_TRY(problem.verify());
  std::vector<Problem::ValueId> ids = problem.inputs();
  if (ids.size() != inputs.size())
    return makeError(ErrorCode::E0306, "problem has ", ids.size(), " inputs, got ", inputs.size());
  std::vector<Tensor> owned(problem.values.size());
  std::vector<TensorView> views(problem.values.size());
  for (size_t i = 0; i < ids.size(); ++i)
    views[ids[i]] = inputs[i];

  for (size_t id = 0; id < problem.values.size(); ++id) {
    const Problem::Value &v = problem.values[id];
    if (v.kind == Problem::Kind::Literal) {
      KILN_ASSIGN(owned[id], literalTensor(v));
      views[id] = owned[id].view();
    }
    if (v.kind != Problem::Kind::Result)
      continue;
    const Problem::Op &op = problem.ops[v.op];
    if (op.result() != int(id))
      continue; // computed with the first one
    ref::Kernel kernel = ref::find(op.mnemonic);
    if (!kernel)
      return makeError(ErrorCode::E0805, "problem: there is no op ", op.mnemonic);
    for (Problem::ValueId result : op.results) {
      KILN_ASSIGN(std::vector<int64_t> dims, valueDims(problem, result, symbols));
      KILN_ASSIGN(owned[result], Tensor::create(problem.value(result).dtype, dims));
      views[result] = owned[result].view();
    }
    std::vector<TensorView> operands;
    for (Problem::ValueId operand : op.operands)
      operands.push_back(operand == Problem::absent ? TensorView{} : views[operand]);
    Status status = kernel({op.attributes, operands, std::span(&views[id], op.results.size()), ref::Accumulate::Wide});
    KILN_TRY(status.withContext("%" + std::to_string(id) + " (" + op.mnemonic + "): "));
  }
  std::vector<Tensor> results;
  for (Problem::ValueId id : problem.outputs) {
    KILN_ASSIGN(Tensor copy, Tensor::copyOf(views[id]));
    results.push_back(std::move(copy));
  }
  return results;
}

Result<std::vector<Tensor>> referenceResults(const Problem &problem, std::span<const TensorView> inputs) {
  KILN_ASSIGN(SymbolValues symbols, bindSymbols(problem, inputs));
  return referenceResults(problem, inputs, symbols);
}

} // namespace kiln
