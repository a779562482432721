#include "dialects/kiln/Movement.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

/// The dims that an op carries in its result type, for the forms whose dims no operand says.
static Result<Dims> carriedDims(Operation *op) {
  if (op->getNumResults() != 1 || !isa<RankedTensorType>(op->getResult(0).getType()))
    return makeError(ErrorCode::E0306, "needs its shape operand or a result type that says the dims");
  return getDims(op->getResult(0));
}

/// Elements of a static type; nothing when they overflow.
static std::optional<int64_t> countOf(RankedTensorType type) {
  return elementCount(std::span<const int64_t>(type.getShape().data(), type.getRank()));
}

Result<int64_t> staticLength(Value list, StringRef what) {
  if (getRank(list.getType()) > 1 || !elementTypeOf(list).isInteger())
    return makeError(ErrorCode::E0305, what.str(), " must be a vector of integers");
  return listLength(list, what);
}

Result<SizeExpr> oneInteger(ShapeContext &context, Value operand, StringRef what) {
  auto type = cast<RankedTensorType>(operand.getType());
  if (!type.getElementType().isInteger(32) && !type.getElementType().isInteger(64))
    return makeError(ErrorCode::E0305, what.str(), " must be an integer");
  if (type.getRank() > 1 || (type.hasStaticShape() && type.getNumElements() != 1))
    return makeError(ErrorCode::E0304, what.str(), " must be one integer");
  auto values = context.values(operand);
  return values && values->size() == 1 ? values->front() : SizeExpr::invalid();
}

Result<int64_t> listLength(Value list, StringRef what) {
  Dims dims = getDims(list);
  if (dims.size() > 1)
    return makeError(ErrorCode::E0305, what.str(), " must be a vector");
  auto count = dims.empty() ? std::optional<int64_t>(1) : dims[0].asConstant();
  if (!count)
    return makeError(ErrorCode::E0208, "the rank of the result depends on data: the length of ", what.str(),
                     " is not known");
  if (*count > 64)
    return makeError(ErrorCode::E0207, what.str(), " has ", *count, " entries; ranks above 64 are not supported");
  return *count;
}

static SizeExpr invalid() { return SizeExpr::invalid(); }

// --- reshape

static SizeExpr totalOf(const ShapeContext &context, ArrayRef<SizeExpr> dims) {
  SizeExpr total(1);
  for (const SizeExpr &dim : dims)
    total = total * context.expand(dim);
  return total;
}

/// A reshape of which only some dims are known.
static ResultShapes reshapeToSome(SizeValues dims, ArrayRef<SizeExpr> x, bool allowZero, Type element) {
  for (auto [i, dim] : llvm::enumerate(dims))
    if (dim.isConstant(0) && !allowZero)
      dim = i < x.size() ? x[i] : invalid();
    else if (dim.isConstant() && dim.constant() < 0)
      dim = invalid();
  return one(dims, element);
}

