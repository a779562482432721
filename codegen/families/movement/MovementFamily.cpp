// Movement: one op that only moves elements (transpose, slice, concat, gather, expand, pad with a constant, tile), any
// element type.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/Space.h"
#include "codegen/families/movement/StridedCopy.h"
#include "runtime/base/PlantedBug.h"

#include "kiln/kernel_abi.h"

namespace kiln {
using emit::Cmp;
using emit::Emitter;
using emit::Values;
using mlir::Value;
using mlir::ValueRange;

namespace {

constexpr size_t maxConcatOperands = 64;
constexpr int64_t block = 16384; // elements of a workgroup

bool claimsGather(const Problem &problem, const Problem::Op &op) {
  const Problem::Value &x = problem.value(op.operands[0]), &indices = problem.value(op.operands[1]);
  int64_t axis = op.attributes.getInt("axis", 0);
  return x.isBuffer() && indices.isBuffer() && op.operands[0] != op.operands[1] &&
         (indices.dtype == DType::I64 || indices.dtype == DType::I32) && x.rank() > 0 && axis >= -x.rank() &&
         axis < x.rank() && problem.value(op.result()).rank() == x.rank() + indices.rank() - 1;
}

bool claimsPad(const Problem &problem, const Problem::Op &op) {
  const Problem::Value &x = problem.value(op.operands[0]);
  return op.operands.size() == 1 && op.attributes.getString("mode", "constant") == "constant" &&
         int64_t(op.attributes.getInts("pads").size()) == 2 * x.rank() && x.rank() > 0 && !isUnsignedInt(x.dtype);
}

bool claimsConcat(const Problem &problem, const Problem::Op &op) {
  const Problem::Value &y = problem.value(op.result());
  int64_t axis = op.attributes.getInt("axis", 0);
  return op.operands.size() <= maxConcatOperands && axis >= -y.rank() && axis < y.rank();
}

/// A gather as rows: `index` says which row of the source each row of the result shows.
struct GatherRows {
  SizeExpr extent; ///< rows that an index chooses from
  SizeExpr count;  ///< of indices
  SizeExpr after;  ///< elements of a row
  std::vector<SizeExpr> space;
  RowGrid grid;

