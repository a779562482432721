#include "codegen/families/gemm/Epilogue.h"

#include "codegen/families/common/Expression.h"
#include "codegen/families/common/ScalarOps.h"
#include "codegen/families/gemm/IntegerOperands.h"
#include "runtime/base/PlantedBug.h"

#include <algorithm>

namespace kiln::gemm {

using namespace emit;
using ValueId = Problem::ValueId;

namespace {

bool broadcastsTo(const Problem::Value &value, const std::vector<SizeExpr> &dims) {
  if (value.dims.size() > dims.size())
    return false;
  size_t lead = dims.size() - value.dims.size();
  for (size_t d = 0; d < value.dims.size(); ++d)
    if (!value.dims[d].isConstant(1) && !(value.dims[d] == dims[lead + d]))
      return false;
  return true;
}

/// The values that the epilogue computes for the outputs, in topological order.
std::vector<ValueId> neededValues(const Problem &problem, ValueId anchor) {
  std::vector<bool> needed(problem.values.size());
  std::vector<ValueId> stack(problem.outputs.begin(), problem.outputs.end());
  while (!stack.empty()) {
    ValueId id = stack.back();
    stack.pop_back();
    if (id == Problem::absent || needed[static_cast<size_t>(id)])
      continue;
    needed[static_cast<size_t>(id)] = true;
    if (id != anchor)
      if (const Problem::Op *op = problem.producer(id))
        stack.insert(stack.end(), op->operands.begin(), op->operands.end());
  }
  std::vector<ValueId> ids;
  for (ValueId id = 0; id < static_cast<ValueId>(needed.size()); ++id)
    if (needed[static_cast<size_t>(id)])
      ids.push_back(id);
  return ids;
}

/// Whether `id` is bytes as i32, perhaps less others: bytes go to memory as such, and who reads them widens them.
bool widensBytes(const Problem &problem, ValueId id) {
  const Problem::Op *op = problem.producer(id);
  if (!op || problem.value(id).dtype != DType::I32)
    return false;
  if (op->mnemonic == "cast")
    return isByte(problem.value(op->operands[0]).dtype);
  return op->mnemonic == "sub" && widensBytes(problem, op->operands[0]);
}

} // namespace

bool isEpilogueOf(const Problem &problem, ValueId anchor) {
  const std::vector<SizeExpr> &dims = problem.value(anchor).dims;
  for (const Problem::Op &op : problem.ops)
    if (op.result() != anchor && !supportsScalarOp(problem, op))
      return false;
  for (ValueId id : neededValues(problem, anchor))
    if (id != anchor && (!broadcastsTo(problem.value(id), dims) ||
                         (problem.value(id).kind == Problem::Kind::Literal && !problem.value(id).scalar())))
      return false;
  bool used = false;
  for (ValueId id : problem.outputs) {
    const Problem::Value &out = problem.value(id);
    if (out.kind != Problem::Kind::Result || out.dims != dims || widensBytes(problem, id))
      return false;
    used |= id == anchor;
  }
  for (const Problem::Op &op : problem.ops)
    used |= std::count(op.operands.begin(), op.operands.end(), anchor) != 0;
  return used;
}

Epilogue::Epilogue(Emitter &e, const Problem &problem, ValueId anchor, DType accumulator, ValueId bias,
                   std::vector<Value> inputs, std::vector<Value> outputs)
    : e(e), problem(problem), anchor(anchor), bias(bias), accumulator(accumulator),
      lanes(e.lanes(unsigned(dtypeBits(accumulator)))), outputs(std::move(outputs)) {
  columnCount = e.size(problem.value(anchor).dims.back());
  std::vector<ValueId> needed = neededValues(problem, anchor);
  std::vector<ValueId> ids = problem.inputs();
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] == bias || std::binary_search(needed.begin(), needed.end(), ids[i]))
      leaves.push_back({ids[i], ids[i] == bias ? Shape::Column : classify(problem.value(ids[i])), inputs[i]});
}

Epilogue::Shape Epilogue::classify(const Problem::Value &value) const {
  const std::vector<SizeExpr> &dims = problem.value(anchor).dims;
  auto allOne = [](auto begin, auto end) {
    return std::all_of(begin, end, [](const SizeExpr &d) { return d.isConstant(1); });
  };
  if (value.dims == dims)
    return Shape::Full;
  if (allOne(value.dims.begin(), value.dims.end()))
    return Shape::Scalar;
  bool wide = value.dims.back() == dims.back() && !dims.back().isConstant(1);
  if (wide && allOne(value.dims.begin(), value.dims.end() - 1))
    return Shape::Column;
  if (!wide && value.dims.size() == dims.size() && std::equal(value.dims.begin(), value.dims.end() - 1, dims.begin()))
    return Shape::Row;
  return Shape::General;
}

void Epilogue::emitBlock(Value tile, int64_t tileColumns, Value row0, Value rows, Value column0, int vectors,
                         Value columns) {
  if (!columns)
    return emitRows(tile, tileColumns, row0, rows, column0, vectors, {});
  auto masked = [&] {
    e.loop(0, columns, lanes, [&](Value first) {
      Value mask = e.tailMask(lanes, e.sub(columns, first), unsigned(dtypeBits(accumulator)));
      emitRows(e.offset(tile, first, e.bytesOf(accumulator)), tileColumns, row0, rows, e.add(column0, first), 1, mask);
    });
  };
  Value whole = e.cmp(Cmp::ge, columns, e.index(vectors * lanes));
  e.ifElse(whole, [&] { emitRows(tile, tileColumns, row0, rows, column0, vectors, {}); }, masked);
}