Result<ResultShapes> ReshapeOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX());
  if (!getShape()) {
    KILN_ASSIGN(Dims result, carriedDims(*this));
    auto to = cast<RankedTensorType>(getType()), from = cast<RankedTensorType>(getX().getType());
    if (to.hasStaticShape() && from.hasStaticShape() && countOf(to) != countOf(from))
      return makeError(ErrorCode::E0304, "cannot reshape ", printDims(x), " to ", printDims(result));
    KILN_TRY(context.requireEqual(totalOf(context, x), totalOf(context, result))
                 .withContext("cannot reshape " + printDims(x) + " to " + printDims(result) + ": "));
    return one(result, elementTypeOf(getX()));
  }
  KILN_ASSIGN(int64_t rank, staticLength(getShape(), "shape"));
  auto values = context.values(getShape());
  if (!values)
    return reshapeToSome(context.someValues(getShape(), size_t(rank)), x, getAllowZero(), elementTypeOf(getX()));
  Dims dims;
  std::optional<size_t> inferred;
  SizeExpr known(1);
  for (auto [i, value] : llvm::enumerate(*values)) {
    SizeExpr dim = context.expand(value);
    if (dim.isConstant(-1)) {
      if (inferred)
        return makeError(ErrorCode::E0311, "shape has more than one -1");
      inferred = i;
      dim = SizeExpr(1);
    } else if (dim.isConstant(0) && !getAllowZero()) {
      if (i >= x.size())
        return makeError(ErrorCode::E0311, "shape copies dim ", i, " of an operand of rank ", x.size());
      dim = x[i];
    } else if (dim.isConstant() && dim.constant() < 0) {
      return makeError(ErrorCode::E0311, "shape has the negative entry ", dim.constant());
    }
    known = known * context.expand(dim);
    dims.push_back(dim);
  }
  SizeExpr total = totalOf(context, x);
  if (inferred) {
    if (known.isConstant(0))
      return makeError(ErrorCode::E0311, "-1 in a shape without elements");
    if (!total.isInvalid() && total.isConstant() && known.isConstant() && total.constant() % known.constant() != 0)
      return makeError(ErrorCode::E0304, "cannot reshape ", printDims(x), ": ", total.print(),
                       " elements do not divide into ", known.print());
    // Dims that appear on both sides cancel, which keeps the names of the others.
    dims[*inferred] = total.isInvalid() || known.isInvalid() ? invalid() : SizeExpr::floorDiv(total, known);
    KILN_TRY(context.requireEqual(dims[*inferred] * known, total)
                 .withContext("cannot reshape " + printDims(x) + " to " + printDims(dims) + ": "));
  } else {
    KILN_TRY(context.requireEqual(total, known)
                 .withContext("cannot reshape " + printDims(x) + " to " + printDims(dims) + ": "));
  }
  return one(dims, elementTypeOf(getX()));
}

std::optional<SizeValues> ReshapeOp::inferSizeValues(ShapeContext &context) { return context.values(getX()); }

// --- transpose, concat

/// The strides of a row-major tensor; nothing where a dim is unknown.
static std::optional<SmallVector<int64_t>> rowMajorStrides(ArrayRef<SizeExpr> dims) {
  SmallVector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0; stride *= *dims[i].asConstant()) {
    if (!dims[i].isConstant())
      return std::nullopt;
    strides[i] = stride;
  }
  return strides;
}

/// Appends the values at `offset` and on along strides, `counts` of them in each direction.
static void appendStrided(const SizeValues &from, int64_t offset, ArrayRef<int64_t> counts, ArrayRef<int64_t> strides,
                          SizeValues &to) {
  if (counts.empty())
    return to.push_back(from[offset]);
  for (int64_t i = 0; i < counts[0]; ++i)
    appendStrided(from, offset + i * strides[0], counts.drop_front(), strides.drop_front(), to);
}

Result<ResultShapes> TransposeOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), dims;
  SmallVector<bool> seen(x.size());
  if (getPerm().size() != x.size())
    return makeError(ErrorCode::E0404, "perm has ", getPerm().size(), " entries for an operand of rank ", x.size());
  for (int64_t axis : getPerm()) {
    if (axis < 0 || axis >= int64_t(x.size()) || std::exchange(seen[axis], true))
      return makeError(ErrorCode::E0411, "perm is no permutation");
    dims.push_back(x[axis]);
  }
  return one(dims, elementTypeOf(getX()));
}

Result<ResultShapes> BitcastOp::inferShapes(ShapeContext &) {
  auto from = dtypeOf(elementTypeOf(getX()));
  auto to = dtypeFromName(std::string_view(getTo().data(), getTo().size()));
  if (!to)
    return makeError(ErrorCode::E0411, "'", getTo().str(), "' names no element type");
  if (!from || dtypeBytes(*from) != dtypeBytes(*to))
    return makeError(ErrorCode::E0305, "an element of ", from ? dtypeName(*from) : "that type",
                     " has not the width of ", dtypeName(*to));
  return one(getDims(getX()), elementTypeOf(getContext(), *to));
}

Result<ResultShapes> ConcatOp::inferShapes(ShapeContext &context) {
  if (getXs().empty())
    return makeError(ErrorCode::E0306, "needs an operand");
  Value first = getXs().front();
  Dims dims = getDims(first);
  KILN_ASSIGN(int64_t axis, normalizeAxis(getAxis(), dims.size()));
  for (Value x : getXs().drop_front()) {
    Dims other = getDims(x);
    if (elementTypeOf(x) != elementTypeOf(first))
      return makeError(ErrorCode::E0305, "operands have different element types");
    if (other.size() != dims.size())
      return makeError(ErrorCode::E0304, "operands ", printDims(dims), " and ", printDims(other), " differ in rank");
    for (size_t i = 0; i < dims.size(); ++i)
      if (int64_t(i) == axis)
        dims[i] = dims[i].isInvalid() || other[i].isInvalid() ? invalid() : dims[i] + other[i];
      else
        KILN_TRY(context.requireEqual(dims[i], other[i]).withContext("dim " + std::to_string(i) + ": "));
  }
  return one(dims, elementTypeOf(first));
}