  GatherRows(const Problem &problem, const Problem::Op &op) {
    const Problem::Value &x = problem.value(op.operands[0]);
    int64_t axis = op.attributes.getInt("axis", 0);
    if (axis < 0)
      axis += x.rank();
    std::span<const SizeExpr> dims(x.dims);
    extent = x.dims[size_t(axis)];
    count = SizeExpr::product(problem.value(op.operands[1]).dims);
    after = SizeExpr::product(dims.subspan(size_t(axis) + 1));
    space = {SizeExpr::product(dims.first(size_t(axis))), count, after};
    grid = makeRowGrid(space, block, 64);
  }
};

void emitGather(Emitter &e, const Problem &problem, const Problem::Op &op) {
  const Problem::Value &x = problem.value(op.operands[0]), &indices = problem.value(op.operands[1]);
  GatherRows rows(problem, op);
  const SizeExpr &extent = rows.extent, &count = rows.count, &after = rows.after;
  const std::vector<SizeExpr> &space = rows.space;
  const RowGrid &grid = rows.grid;
  bool xFirst = problem.inputs()[0] == op.operands[0];
  Value source = e.buffer(xFirst ? 0 : 1), index = e.buffer(xFirst ? 1 : 0), result = e.buffer(2);
  unsigned bits = unsigned(dtypeBits(x.dtype));
  int64_t bytes = bits / 8, lanes = e.lanes(bits);
  Value countValue = e.size(count), extentValue = e.size(extent), afterValue = e.size(after);
  mlir::Type element = e.integer(bits), vector = e.vec(element, lanes);
  SizeExpr part = grid.partsPerRow.isConstant(1) ? grid.row : SizeExpr::symbol("part");
  emitRows(e, space, grid, [&](ValueRange outer, Value begin, Value end) {
    Value at = e.loadAs(indices.dtype, 0, e.offset(index, outer[1], Emitter::bytesOf(indices.dtype)));
    at = e.resizeInt(at, e.i64());
    at = e.select(e.cmp(Cmp::lt, at, e.index(0)), e.add(at, extentValue), at);
    Value valid = e.bitAnd(e.cmp(Cmp::ge, at, e.index(0)), e.cmp(Cmp::lt, at, extentValue));
    e.ifElse(
        valid,
        [&] {
          Value from = e.offset(source, e.mul(e.add(e.mul(outer[0], extentValue), at), afterValue), bytes);
          Value to = e.offset(result, e.mul(e.add(e.mul(outer[0], countValue), outer[1]), afterValue), bytes);
          emitVectors(e, begin, end, lanes, 4, bits, part, [&](Value i, int n, Value mask) {
            for (int u = 0; u < n; ++u) {
              Value here = e.add(i, e.index(u * lanes));
              Value p = e.offset(from, here, bytes), q = e.offset(to, here, bytes);
              if (mask)
                e.maskedStore(e.maskedLoad(vector, p, mask), q, mask);
              else
                e.store(e.load(vector, p), q);
            }
          });
        },
        [&] { e.setStatus(KILN_KERNEL_INDEX_OUT_OF_RANGE); });
  });
}

RowGrid padGrid(const Problem &problem, const Problem::Op &op) {
  return makeRowGrid(problem.value(op.result()).dims, block, 64);
}

void emitPad(Emitter &e, const Problem &problem, const Problem::Op &op) {
  const Problem::Value &x = problem.value(op.operands[0]), &y = problem.value(op.result());
  std::vector<int64_t> pads = op.attributes.getInts("pads");
  size_t rank = x.dims.size();
  RowGrid grid = padGrid(problem, op);
  unsigned bits = unsigned(dtypeBits(x.dtype));
  int64_t bytes = bits / 8, lanes = e.lanes(bits);
  Values sizes, fromStrides, toStrides;
  std::vector<SizeExpr> xStrides = denseStrides(x.dims), yStrides = denseStrides(y.dims);
  for (size_t d = 0; d < rank; ++d) {
    sizes.push_back(e.size(x.dims[d]));
    fromStrides.push_back(e.size(xStrides[d]));
    toStrides.push_back(e.size(yStrides[d]));
  }
  mlir::Type element = e.integer(bits), vector = e.vec(element, lanes);
  // The fill value in its storage form, by way of memory.
  Value slot = e.stackBuffer(8);
  double value = op.attributes.getFloat("value", 0);
  if (rank == 3 && pads[2] == 2 && plantedBug("pad-padding"))
    value = 0;
  e.storeAs(x.dtype, e.constant(e.registerType(x.dtype), value), slot);
  Value fill = e.splat(e.load(element, slot), lanes);
  auto store = [&](Value value, Value p, Value mask) {
    if (mask)
      e.maskedStore(value, p, mask);
    else
      e.store(value, p);
  };
  SizeExpr unknown = SizeExpr::symbol("part");
  emitRows(e, y.dims, grid, [&](ValueRange outer, Value begin, Value end) {
    Value from = e.buffer(0), to = e.buffer(1), inside = e.constant(e.i1(), 1);
    for (size_t d = 0; d + 1 < rank; ++d) {
      Value at = e.sub(outer[d], e.index(pads[d]));
      inside = e.bitAnd(inside, e.bitAnd(e.cmp(Cmp::ge, at, e.index(0)), e.cmp(Cmp::lt, at, sizes[d])));
      from = e.offset(from, e.mul(at, fromStrides[d]), bytes);
      to = e.offset(to, e.mul(outer[d], toStrides[d]), bytes);
    }
    // [low, high) of the row shows the source, when the row does at all.
    Value front = e.index(pads[rank - 1]);
    auto within = [&](Value v) { return e.min(end, e.max(begin, v)); };
    Value low = e.select(inside, within(front), end);
    Value high = e.select(inside, e.max(low, within(e.add(front, sizes[rank - 1]))), end);
    auto fillRange = [&](Value a, Value b) {
      emitVectors(e, a, b, lanes, 1, bits, unknown,
                  [&](Value i, int, Value mask) { store(fill, e.offset(to, i, bytes), mask); });
    };
    fillRange(begin, low);
    emitVectors(e, low, high, lanes, 1, bits, unknown, [&](Value i, int, Value mask) {
      Value p = e.offset(from, e.sub(i, front), bytes);
      store(mask ? e.maskedLoad(vector, p, mask) : e.load(vector, p), e.offset(to, i, bytes), mask);
    });
    fillRange(high, end);
  });
}

/// The copies that make up a concat: each operand's rows into their place.
std::vector<StridedCopy> concatCopies(const Problem &problem, const Problem::Op &op) {
  const Problem::Value &y = problem.value(op.result());
  int64_t axis = op.attributes.getInt("axis", 0);
  if (axis < 0)
    axis += y.rank();
  SizeExpr outer = SizeExpr::product(std::span(y.dims).first(size_t(axis)));
  SizeExpr row = SizeExpr::product(std::span(y.dims).subspan(size_t(axis)));
  SizeExpr offset = 0;
  std::vector<StridedCopy> copies;
  for (Problem::ValueId operand : op.operands) {
    const Problem::Value &x = problem.value(operand);
    SizeExpr length = SizeExpr::product(std::span(x.dims).subspan(size_t(axis)));
    StridedCopy &copy = copies.emplace_back();
    copy.dims = {outer, length};
    copy.from = {length, 1};
    copy.to = {row, 1};
    copy.toOffset = offset;
    copy.elementBits = unsigned(dtypeBits(x.dtype));
    copy.simplify();
    offset = offset + length;
  }
  return copies;
}

class MovementKernel {
public:
  MovementKernel(const Problem &problem, const Config &, const TargetInfo &target)
      : problem(problem), op(problem.ops[0]), target(target) {
    if (op.mnemonic == "gather")
      form = Form::Gather;
    else if (op.mnemonic == "pad")
      form = Form::Pad;
    else if (op.mnemonic == "concat")
      form = Form::Concat;
    if (form == Form::Concat)
      copies = concatCopies(problem, op);
    else if (form == Form::Copy)
      copies = {*asStridedCopy(problem, op)};
  }

