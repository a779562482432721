#include "codegen/families/reduction/Reduction.h"

#include "codegen/families/common/Expression.h"

#include <set>

namespace kiln {

static std::optional<ReduceKind> kindOf(std::string_view name) {
  using K = ReduceKind;
  static constexpr std::pair<std::string_view, K> kinds[] = {{"sum", K::Sum},        {"mean", K::Mean},
                                                             {"max", K::Max},        {"min", K::Min},
                                                             {"prod", K::Prod},      {"l1", K::L1},
                                                             {"l2", K::L2},          {"sum_square", K::SumSquare},
                                                             {"log_sum", K::LogSum}, {"log_sum_exp", K::LogSumExp}};
  for (auto [text, kind] : kinds)
    if (text == name)
      return kind;
  return std::nullopt;
}

static bool supportsType(ReduceKind kind, DType dtype) {
  if (isFloat(dtype))
    return true;
  // Narrow integers would wrap at another width than their own.
  bool arithmetic =
      kind == ReduceKind::Sum || kind == ReduceKind::Max || kind == ReduceKind::Min || kind == ReduceKind::Prod;
  return arithmetic && isSignedInt(dtype);
}

// Buffers that `from` depends on, stopping at `stop`.
static void collectBuffers(const Problem &problem, Problem::ValueId from, Problem::ValueId stop,
                           std::set<Problem::ValueId> &buffers, std::set<Problem::ValueId> &seen) {
  if (from == stop || !seen.insert(from).second)
    return;
  if (problem.value(from).isBuffer())
    buffers.insert(from);
  if (const Problem::Op *op = problem.producer(from))
    for (Problem::ValueId id : op->operands)
      collectBuffers(problem, id, stop, buffers, seen);
}

std::vector<SizeExpr> Reduction::kept() const {
  std::vector<SizeExpr> dims;
  for (size_t d = 0; d < space.size(); ++d)
    if (!reduced[d])
      dims.push_back(space[d]);
  return dims;
}

// One dim of a buffer that is aligned right with a space; 1 where it has none.
static SizeExpr alignedDim(std::span<const SizeExpr> dims, size_t rank, size_t d) {
  size_t missing = rank - dims.size();
  return d < missing ? SizeExpr(1) : dims[d - missing];
}

std::optional<Reduction> Reduction::of(const Problem &problem) {
  if (problem.precision == Precision::Strict)
    return std::nullopt;
  Reduction reduction{};
  std::vector<int> others;
  for (size_t i = 0; i < problem.ops.size(); ++i) {
    if (problem.ops[i].mnemonic == "reduce") {
      if (reduction.op)
        return std::nullopt;
      reduction.op = &problem.ops[i];
    } else {
      others.push_back(int(i));
    }
  }
  if (!reduction.op || !isExpression(problem, others))
    return std::nullopt;
  std::optional<ReduceKind> kind = kindOf(reduction.op->attributes.getString("kind", "sum"));
  reduction.x = reduction.op->operands[0];
  reduction.y = reduction.op->result();
  const Problem::Value &x = problem.value(reduction.x);
  const Problem::Value &y = problem.value(reduction.y);
  reduction.dtype = x.dtype;
  if (!kind || !supportsType(*kind, x.dtype) || x.kind == Problem::Kind::Literal || x.rank() == 0)
    return std::nullopt;
  reduction.kind = *kind;

  size_t rank = size_t(x.rank());
  std::vector<bool> reduced(rank, false);
  for (int64_t axis : reduction.op->attributes.getInts("axes")) {
    if (axis < 0)
      axis += int64_t(rank);
    if (axis < 0 || axis >= int64_t(rank))
      return std::nullopt;
    reduced[size_t(axis)] = true;
  }
  bool keepdims = reduction.op->attributes.getBool("keepdims", true);
  if (reduction.op->attributes.getInts("axes").empty())
    return std::nullopt; // what no axes mean is for the importer to say
  for (Problem::ValueId id : problem.outputs)
    if (problem.value(id).dims != y.dims || problem.value(id).kind != Problem::Kind::Result)
      return std::nullopt;

  // Which buffers each side reads. A value of the operand's side must not be an output, nor used after the reduce.
  std::set<Problem::ValueId> before, after, seenBefore, seenAfter;
  collectBuffers(problem, reduction.x, reduction.y, before, seenBefore);
  for (Problem::ValueId id : problem.outputs)
    collectBuffers(problem, id, reduction.y, after, seenAfter);
  for (Problem::ValueId id : seenAfter)
    if (problem.value(id).kind == Problem::Kind::Result && seenBefore.count(id))
      return std::nullopt;

  // A result dim for each kept dim of the operand: buffers after the reduce align with the result's dims.
  std::vector<int> resultDim(rank, -1);
  int next = 0;
  for (size_t d = 0; d < rank; ++d)
    if (!reduced[d] || keepdims)
      resultDim[d] = next++;
  if (int64_t(next) != y.rank())
    return std::nullopt;

  std::vector<Problem::ValueId> inputs = problem.inputs();
  std::vector<std::vector<DimUse>> usesBefore(inputs.size()), usesAfter(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::vector<SizeExpr> &dims = problem.value(inputs[i]).dims;
    if (before.count(inputs[i])) {
      if (dims.size() > rank)
        return std::nullopt;
      usesBefore[i] = dimUses(dims, x.dims);
    }
    if (after.count(inputs[i])) {
      if (int64_t(dims.size()) > y.rank())
        return std::nullopt;
      usesAfter[i] = dimUses(dims, y.dims);
    }
  }

  reduction.before.resize(inputs.size());
  reduction.after.resize(inputs.size());
  reduction.folded = 1;
  size_t last = 0;
  for (size_t d = 0; d < rank; ++d) {
    if (reduced[d])
      reduction.folded = reduction.folded * x.dims[d];
    if (x.dims[d].isConstant(1))
      continue;
    bool merge = !reduction.space.empty() && reduced[last] == reduced[d];
    for (size_t i = 0; i < inputs.size() && merge; ++i) {
      if (!usesBefore[i].empty())
        merge = usesBefore[i][d] == usesBefore[i][last] && usesBefore[i][d] != DimUse::Unknown;
      if (merge && !usesAfter[i].empty() && !reduced[d])
        merge = usesAfter[i][size_t(resultDim[d])] == usesAfter[i][size_t(resultDim[last])] &&
                usesAfter[i][size_t(resultDim[d])] != DimUse::Unknown;
    }
    auto append = [&](std::vector<SizeExpr> &dims, const SizeExpr &dim, bool merged) {
      if (merged)
        dims.back() = dims.back() * dim;
      else
        dims.push_back(dim);
    };
    append(reduction.space, x.dims[d], merge);
    if (!merge)
      reduction.reduced.push_back(reduced[d]);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::vector<SizeExpr> &dims = problem.value(inputs[i]).dims;
      if (!usesBefore[i].empty())
        append(reduction.before[i], usesBefore[i][d] == DimUse::Full ? x.dims[d] : alignedDim(dims, rank, d), merge);
      if (!usesAfter[i].empty() && !reduced[d]) {
        size_t r = size_t(resultDim[d]);
        append(reduction.after[i], usesAfter[i][r] == DimUse::Full ? y.dims[r] : alignedDim(dims, size_t(y.rank()), r),
               merge);
      }
    }
    last = d;
  }
  if (reduction.space.empty()) { // a single element
    reduction.space.push_back(1);
    reduction.reduced.push_back(true);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!usesBefore[i].empty())
        reduction.before[i].push_back(1);
  }
  return reduction;
}

} // namespace kiln