std::optional<SizeValues> TransposeOp::inferSizeValues(ShapeContext &context) {
  Dims dims = getDims(getX());
  auto values = context.values(getX());
  auto strides = rowMajorStrides(dims);
  if (!values || !strides)
    return std::nullopt;
  SmallVector<int64_t> counts, permuted;
  for (int64_t axis : getPerm()) {
    counts.push_back(*dims[axis].asConstant());
    permuted.push_back((*strides)[axis]);
  }
  SizeValues result;
  appendStrided(*values, 0, counts, permuted, result);
  return result;
}

std::optional<SizeValues> ConcatOp::inferSizeValues(ShapeContext &context) {
  if (getXs().empty() || (getAxis() != 0 && getRank(getXs().front().getType()) != 1))
    return std::nullopt;
  SizeValues result;
  for (Value x : getXs()) {
    auto values = context.values(x);
    if (!values)
      return std::nullopt;
    result.append(*values);
  }
  return result;
}

// --- slice

/// A position of a slice into 0..dim for forward steps, -1..dim-1 for backward ones; invalid where its sign is not
/// known.
static Result<SizeExpr> clampPosition(ShapeContext &context, const SizeExpr &dim, const SizeExpr &position,
                                      bool forward, bool isStart) {
  SizeExpr size = context.expand(dim), p = context.expand(position);
  if (auto constant = p.asConstant()) {
    if (forward && *constant >= (int64_t(1) << 31))
      return size;
    if (*constant < 0) {
      if (*constant <= -(int64_t(1) << 31))
        return SizeExpr(forward ? 0 : -1);
      p = size + p;
      if (context.lowerBound(p).value_or(-1) < 0)
        p = SizeExpr::max(p, SizeExpr(forward ? 0 : -1));
      return forward ? p : SizeExpr::min(p, size - 1);
    }
  } else if (context.lowerBound(p).value_or(-1) < 0 && context.lowerBound(position).value_or(-1) < 0) {
    // The sign is not known: only the size less a number is understood, of sizes that are not below it. (Close below 0
    // some positions take as little as when they count from the end.)
    auto less = (size - p).asConstant();
    if (!less)
      return SizeExpr::invalid();
    if (*less > (!forward ? 1 : isStart ? 0 : 2))
      KILN_TRY(context.requireAtLeast(dim, *less));
  }
  SizeExpr last = forward ? size : size - 1;
  if (auto room = (last - p).asConstant(); room && *room >= 0)
    return p;
  return SizeExpr::min(p, last);
}

Result<SizeExpr> sliceSize(ShapeContext &context, const SizeExpr &dim, const SizeExpr &start, const SizeExpr &end,
                           int64_t step) {
  if (step == 0)
    return makeError(ErrorCode::E0311, "step is 0");
  // No dim is that long: a longer step takes one element too, and this one cannot overflow.
  step = std::clamp(step, -(int64_t(1) << 40), int64_t(1) << 40);
  if (dim.isInvalid() || start.isInvalid() || end.isInvalid())
    return invalid();
  KILN_ASSIGN(SizeExpr from, clampPosition(context, dim, start, step > 0, true));
  KILN_ASSIGN(SizeExpr to, clampPosition(context, dim, end, step > 0, false));
  // A start beyond the dim needs no clamping: `to` is not beyond it, so the length comes out negative and counts as 0.
  if (auto constant = context.expand(start).asConstant();
      constant && *constant >= 0 && *constant < (int64_t(1) << 31) && step > 0)
    from = SizeExpr(*constant);
  if (from.isInvalid() || to.isInvalid())
    return invalid();
  SizeExpr length =
      step > 0 ? SizeExpr::ceilDiv(to - from, SizeExpr(step)) : SizeExpr::ceilDiv(from - to, SizeExpr(-step));
  if (context.lowerBound(length).value_or(-1) >= 0)
    return length;
  return SizeExpr::max(length, SizeExpr(0));
}

