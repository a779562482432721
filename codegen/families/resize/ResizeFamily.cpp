// Resize: nearest, linear and cubic, in any layout, with elementwise work after it.
//
// A first launch works out what the positions of each resized dim read: elements and their weights. The main one walks
// rows of the result. Where the last dim stays as it is (channels last), a row is a weighted sum of rows of x. Else
// rows of x are joined in scratch first, and the last dim is gathered from there.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/Space.h"
#include "codegen/families/movement/StridedCopy.h"
#include "codegen/families/resize/Resampling.h"

#include "kiln/kernel_abi.h"

#include <cmath>

namespace kiln {
using emit::Cmp;
using emit::Emitter;
using emit::Values;
using mlir::Value;
using mlir::ValueRange;

namespace {

/// Where the tables of the resized dims lie in the workspace: for each tap, an i32 position for each element of the
/// result's dim; then as many weights.
struct TablePlace {
  SizeExpr positions, weights; ///< bytes from the start
};

/// As widestElement, but for the sizes, which no element is computed from.
unsigned widestOf(const Problem &problem, const Resampling &r) {
  Problem own = problem;
  if (r.op->operands.size() > 1)
    own.values[size_t(r.op->operands[1])].dtype = DType::I32;
  return widestElement(own);
}

int64_t weightBytes(DType dtype) { return dtype == DType::F64 ? 8 : 4; }

std::vector<TablePlace> tablePlaces(const Resampling &r, DType dtype, SizeExpr &end) {
  std::vector<TablePlace> places;
  end = 0;
  for (const Resampling::Dim &dim : r.dims) {
    TablePlace &place = places.emplace_back();
    if (!dim.resized)
      continue;
    auto take = [&](const SizeExpr &bytes) {
      SizeExpr begin = end;
      end = end + SizeExpr::ceilDiv(bytes, 64) * SizeExpr(64);
      return begin;
    };
    place.positions = take(dim.out * SizeExpr(4 * r.taps));
    if (!r.isNearest())
      place.weights = take(dim.out * SizeExpr(weightBytes(dtype) * r.taps));
  }
  return places;
}

/// The first launch: one dim's table.
class TableEmitter {
public:
  TableEmitter(Emitter &e, const Resampling &r, DType dtype) : e(e), r(r), dtype(dtype) {}

  void run(const Resampling::Dim &dim, Value positions, Value weights) {
    Value in = e.size(dim.in), out = e.size(dim.out);
    last = e.sub(real(in), number(1));
    inSize = real(in);
    outSize = real(out);
    scale = dim.scale ? number(*dim.scale) : e.div(outSize, inSize);
    width = dim.scale ? e.mul(scale, inSize) : outSize;
    same = e.bitAnd(e.cmp(Cmp::eq, in, out), e.cmp(Cmp::eq, scale, number(1)));
    e.ifThen(e.cmp(Cmp::eq, in, e.index(0)),
             [&] { e.ifThen(e.cmp(Cmp::gt, out, e.index(0)), [&] { e.setStatus(KILN_KERNEL_INDEX_OUT_OF_RANGE); }); });
    e.loop(e.index(0), out, e.index(1), [&](Value i) {
      Value at = real(i), x = e.select(same, at, original(at));
      Values index, weight;
      taps(x, index, weight);
      for (size_t t = 0; t < index.size(); ++t) {
        Value place = e.add(i, e.mul(out, e.index(int64_t(t))));
        Value clamped = e.min(e.max(index[t], number(0)), e.max(last, number(0)));
        e.store(e.floatToInt(clamped, e.i32()), e.offset(positions, place, 4));
        if (!weight.empty())
          e.store(dtype == DType::F64 ? weight[t] : e.resizeFloat(weight[t], e.f32()),
                  e.offset(weights, place, weightBytes(dtype)));
      }
    });
  }

private:
  Value number(double value) { return e.constant(e.f64(), value); }
  Value real(Value integer) { return e.intToFloat(integer, e.f64()); }

  /// The position in x of position y of the result.
  Value original(Value y) {
    Value halves = e.div(e.add(y, number(0.5)), scale);
    if (r.coordinates == "half_pixel")
      return e.sub(halves, number(0.5));
    if (r.coordinates == "half_pixel_symmetric") {
      Value moved = e.mul(e.div(inSize, number(2)), e.sub(number(1), e.div(outSize, width)));
      return e.sub(e.add(moved, halves), number(0.5));
    }
    if (r.coordinates == "pytorch_half_pixel")
      return e.select(e.cmp(Cmp::gt, outSize, number(1)), e.sub(halves, number(0.5)), number(0));
    if (r.coordinates == "align_corners")
      return e.select(e.cmp(Cmp::eq, width, number(1)), number(0), e.div(e.mul(y, last), e.sub(width, number(1))));
    if (r.coordinates == "asymmetric")
      return e.div(y, scale);
    return halves; // tf_half_pixel_for_nn
  }

