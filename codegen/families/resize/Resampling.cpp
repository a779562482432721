#include "codegen/families/resize/Resampling.h"

#include "codegen/families/common/Expression.h"

#include <algorithm>

namespace kiln {

static constexpr size_t mostTaps = 16; // of all resized dims together: the code holds one access for each

size_t Resampling::resizedDims() const { return size_t(std::ranges::count(dims, true, &Dim::resized)); }

/// The dims with what the op says of each; nothing where that is not known.
static std::optional<std::vector<Resampling::Dim>> dimsOf(const Problem &problem, const Problem::Op &op) {
  const Problem::Value &x = problem.value(op.operands[0]), &y = problem.value(op.result());
  std::vector<int64_t> axes = op.attributes.getInts("axes");
  std::vector<double> scales = op.attributes.getFloats("scales");
  if (axes.empty())
    for (int64_t axis = 0; axis < x.rank(); ++axis)
      axes.push_back(axis);
  bool bySizes = op.operands.size() == 2 && op.operands[1] != Problem::absent && scales.empty() &&
                 !isFloat(problem.value(op.operands[1]).dtype) &&
                 op.attributes.getString("policy", "stretch") == "stretch";
  if (!bySizes && (op.operands.size() != 1 || scales.size() != axes.size()))
    return std::nullopt;
  std::vector<Resampling::Dim> dims;
  for (size_t d = 0; d < x.dims.size(); ++d)
    dims.push_back({x.dims[d], y.dims[d], false, {}});
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = axes[i] < 0 ? axes[i] + x.rank() : axes[i];
    if (axis < 0 || axis >= x.rank() || dims[size_t(axis)].resized)
      return std::nullopt;
    Resampling::Dim &dim = dims[size_t(axis)];
    if (!bySizes)
      dim.scale = double(float(scales[i])); // as the op takes it
    dim.resized = bySizes ? !(dim.in == dim.out) : *dim.scale != 1;
  }
  return dims;
}

/// Neighbours that are not resized as one dim.
static void merge(std::vector<Resampling::Dim> &dims) {
  std::vector<Resampling::Dim> merged;
  for (const Resampling::Dim &dim : dims) {
    if (!dim.resized && dim.out.isConstant(1))
      continue;
    if (!merged.empty() && !dim.resized && !merged.back().resized) {
      merged.back().in = merged.back().in * dim.in;
      merged.back().out = merged.back().out * dim.out;
    } else {
      merged.push_back(dim);
    }
  }
  if (merged.empty())
    merged.push_back({1, 1, false, {}});
  dims = std::move(merged);
}

std::optional<Resampling> Resampling::of(const Problem &problem) {
  if (problem.precision == Precision::Strict)
    return std::nullopt;
  Resampling r;
  std::vector<int> others;
  for (size_t i = 0; i < problem.ops.size(); ++i) {
    if (problem.ops[i].mnemonic != "resize")
      others.push_back(int(i));
    else if (r.op)
      return std::nullopt;
    else
      r.op = &problem.ops[i];
  }
  if (!r.op || !isExpression(problem, others))
    return std::nullopt;
  const Attributes &a = r.op->attributes;
  r.x = r.op->operands[0];
  r.y = r.op->result();
  const Problem::Value &x = problem.value(r.x), &y = problem.value(r.y);
  r.mode = a.getString("mode", "nearest");
  r.coordinates = a.getString("coordinates", "half_pixel");
  r.nearest = a.getString("nearest", "round_prefer_floor");
  r.cubic = a.getFloat("cubic_coeff_a", -0.75);
  r.excludeOutside = a.getBool("exclude_outside");
  r.taps = r.mode == "nearest" ? 1 : r.mode == "linear" ? 2 : 4;
  if (!x.isBuffer() || x.rank() == 0 || a.getBool("antialias") || r.coordinates == "tf_crop_and_resize" ||
      (!r.isNearest() && !isFloat(x.dtype)))
    return std::nullopt;
  // Its position is a product and a sum, which code may round once where the definition rounds twice: a matter of an
  // ulp, but not to who takes the nearest.
  if (r.isNearest() && r.coordinates == "half_pixel_symmetric")
    return std::nullopt;
  std::optional<std::vector<Dim>> dims = dimsOf(problem, *r.op);
  if (!dims)
    return std::nullopt;
  r.dims = *std::move(dims);
  size_t all = 1;
  for (const Dim &dim : r.dims)
    if (dim.resized && (all *= size_t(r.taps)) > mostTaps)
      return std::nullopt;
  for (Problem::ValueId id : problem.outputs)
    if (problem.value(id).dims != y.dims || problem.value(id).kind != Problem::Kind::Result)
      return std::nullopt;
  bool readsMore = false;
  for (Problem::ValueId id : problem.inputs()) {
    if (!r.isReadAfter(id))
      continue;
    if (problem.value(id).rank() > y.rank())
      return std::nullopt;
    readsMore = true;
  }
  // x, and the sizes, are read at other places than the result's: nothing else may use them.
  for (const Problem::Op &op : problem.ops)
    for (Problem::ValueId operand : r.op->operands)
      if (&op != r.op && std::ranges::count(op.operands, operand))
        return std::nullopt;
  for (const Problem::InPlace &pair : problem.inPlace)
    if (problem.inputs()[size_t(pair.input)] == r.x)
      return std::nullopt;
  if (!readsMore) // others broadcast against the dims as they are
    merge(r.dims);
  return r;
}

} // namespace kiln