namespace {
struct SliceBounds {
  SizeValues starts, ends;                  // invalid where not known
  std::optional<SmallVector<int64_t>> axes; // nothing where not known
  SmallVector<std::optional<int64_t>> steps;
};
} // namespace

static Result<SliceBounds> sliceBounds(SliceOp op, ShapeContext &context) {
  SliceBounds bounds;
  int64_t rank = getRank(op.getX().getType());
  auto constants = [](ArrayRef<int64_t> list) { return SizeValues(list.begin(), list.end()); };
  if (op.getBounds().empty()) {
    bounds = {constants(op.getStarts()), constants(op.getEnds()), SmallVector<int64_t>(op.getAxes()),
              SmallVector<std::optional<int64_t>>(op.getSteps().begin(), op.getSteps().end())};
  } else {
    if (op.getBounds().size() < 2 || op.getBounds().size() > 4)
      return makeError(ErrorCode::E0306, "needs starts and ends, and optionally axes and steps");
    KILN_ASSIGN(int64_t count, staticLength(op.getBounds()[0], "starts"));
    bounds.starts = context.someValues(op.getBounds()[0], count);
    bounds.ends = context.someValues(op.getBounds()[1], count);
    // Lists that only data tells must be as long as `starts` all the same.
    for (auto [i, bound] : llvm::enumerate(op.getBounds())) {
      KILN_ASSIGN(int64_t length, staticLength(bound, "a bound"));
      if (length != count)
        return makeError(ErrorCode::E0404, "starts, ends, axes and steps differ in length");
    }
    bounds.axes = llvm::to_vector(llvm::seq<int64_t>(0, count));
    if (op.getBounds().size() > 2)
      bounds.axes = context.constantValues(op.getBounds()[2]);
    bounds.steps.assign(count, 1);
    if (op.getBounds().size() > 3) {
      auto steps = context.constantValues(op.getBounds()[3]);
      for (int64_t i = 0; i < count; ++i)
        bounds.steps[i] = steps ? std::optional((*steps)[i]) : std::nullopt;
    }
    if (!bounds.axes && count > rank)
      return makeError(ErrorCode::E0404, "starts has ", count, " entries for an operand of rank ", rank);
  }
  size_t count = bounds.starts.size();
  if (bounds.ends.size() != count || (bounds.axes && bounds.axes->size() != count) || bounds.steps.size() != count)
    return makeError(ErrorCode::E0404, "starts, ends, axes and steps differ in length");
  if (!bounds.axes)
    return bounds;
  SmallVector<bool> seen(rank);
  for (int64_t &axis : *bounds.axes) {
    KILN_ASSIGN(axis, normalizeAxis(axis, rank));
    if (std::exchange(seen[axis], true))
      return makeError(ErrorCode::E0413, "axis ", axis, " is given twice");
  }
  return bounds;
}

Result<ResultShapes> SliceOp::inferShapes(ShapeContext &context) {
  Dims dims = getDims(getX()), upperBounds(dims.size(), invalid());
  KILN_ASSIGN(SliceBounds bounds, sliceBounds(*this, context));
  if (!bounds.axes)
    return ResultShapes{{Dims(dims.size(), invalid()), elementTypeOf(getX()), dims}};
  for (auto [i, axis] : llvm::enumerate(*bounds.axes)) {
    upperBounds[axis] = dims[axis];
    if (!bounds.steps[i]) {
      dims[axis] = invalid();
    } else {
      KILN_ASSIGN(dims[axis], sliceSize(context, dims[axis], bounds.starts[i], bounds.ends[i], *bounds.steps[i]));
    }
  }
  return ResultShapes{{dims, elementTypeOf(getX()), upperBounds}};
}