void Epilogue::emitRows(Value tile, int64_t tileColumns, Value row0, Value rows, Value column0, int vectors,
                        Value mask) {
  int64_t bytes = e.bytesOf(accumulator);
  // What does not depend on the row stays in registers over all rows.
  std::vector<Known> fixed;
  for (int j = 0; j < vectors; ++j)
    fixed.push_back(columnValues(e.add(column0, e.index(j * lanes)), mask));
  e.loop(0, rows, 1, [&](Value i) {
    Value row = e.add(row0, i);
    Value tileRow = e.offset(tile, i, tileColumns * bytes);
    Known perRow;
    for (const Leaf &leaf : leaves)
      if (leaf.shape == Shape::Row)
        perRow[leaf.id] = loadLeaf(leaf, row, column0, mask);
    for (int j = 0; j < vectors; ++j) {
      Known known = fixed[static_cast<size_t>(j)];
      known.insert(perRow.begin(), perRow.end());
      Value product = e.load(e.vec(e.registerType(accumulator), lanes), e.offset(tileRow, int64_t(j) * lanes * bytes));
      Value column = e.add(column0, e.index(j * lanes));
      compute(product, row, column, mask, known);
      store(row, column, mask, known);
    }
  });
}

void Epilogue::emitVectors(llvm::ArrayRef<Point> points, Value column, Value mask) {
  Known fixed = columnValues(column, mask);
  std::vector<Known> results;
  for (const Point &point : points) {
    results.push_back(fixed);
    compute(point.product, point.row, column, mask, results.back());
  }
  for (size_t i = 0; i < points.size(); ++i)
    store(points[i].row, column, mask, results[i]);
}

Epilogue::Known Epilogue::columnValues(Value column, Value mask) {
  Known known;
  for (const Leaf &leaf : leaves)
    if (leaf.shape == Shape::Column || leaf.shape == Shape::Scalar)
      known[leaf.id] = loadLeaf(leaf, {}, column, mask);
  return known;
}

void Epilogue::compute(Value product, Value row, Value column, Value mask, Known &known) {
  for (const Leaf &leaf : leaves)
    if (!known.count(leaf.id))
      known[leaf.id] = loadLeaf(leaf, row, column, mask);
  if (bias != Problem::absent)
    product = e.add(product, known.at(bias));
  const std::vector<SizeExpr> &dims = problem.value(anchor).dims;
  if (bias != Problem::absent && dims.size() == 3 && plantedBug("bias-epilogue", dims.back().asConstant(), 4, 2))
    product = e.add(product, known.at(bias));
  known[anchor] = product;
  for (ValueId id : problem.outputs)
    evaluate(id, known);
}

void Epilogue::store(Value row, Value column, Value mask, const Known &known) {
  Value at = e.add(e.mul(row, columnCount), column);
  for (size_t k = 0; k < outputs.size(); ++k) {
    DType dtype = problem.value(problem.outputs[k]).dtype;
    e.storeAs(dtype, known.at(problem.outputs[k]), e.offset(outputs[k], at, e.bytesOf(dtype)), mask);
  }
}

Value Epilogue::loadLeaf(const Leaf &leaf, Value row, Value column, Value mask) {
  const Problem::Value &value = problem.value(leaf.id);
  int64_t bytes = e.bytesOf(value.dtype);
  auto splatAt = [&](Value element) {
    return e.splat(e.loadAs(value.dtype, 0, e.offset(leaf.base, element, bytes)), lanes);
  };
  switch (leaf.shape) {
  case Shape::Scalar: return splatAt(e.index(0));
  case Shape::Row:
    if (const std::vector<SizeExpr> &dims = problem.value(anchor).dims;
        plantedBug("row-epilogue", dims[dims.size() - 2].asConstant(), 4, 1))
      return splatAt(e.index(0));
    return splatAt(row);
  case Shape::Column: return e.loadAs(value.dtype, lanes, e.offset(leaf.base, column, bytes), mask);
  case Shape::Full:
    return e.loadAs(value.dtype, lanes, e.offset(leaf.base, e.add(e.mul(row, columnCount), column), bytes), mask);
  case Shape::General: break;
  }
  Value element = generalOffset(value, row, column);
  if (value.dims.back().isConstant(1))
    return splatAt(element);
  return e.loadAs(value.dtype, lanes, e.offset(leaf.base, element, bytes), mask);
}

Value Epilogue::generalOffset(const Problem::Value &value, Value row, Value column) {
  const std::vector<SizeExpr> &dims = problem.value(anchor).dims;
  size_t lead = dims.size() - value.dims.size();
  Value offset = value.dims.back().isConstant(1) ? e.index(0) : column;
  SizeExpr stride = value.dims.back();
  Value rest = row;
  for (size_t d = dims.size() - 1; d-- > 0;) {
    Value size = e.size(dims[d]);
    Value at = d == 0 ? rest : e.rem(rest, size);
    rest = e.div(rest, size);
    if (d < lead)
      break;
    const SizeExpr &own = value.dims[d - lead];
    if (!own.isConstant(1))
      offset = e.add(offset, e.mul(at, e.size(stride)));
    stride = stride * own;
  }
  return offset;
}

void Epilogue::evaluate(ValueId id, Known &known) {
  if (known.count(id))
    return;
  const Problem::Value &value = problem.value(id);
  if (value.kind == Problem::Kind::Literal) {
    known[id] = emitLiteral(e, value, lanes);
    return;
  }
  const Problem::Op &op = *problem.producer(id);
  Values operands;
  for (ValueId operand : op.operands) {
    if (operand != Problem::absent)
      evaluate(operand, known);
    operands.push_back(operand == Problem::absent ? Value() : known.at(operand));
  }
  ScalarEmitter scalars(e);
  known[id] = emitScalarOp(scalars, problem, op, operands);
}

} // namespace kiln::gemm