  Value nearestTo(Value x) {
    if (r.nearest == "floor")
      return e.floor(x);
    if (r.nearest == "ceil")
      return e.ceil(x);
    if (r.nearest == "round_prefer_floor")
      return e.ceil(e.sub(x, number(0.5)));
    if (r.nearest == "round_prefer_ceil")
      return e.floor(e.add(x, number(0.5)));
    return e.select(e.cmp(Cmp::lt, scale, number(1)), e.ceil(x), e.floor(x)); // by_scale
  }

  /// The weight of an element at a distance.
  Value filter(Value distance) {
    Value d = e.abs(distance);
    if (r.taps == 2)
      return e.max(number(0), e.sub(number(1), d));
    double a = r.cubic;
    auto polynomial = [&](std::initializer_list<double> coefficients) { // highest first
      Value sum;
      for (double c : coefficients)
        sum = sum ? e.fma(sum, d, number(c)) : number(c);
      return sum;
    };
    Value near = polynomial({a + 2, -(a + 3), 0, 1}), far = polynomial({a, -5 * a, 8 * a, -4 * a});
    Value outer = e.select(e.cmp(Cmp::lt, d, number(2)), far, number(0));
    return e.select(e.cmp(Cmp::le, d, number(1)), near, outer);
  }

  void taps(Value x, Values &index, Values &weight) {
    if (r.isNearest()) {
      index.push_back(nearestTo(x));
      return;
    }
    Value left = e.floor(x), sum = number(0);
    for (int64_t offset = 1 - r.taps / 2; offset <= r.taps / 2; ++offset) {
      Value at = e.add(left, number(double(offset))), w = filter(e.sub(at, x));
      if (r.excludeOutside) {
        Value inside = e.bitAnd(e.cmp(Cmp::ge, at, number(0)), e.cmp(Cmp::le, at, last));
        w = e.select(inside, w, number(0));
        sum = e.add(sum, w);
      }
      index.push_back(at);
      weight.push_back(w);
    }
    if (r.excludeOutside) {
      sum = e.select(e.cmp(Cmp::eq, sum, number(0)), number(1), sum);
      for (Value &w : weight)
        w = e.div(w, sum);
    }
  }

  Emitter &e;
  const Resampling &r;
  DType dtype;
  Value inSize, outSize, last, scale, width, same;
};

/// The main launch.
class ResizeEmitter {
public:
  ResizeEmitter(Emitter &e, const Problem &problem, const Resampling &r, const std::vector<TablePlace> &places,
                int unroll)
      : e(e), problem(problem), r(r), x(problem.value(r.x)), inputs(problem.inputs()), scalars(e),
        bits(widestOf(problem, r)), lanes(e.lanes(bits)), unroll(unroll), type(e.registerType(x.dtype)),
        space(outDims()) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      std::optional<BufferAccess> &access = after.emplace_back();
      const Problem::Value &value = problem.value(inputs[i]);
      if (r.isReadAfter(inputs[i]))
        access.emplace(e, e.buffer(i), value.dtype, value.dims, space);
    }
    for (size_t i = 0; i < problem.outputs.size(); ++i)
      out.emplace_back(e, e.buffer(inputs.size() + i), problem.value(problem.outputs[i]).dtype, space, space);
    std::vector<SizeExpr> inDims;
    for (const Resampling::Dim &dim : r.dims)
      inDims.push_back(dim.in);
    std::vector<SizeExpr> strides = denseStrides(inDims);
    for (size_t d = 0; d < r.dims.size(); ++d) {
      fromStrides.push_back(e.size(strides[d]));
      if (r.dims[d].resized) {
        positions.push_back(e.offset(e.workspace(), e.size(places[d].positions), 1));
        weights.push_back(r.isNearest() ? Value() : e.offset(e.workspace(), e.size(places[d].weights), 1));
        lengths.push_back(e.size(r.dims[d].out));
      } else {
        positions.push_back({});
        weights.push_back({});
        lengths.push_back({});
      }
    }
    source = e.buffer(size_t(problem.inputIndex(r.x)));
  }