std::optional<SizeValues> SliceOp::inferSizeValues(ShapeContext &context) {
  Dims dims = getDims(getX());
  auto values = context.values(getX());
  auto bounds = sliceBounds(*this, context);
  if (!values || !bounds.ok() || !bounds->axes)
    return std::nullopt;
  if (dims.size() == 1)
    dims[0] = int64_t(values->size()); // its type may not say so yet
  auto strides = rowMajorStrides(dims);
  if (!strides)
    return std::nullopt;
  SmallVector<int64_t> counts;
  for (const SizeExpr &dim : dims)
    counts.push_back(*dim.asConstant());
  int64_t offset = 0;
  for (auto [i, axis] : llvm::enumerate(*bounds->axes)) {
    auto start = bounds->starts[i].asConstant(), end = bounds->ends[i].asConstant();
    int64_t step = bounds->steps[i].value_or(0), size = counts[axis];
    if (!start || !end || step == 0 || step == INT64_MIN)
      return std::nullopt;
    step = std::clamp(step, -size - 1, size + 1);
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    auto clamp = [&](int64_t p) { return std::clamp(p < 0 ? std::max(p, -size - 1) + size : p, low, high); };
    int64_t first = clamp(*start), last = clamp(*end);
    int64_t span = std::max<int64_t>(0, step > 0 ? last - first : first - last);
    counts[axis] = (span + std::abs(step) - 1) / std::abs(step);
    offset += first * (*strides)[axis];
    (*strides)[axis] *= step;
  }
  SizeValues result;
  appendStrided(*values, offset, counts, *strides, result);
  return result;
}

// --- gather

Result<ResultShapes> GatherOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), indices = getDims(getIndices());
  KILN_ASSIGN(int64_t axis, normalizeAxis(getAxis(), x.size()));
  if (!elementTypeOf(getIndices()).isInteger())
    return makeError(ErrorCode::E0305, "indices must be integers");
  Dims dims(x.begin(), x.begin() + axis);
  dims.append(indices);
  dims.append(x.begin() + axis + 1, x.end());
  return one(dims, elementTypeOf(getX()));
}

std::optional<SizeValues> GatherOp::inferSizeValues(ShapeContext &context) {
  int64_t rank = getRank(getX().getType());
  auto values = context.values(getX());
  auto indices = context.constantValues(getIndices());
  if (!values || !indices || rank == 0 || (getAxis() != 0 && getAxis() != -rank))
    return std::nullopt;
  std::optional<int64_t> size = rank == 1 ? int64_t(values->size()) : getDims(getX())[0].asConstant();
  if (!size || *size == 0)
    return std::nullopt;
  SizeValues result;
  int64_t row = int64_t(values->size()) / *size;
  for (int64_t i : *indices) {
    if (i < -*size || i >= *size)
      return std::nullopt;
    auto *from = values->begin() + (i < 0 ? i + *size : i) * row;
    result.append(from, from + row);
  }
  return result;
}

Result<ResultShapes> GatherElementsOp::inferShapes(ShapeContext &context) {
  int64_t rank = getRank(getX().getType());
  KILN_TRY(normalizeAxis(getAxis(), rank).status());
  if (getRank(getIndices().getType()) != rank || !elementTypeOf(getIndices()).isInteger())
    return makeError(ErrorCode::E0304, "indices must be integers of rank ", rank);
  return one(getDims(getIndices()), elementTypeOf(getX()));
}

Result<ResultShapes> GatherNdOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), indices = getDims(getIndices());
  int64_t batch = getBatchDims(), rank = x.size();
  if (indices.empty() || !elementTypeOf(getIndices()).isInteger())
    return makeError(ErrorCode::E0304, "indices must be integers of rank 1 or more");
  auto tuple = indices.back().asConstant();
  if (!tuple)
    return makeError(ErrorCode::E0208, "the rank of the result depends on data");
  if (batch < 0 || batch > rank || *tuple < 1 || *tuple > rank - batch || batch >= int64_t(indices.size()))
    return makeError(ErrorCode::E0304, "indices ", printDims(indices), " with ", batch, " batch dims do not fit ",
                     printDims(x));
  for (int64_t i = 0; i < batch; ++i)
    KILN_TRY(context.requireEqual(x[i], indices[i]).withContext("batch dims: "));
  Dims dims(indices.begin(), indices.end() - 1);
  dims.append(x.begin() + batch + *tuple, x.end());
  return one(dims, elementTypeOf(getX()));
}

// --- expand, pad, tile