  KernelInterface describe() const {
    switch (form) {
    case Form::Gather: return oneLaunch(mainLaunch(problem, "movement", GatherRows(problem, op).grid.grid()));
    case Form::Pad: return oneLaunch(mainLaunch(problem, "movement", padGrid(problem, op).grid()));
    case Form::Copy: return oneLaunch(mainLaunch(problem, "movement", copyGrid(target, copies[0])));
    case Form::Concat: break;
    }
    // A launch moves its operand, and no more.
    KernelInterface interface;
    for (size_t k = 0; k < copies.size(); ++k) {
      const Problem::Value &x = problem.value(op.operands[k]);
      SizeExpr bytes = SizeExpr::product(x.dims) * SizeExpr(2 * dtypeBytes(x.dtype));
      interface.launches.push_back(
          {"movement" + std::to_string(k),
           {KernelOperand::input(size_t(problem.inputIndex(op.operands[k]))), KernelOperand::output(0)},
           copyGrid(target, copies[k]),
           0,
           0,
           bytes});
    }
    return interface;
  }

  double cycles(const PricedProblem &priced) const {
    const Problem::Value &y = problem.value(op.result());
    double elements = priced.product(y.dims), lanes = priced.lanes();
    if (form == Form::Gather || form == Form::Pad)
      return 1.5 * elements / lanes + 10 * elements / std::max(1.0, priced.value(y.dims.empty() ? 1 : y.dims.back()));
    double total = 0;
    for (const StridedCopy &copy : copies) {
      bool rows = copy.dims.empty() || (copy.from.back().isConstant(1) && copy.to.back().isConstant(1));
      double moved = priced.product(copy.dims);
      // Rows are copied in vectors; else an element at a time, or in blocks that registers transpose.
      total += rows ? priced.rowVectors(copy.dims, lanes) +
                          6 * moved / std::max(1.0, copy.dims.empty() ? 1 : priced.value(copy.dims.back()))
                    : 0.7 * moved;
    }
    return total;
  }

  void emit(Emitter &e, const KernelInterface &interface) const {
    for (size_t k = 0; k < interface.launches.size(); ++k) {
      beginLaunch(e, interface, k);
      switch (form) {
      case Form::Gather: emitGather(e, problem, op); break;
      case Form::Pad: emitPad(e, problem, op); break;
      case Form::Copy:
      case Form::Concat: emitStridedCopy(e, copies[k], e.buffer(0), e.buffer(1)); break;
      }
      e.endKernel();
    }
  }

private:
  enum class Form { Gather, Pad, Concat, Copy };

  const Problem &problem;
  const Problem::Op &op;
  const TargetInfo &target;
  Form form = Form::Copy;
  std::vector<StridedCopy> copies; ///< of Concat, one for each operand; of Copy, one
};

class MovementFamily final : public FamilyOf<MovementKernel> {
public:
  std::string_view name() const override { return "movement"; }
  int version() const override { return 2; }
  /// The problem is exactly one such op in its static form; concat of at most 64 operands.
  bool claims(const Problem &problem) const override {
    if (problem.ops.size() != 1 || problem.outputs.size() != 1 || !problem.inPlace.empty())
      return false;
    const Problem::Op &op = problem.ops[0];
    if (problem.outputs[0] != op.result() || op.operands.empty())
      return false;
    for (Problem::ValueId id : op.operands)
      if (id == Problem::absent || !problem.value(id).isBuffer())
        return false;
    if (op.mnemonic == "gather")
      return op.operands.size() == 2 && claimsGather(problem, op);
    if (op.mnemonic == "pad")
      return claimsPad(problem, op);
    if (op.mnemonic == "concat")
      return claimsConcat(problem, op);
    return asStridedCopy(problem, op).has_value();
  }
  std::vector<Config> candidates(const Problem &, const TargetInfo &) const override { return {Config()}; }
  Config defaultConfig(const Problem &, const TargetInfo &) const override { return {}; }
  Exactness exactness(const Problem &, const Config &) const override { return {}; }
};

} // namespace

const KernelFamily &movementFamily() {
  static const MovementFamily family;
  return family;
}

} // namespace kiln