  void row(ValueRange outer, Value begin, Value end, const SizeExpr &part) {
    std::vector<Term> terms = termsOf(outer);
    Values outRows;
    for (BufferAccess &access : out)
      outRows.push_back(access.rowAddress(outer));
    std::vector<Value> rows;
    for (std::optional<BufferAccess> &access : after)
      rows.push_back(access ? access->rowAddress(outer) : Value());
    if (!r.row().resized) {
      emitVectors(e, begin, end, lanes, unroll, bits, part, [&](Value at, int count, Value mask) {
        for (int u = 0; u < count; ++u) {
          Value index = e.add(at, e.index(u * lanes));
          finish(join(terms, index, lanes, mask), rows, outRows, index, lanes, mask);
        }
      });
      return;
    }
    bool wide = unsigned(dtypeBits(x.dtype)) == Emitter::bitsOf(type) && Emitter::bitsOf(type) >= 32;
    if (r.isNearest() && !wide) { // no instruction gathers such elements
      e.loop(begin, end, e.index(1), [&](Value index) {
        Value from = e.offset(terms[0].row, position(positions.back(), index), Emitter::bytesOf(x.dtype));
        finish(e.loadAs(x.dtype, 0, from), rows, outRows, index, 0, Value());
      });
      return;
    }
    Value base = terms[0].row;
    if (!wide || terms.size() > 1) {
      base = e.scratch();
      emitVectors(e, e.index(0), e.size(r.row().in), lanes, 1, bits, r.row().in, [&](Value at, int, Value mask) {
        Value sum = join(terms, at, lanes, mask), to = e.offset(base, at, Emitter::bitsOf(type) / 8);
        if (mask)
          e.maskedStore(sum, to, mask);
        else
          e.store(sum, to);
      });
    }
    emitVectors(e, begin, end, lanes, 1, bits, part,
                [&](Value at, int, Value mask) { finish(gathered(base, at, mask), rows, outRows, at, lanes, mask); });
  }

private:
  /// A row of x, and its weight in the sum: null for 1.
  struct Term {
    Value row, weight;
  };

  std::vector<SizeExpr> outDims() const {
    std::vector<SizeExpr> dims;
    for (const Resampling::Dim &dim : r.dims)
      dims.push_back(dim.out);
    return dims;
  }

  Value position(Value table, Value index) { return e.resizeInt(e.load(e.i32(), e.offset(table, index, 4)), e.i64()); }

  /// What a row of the result is made of, but for the last dim.
  std::vector<Term> termsOf(ValueRange outer) {
    std::vector<Term> terms = {{source, Value()}};
    int64_t bytes = Emitter::bytesOf(x.dtype), weightSize = weightBytes(x.dtype);
    for (size_t d = 0; d < outer.size(); ++d) {
      if (!r.dims[d].resized) {
        Value offset = e.mul(outer[d], fromStrides[d]);
        for (Term &term : terms)
          term.row = e.offset(term.row, offset, bytes);
        continue;
      }
      std::vector<Term> next;
      for (int64_t t = 0; t < r.taps; ++t) {
        Value place = e.add(outer[d], e.mul(lengths[d], e.index(t)));
        Value offset = e.mul(position(positions[d], place), fromStrides[d]);
        Value weight = weights[d] ? e.load(type, e.offset(weights[d], place, weightSize)) : Value();
        for (const Term &term : terms)
          next.push_back({e.offset(term.row, offset, bytes), term.weight ? e.mul(term.weight, weight) : weight});
      }
      terms = std::move(next);
    }
    return terms;
  }

  /// What has no weight is not read: infinity and NaN there do not matter.
  Value weighted(Value weight, Value value) {
    return e.select(e.cmp(Cmp::ne, weight, e.like(weight, 0.0)), e.mul(weight, value), e.like(value, 0.0));
  }

  Value join(const std::vector<Term> &terms, Value index, int64_t n, Value mask) {
    Value sum;
    for (const Term &term : terms) {
      Value value = e.loadAs(x.dtype, n, e.offset(term.row, index, Emitter::bytesOf(x.dtype)), mask);
      if (term.weight)
        value = weighted(e.splat(term.weight, n), value);
      sum = sum ? e.add(sum, value) : value;
    }
    return sum;
  }

  /// A vector along the last dim, from `base`, which holds it in register form.
  Value gathered(Value base, Value at, Value mask) {
    mlir::Type vector = e.vec(type, lanes), indexType = e.vec(e.i32(), lanes);
    Value sum;
    for (int64_t t = 0; t < r.taps; ++t) {
      Value place = e.add(at, e.mul(lengths.back(), e.index(t)));
      Value from = e.offset(positions.back(), place, 4);
      Value value = e.gather(vector, base, mask ? e.maskedLoad(indexType, from, mask) : e.load(indexType, from), mask);
      if (weights.back()) {
        Value p = e.offset(weights.back(), place, weightBytes(x.dtype));
        value = weighted(mask ? e.maskedLoad(vector, p, mask) : e.load(vector, p), value);
      }
      sum = sum ? e.add(sum, value) : value;
    }
    return sum;
  }