Result<ResultShapes> ExpandOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX());
  Type element = elementTypeOf(getX());
  if (!getShape()) {
    KILN_ASSIGN(Dims carried, carriedDims(*this));
    KILN_TRY(context.broadcast(carried, x).status().withContext("cannot expand: "));
    return one(carried, element);
  }
  KILN_ASSIGN(int64_t length, staticLength(getShape(), "shape"));
  SizeValues values = context.someValues(getShape(), size_t(length));
  for (auto [i, value] : llvm::enumerate(values))
    if (value.isConstant(-1) && values.size() - i <= x.size())
      value = SizeExpr(1); // keeps the dim
    else if (value.isConstant() && value.constant() < 0)
      return makeError(ErrorCode::E0311, "shape has the negative entry ", value.constant());
  SizeValues known = values;
  for (SizeExpr &value : known)
    if (value.isInvalid())
      value = SizeExpr(1);
  Result<Dims> dims = context.broadcast(x, known);
  if (!dims.ok())
    return dims.status().withContext("cannot expand " + printDims(x) + " to " + printDims(known) + ": ");
  for (size_t i = 0; i < values.size(); ++i)
    if (values[values.size() - 1 - i].isInvalid())
      (*dims)[dims->size() - 1 - i] = invalid();
  return one(*dims, element);
}

std::optional<SizeValues> ExpandOp::inferSizeValues(ShapeContext &context) {
  auto values = context.values(getX());
  if (!values || values->size() != 1)
    return std::nullopt;
  SizeExpr count(1);
  if (getShape()) {
    auto dims = context.values(getShape());
    if (!dims)
      return std::nullopt;
    for (SizeExpr &dim : *dims)
      if (dim.isConstant(-1)) // keeps a dim, which is 1
        dim = SizeExpr(1);
    count = SizeExpr::product(*dims);
  } else {
    count = SizeExpr::product(getDims(getType()));
  }
  auto known = context.expand(count).asConstant();
  if (!known || *known < 0 || *known > ShapeContext::maxValues)
    return std::nullopt;
  return SizeValues(*known, values->front());
}

Result<ResultShapes> PadOp::inferShapes(ShapeContext &context) {
  static constexpr llvm::StringLiteral modes[] = {"constant", "edge", "reflect", "wrap"};
  if (!llvm::is_contained(modes, getMode()))
    return makeError(ErrorCode::E0411, "mode '", getMode().str(), "' is unknown");
  Dims dims = getDims(getX());
  SizeValues pads(getPads().begin(), getPads().end());
  if (!getBounds().empty())
    pads = context.someValues(getBounds()[0], 2 * dims.size());
  if (pads.size() != 2 * dims.size())
    return makeError(ErrorCode::E0404, "pads must have ", 2 * dims.size(), " entries, not ", pads.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    const SizeExpr &before = pads[i], &after = pads[dims.size() + i];
    bool known = !dims[i].isInvalid() && !before.isInvalid() && !after.isInvalid();
    SizeExpr padded = known ? dims[i] + before + after : invalid();
    if (known && padded.isInvalid())
      return makeError(ErrorCode::E0308, "dim ", i, ", which is ", dims[i].print(), ", with pads ", before.print(),
                       " and ", after.print(), " exceeds 64 bits");
    if (padded.isConstant() && padded.constant() < 0)
      return makeError(ErrorCode::E0311, "pads crop more than dim ", i, " has");
    dims[i] = padded;
  }
  return one(dims, elementTypeOf(getX()));
}

Result<ResultShapes> TileOp::inferShapes(ShapeContext &context) {
  Dims dims = getDims(getX());
  if (!getRepeats()) {
    KILN_ASSIGN(Dims carried, carriedDims(*this));
    return one(carried, elementTypeOf(getX()));
  }
  KILN_ASSIGN(int64_t length, staticLength(getRepeats(), "repeats"));
  if (length != int64_t(dims.size()))
    return makeError(ErrorCode::E0404, "repeats must have ", dims.size(), " entries, not ", length);
  SizeValues repeats = context.someValues(getRepeats(), size_t(length));
  for (auto [dim, repeat] : llvm::zip(dims, repeats)) {
    if (repeat.isConstant() && repeat.constant() < 0)
      return makeError(ErrorCode::E0311, "repeats has the negative entry ", repeat.constant());
    dim = dim.isInvalid() || repeat.isInvalid() ? invalid() : dim * repeat;
  }
  return one(dims, elementTypeOf(getX()));
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Movement.cpp.inc"
