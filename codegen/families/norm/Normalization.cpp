#include "codegen/families/norm/Normalization.h"

#include "codegen/families/common/Expression.h"

namespace kiln {

static std::optional<Normalization::Kind> kindOf(std::string_view mnemonic) {
  using Kind = Normalization::Kind;
  static constexpr std::pair<std::string_view, Kind> kinds[] = {{"softmax", Kind::Softmax},
                                                                {"log_softmax", Kind::LogSoftmax},
                                                                {"layer_norm", Kind::LayerNorm},
                                                                {"rms_norm", Kind::RmsNorm},
                                                                {"group_norm", Kind::GroupNorm}};
  for (auto [name, kind] : kinds)
    if (name == mnemonic)
      return kind;
  return std::nullopt;
}

// The part of right-aligned `dims` that lies over dims [from, to) of a space of `rank`.
static std::span<const SizeExpr> over(std::span<const SizeExpr> dims, int64_t rank, int64_t from, int64_t to) {
  int64_t missing = rank - int64_t(dims.size());
  int64_t begin = std::max<int64_t>(from - missing, 0), end = std::max<int64_t>(to - missing, 0);
  return dims.subspan(size_t(begin), size_t(end - begin));
}

std::optional<Normalization> Normalization::of(const Problem &problem) {
  if (problem.precision == Precision::Strict)
    return std::nullopt;
  Normalization norm{};
  std::vector<int> others;
  for (size_t i = 0; i < problem.ops.size(); ++i) {
    if (std::optional<Normalization::Kind> kind = kindOf(problem.ops[i].mnemonic)) {
      if (norm.op)
        return std::nullopt;
      norm.kind = *kind;
      norm.op = &problem.ops[i];
    } else {
      others.push_back(int(i));
    }
  }
  if (!norm.op || !isExpression(problem, others))
    return std::nullopt;
  norm.x = norm.op->operands[0];
  norm.y = norm.op->result();
  const Problem::Value &x = problem.value(norm.x);
  norm.dtype = x.dtype;
  int64_t rank = x.rank();
  if (!isFloat(x.dtype) || rank == 0 || x.kind == Problem::Kind::Literal)
    return std::nullopt;
  bool group = norm.kind == Normalization::Kind::GroupNorm;
  norm.axis = group ? std::min<int64_t>(2, rank) : norm.op->attributes.getInt("axis", -1);
  int64_t groups = norm.op->attributes.getInt("groups", 1);
  if (group && (rank < 3 || groups < 1))
    return std::nullopt;
  if (norm.axis < 0)
    norm.axis += rank;
  if (norm.axis < 0 || norm.axis >= rank)
    return std::nullopt;
  for (Problem::ValueId id : problem.outputs)
    if (problem.value(id).dims != x.dims || problem.value(id).kind != Problem::Kind::Result)
      return std::nullopt;
  for (Problem::ValueId id : norm.op->operands)
    if (id != Problem::absent && (problem.value(id).rank() > rank || problem.value(id).dtype != x.dtype ||
                                  problem.value(id).kind == Problem::Kind::Literal))
      return std::nullopt;

  bool softmax = norm.kind == Normalization::Kind::Softmax || norm.kind == Normalization::Kind::LogSoftmax;
  int64_t rowEnd = softmax ? norm.axis + 1 : rank;
  std::vector<std::span<const SizeExpr>> parts[3];
  for (Problem::ValueId id : problem.inputs()) {
    if (problem.value(id).rank() > rank)
      return std::nullopt;
    const auto &dims = problem.value(id).dims;
    parts[0].push_back(over(dims, rank, 0, norm.axis));
    parts[1].push_back(over(dims, rank, norm.axis, rowEnd));
    parts[2].push_back(over(dims, rank, rowEnd, rank));
  }
  std::span<const SizeExpr> space(x.dims);
  CollapsedSpace outer = collapse(space.first(size_t(norm.axis)), parts[0]);
  if (group) { // batch and channels stay apart, whatever their sizes
    outer.space.assign(x.dims.begin(), x.dims.begin() + 2);
    for (size_t b = 0; b < parts[0].size(); ++b) {
      outer.buffers[b].assign(2 - parts[0][b].size(), SizeExpr(1));
      outer.buffers[b].insert(outer.buffers[b].end(), parts[0][b].begin(), parts[0][b].end());
    }
    norm.channelsPerGroup = SizeExpr::floorDiv(x.dims[1], groups);
  }
  CollapsedSpace row = collapse(space.subspan(size_t(norm.axis), size_t(rowEnd - norm.axis)), parts[1]);
  CollapsedSpace inner = collapse(space.subspan(size_t(rowEnd)), parts[2]);
  if (row.space.size() != 1 || inner.space.size() != 1)
    return std::nullopt;
  norm.outer = outer.space;
  norm.length = row.space[0];
  norm.inner = inner.space[0];
  for (size_t b = 0; b < outer.buffers.size(); ++b) {
    norm.buffers.push_back(outer.buffers[b]);
    norm.buffers[b].push_back(row.buffers[b][0]);
    norm.buffers[b].push_back(inner.buffers[b][0]);
  }
  return norm;
}

} // namespace kiln