  void finish(Value result, const std::vector<Value> &rows, ValueRange outRows, Value index, int64_t n, Value mask) {
    Expression point(problem, scalars, n, [&](Problem::ValueId id) {
      size_t i = size_t(problem.inputIndex(id));
      return after[i]->load(after[i]->step(rows[i], index), n, mask);
    });
    point.bind(r.y, result);
    Values results;
    for (Problem::ValueId id : problem.outputs)
      results.push_back(point.get(id));
    for (size_t i = 0; i < out.size(); ++i)
      out[i].store(results[i], out[i].step(outRows[i], index), mask);
  }

  Emitter &e;
  const Problem &problem;
  const Resampling &r;
  const Problem::Value &x;
  std::vector<Problem::ValueId> inputs;
  emit::ScalarEmitter scalars;
  unsigned bits;
  int64_t lanes;
  int unroll;
  mlir::Type type; ///< of x in registers
  std::vector<SizeExpr> space;
  std::vector<std::optional<BufferAccess>> after; ///< inputs of the work after it
  std::vector<BufferAccess> out;
  Values fromStrides, positions, weights, lengths; ///< of each dim
  Value source;
};

class ResizeKernel {
public:
  ResizeKernel(const Problem &problem, const Config &config, const TargetInfo &target)
      : problem(problem), r(*Resampling::of(problem)), unroll(unrollOf(config)), dtype(problem.value(r.x).dtype),
        lanes(target.lanes(int(widestOf(problem, r)))), places(tablePlaces(r, dtype, workspace)) {
    for (const Resampling::Dim &dim : r.dims)
      space.push_back(dim.out);
    grid = makeRowGrid(space, 16384, 64);
  }

  KernelInterface describe() const {
    KernelInterface interface;
    SizeExpr scratch = 0;
    if (r.row().resized)
      scratch = (r.row().in + SizeExpr(lanes)) * SizeExpr(8);
    if (r.resizedDims() > 0) {
      interface.workspaceBytes = workspace;
      interface.launches.push_back({"tables", {}, 1, 0, 0, workspace});
    }
    interface.launches.push_back(mainLaunch(problem, "resize", grid.grid(), scratch));
    return interface;
  }

  /// A tap is a load, a product and a sum; along a row that is resized its elements are gathered one by one.
  double cycles(const PricedProblem &priced) const {
    double vectors = priced.rowVectors(space, double(lanes)), taps = double(r.taps);
    double rows = std::pow(taps, double(r.resizedDims() - r.row().resized)) * 3 * vectorCycles;
    double along = r.row().resized ? taps * (double(lanes) + 3) : 0;
    return vectors * (rows + along) + priced.elementwiseCycles();
  }

  void emit(Emitter &e, const KernelInterface &interface) const {
    if (interface.launches.size() == 2) {
      beginLaunch(e, interface, 0);
      for (size_t d = 0; d < r.dims.size(); ++d)
        if (r.dims[d].resized)
          TableEmitter(e, r, dtype)
              .run(r.dims[d], e.offset(e.workspace(), e.size(places[d].positions), 1),
                   r.isNearest() ? Value() : e.offset(e.workspace(), e.size(places[d].weights), 1));
      e.endKernel();
    }
    beginLaunch(e, interface, interface.launches.size() - 1);
    ResizeEmitter emitter(e, problem, r, places, unroll);
    SizeExpr part = grid.partsPerRow.isConstant(1) ? grid.row : SizeExpr::symbol("part");
    Value elements = e.size(SizeExpr::product(problem.value(r.x).dims));
    e.ifThen(e.cmp(Cmp::gt, elements, e.index(0)), [&] {
      emitRows(e, space, grid, [&](ValueRange outer, Value begin, Value end) { emitter.row(outer, begin, end, part); });
    });
    e.endKernel();
  }

private:
  const Problem &problem;
  Resampling r;
  int unroll;
  DType dtype;
  int64_t lanes;
  SizeExpr workspace;
  std::vector<TablePlace> places;
  std::vector<SizeExpr> space;
  RowGrid grid;
};

class ResizeFamily final : public UnrolledFamilyOf<ResizeKernel> {
public:
  std::string_view name() const override { return "resize"; }
  int version() const override { return 1; }
  bool claims(const Problem &problem) const override { return Resampling::of(problem).has_value(); }
  Config defaultConfig(const Problem &, const TargetInfo &) const override { return unrolled(2); }
  Exactness exactness(const Problem &problem, const Config &) const override {
    if (problem.ops.size() == 1 && Resampling::of(problem)->isNearest())
      return {};
    ExpressionError error = expressionError(problem);
    return {4 * error.relative, 8 * error.scaled};
  }
};

} // namespace

const KernelFamily &resizeFamily() {
  static const ResizeFamily family;
  return family;
}

} // namespace kiln
