#include "codegen/problem/Problem.h"

#include "runtime/base/Float16.h"

#include <algorithm>
#include <cassert>
#include <set>

namespace kiln {

std::string_view precisionName(Precision precision) {
  switch (precision) {
  case Precision::Strict: return "strict";
  case Precision::Default: return "default";
  case Precision::Fast: return "fast";
  }
  return "default";
}

std::optional<Precision> parsePrecision(std::string_view name) {
  for (Precision p : {Precision::Strict, Precision::Default, Precision::Fast})
    if (precisionName(p) == name)
      return p;
  return std::nullopt;
}

std::optional<double> Problem::Value::scalar() const {
  if (kind != Kind::Literal)
    return std::nullopt;
  if (const auto *reals = std::get_if<std::vector<double>>(&literal))
    return reals->size() == 1 ? std::optional<double>(reals->front()) : std::nullopt;
  const auto &integers = std::get<std::vector<int64_t>>(literal);
  return integers.size() == 1 ? std::optional<double>(double(integers.front())) : std::nullopt;
}

static Problem::ValueId append(Problem &problem, Problem::Value value) {
  problem.values.push_back(std::move(value));
  return static_cast<Problem::ValueId>(problem.values.size() - 1);
}

Problem::ValueId Problem::addInput(DType dtype, std::vector<SizeExpr> dims) {
  return append(*this, {Kind::Input, dtype, std::move(dims), -1, {}});
}

Problem::ValueId Problem::addConst(DType dtype, std::vector<SizeExpr> dims) {
  return append(*this, {Kind::Const, dtype, std::move(dims), -1, {}});
}

Problem::ValueId Problem::addLiteral(DType dtype, std::vector<SizeExpr> dims, Literal elements) {
  return append(*this, {Kind::Literal, dtype, std::move(dims), -1, std::move(elements)});
}

Problem::ValueId Problem::addScalar(DType dtype, double value) {
  if (!isFloat(dtype))
    return addLiteral(dtype, {}, std::vector<int64_t>{static_cast<int64_t>(value)});
  if (dtype == DType::F32)
    value = static_cast<float>(value);
  else if (dtype == DType::F16)
    value = f16ToFloat(floatToF16(roundToOddFloat(value)));
  else if (dtype == DType::BF16)
    value = bf16ToFloat(doubleToBf16(value));
  return addLiteral(dtype, {}, std::vector<double>{value});
}

Problem::ValueId Problem::addOp(std::string mnemonic, std::vector<ValueId> operands, Attributes attributes, DType dtype,
                                std::vector<SizeExpr> dims) {
  return addOp(std::move(mnemonic), std::move(operands), std::move(attributes), {{dtype, std::move(dims)}});
}

Problem::ValueId Problem::addOp(std::string mnemonic, std::vector<ValueId> operands, Attributes attributes,
                                std::vector<Type> results) {
  Op op{std::move(mnemonic), std::move(operands), std::move(attributes), {}};
  for (Type &type : results)
    op.results.push_back(append(*this, {Kind::Result, type.dtype, std::move(type.dims), int(ops.size()), {}}));
  ops.push_back(std::move(op));
  return ops.back().result();
}

const Problem::Op *Problem::producer(ValueId id) const {
  if (id < 0)
    return nullptr;
  const Value &v = value(id);
  return v.kind == Kind::Result ? &ops.at(static_cast<size_t>(v.op)) : nullptr;
}

std::vector<Problem::ValueId> Problem::inputs() const {
  std::vector<ValueId> ids;
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i].isBuffer())
      ids.push_back(static_cast<ValueId>(i));
  return ids;
}

int Problem::inputIndex(ValueId id) const {
  return static_cast<int>(
      std::count_if(values.begin(), values.begin() + id, [](const Value &v) { return v.isBuffer(); }));
}

/// Symbols of one expression, those with short names first, so that d9 comes before d10.
static std::vector<std::string> sortedSymbols(const SizeExpr &expr) {
  std::set<std::string> names;
  expr.collectSymbols(names);
  std::vector<std::string> sorted(names.begin(), names.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto &a, const auto &b) { return a.size() < b.size(); });
  return sorted;
}

std::vector<std::string> Problem::symbols() const {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const Value &v : values)
    for (const SizeExpr &dim : v.dims)
      if (!dim.isConstant())
        for (std::string &name : sortedSymbols(dim))
          if (seen.insert(name).second)
            names.push_back(std::move(name));
  return names;
}

std::vector<int> Problem::useCounts() const {
  std::vector<int> counts(values.size(), 0);
  for (const Op &op : ops)
    for (ValueId id : op.operands)
      if (id != absent)
        ++counts.at(static_cast<size_t>(id));
  for (ValueId id : outputs)
    ++counts.at(static_cast<size_t>(id));
  return counts;
}

bool Problem::isStatic() const {
  for (const Value &v : values)
    for (const SizeExpr &dim : v.dims)
      if (!dim.isConstant())
        return false;
  return true;
}

static size_t literalSize(const Problem::Literal &literal) {
  return std::visit([](const auto &elements) { return elements.size(); }, literal);
}

static Status verifyValue(const Problem &problem, size_t i) {
  const Problem::Value &v = problem.values[i];
  for (const SizeExpr &dim : v.dims) {
    if (dim.isInvalid())
      return makeError(ErrorCode::E0308, "problem: a size of %", i, " overflows");
    if (dim.isConstant() && dim.constant() < 0)
      return makeError(ErrorCode::E0805, "problem: %", i, " has the negative size ", dim.constant());
  }
  if (v.kind == Problem::Kind::Result) {
    if (v.op < 0 || size_t(v.op) >= problem.ops.size() ||
        std::ranges::count(problem.ops[v.op].results, static_cast<Problem::ValueId>(i)) != 1)
      return makeError(ErrorCode::E0805, "problem: %", i, " has no defining op");
  } else if (v.kind == Problem::Kind::Literal) {
    std::optional<int64_t> count = SizeExpr::product(v.dims).asConstant();
    if (!count || size_t(*count) != literalSize(v.literal))
      return makeError(ErrorCode::E0805, "problem: literal %", i, " has ", literalSize(v.literal),
                       " elements, its type says otherwise");
    if (isFloat(v.dtype) != std::holds_alternative<std::vector<double>>(v.literal))
      return makeError(ErrorCode::E0805, "problem: literal %", i, " does not hold elements of its type");
  }
  return Status::success();
}

Status Problem::verify() const {
  for (size_t i = 0; i < values.size(); ++i)
    KILN_TRY(verifyValue(*this, i));
  ValueId last = -1;
  for (const Op &op : ops) {
    bool inOrder = !op.results.empty() && op.result() > last;
    for (size_t k = 0; inOrder && k < op.results.size(); ++k) {
      last = op.results[k];
      inOrder = last == op.result() + int(k) && size_t(last) < values.size() && value(last).kind == Kind::Result &&
                &ops[value(last).op] == &op;
    }
    if (!inOrder)
      return makeError(ErrorCode::E0805, "problem: the result of ", op.mnemonic, " is out of order");
    for (ValueId id : op.operands)
      if (id != absent && (id < 0 || id >= op.result()))
        return makeError(ErrorCode::E0805, "problem: %", op.result(), " uses %", id,
                         ", which is not defined before it");
  }
  if (outputs.empty())
    return makeError(ErrorCode::E0805, "problem: no output");
  for (ValueId id : outputs)
    if (!producer(id >= 0 && size_t(id) < values.size() ? id : absent))
      return makeError(ErrorCode::E0805, "problem: output %", id, " is not computed by an op");
  std::vector<ValueId> buffers = inputs();
  for (const InPlace &fact : inPlace) {
    if (fact.output < 0 || size_t(fact.output) >= outputs.size() || fact.input < 0 ||
        size_t(fact.input) >= buffers.size())
      return makeError(ErrorCode::E0805, "problem: an in-place fact names no output or no input");
    const Value &out = value(outputs[fact.output]), &in = value(buffers[fact.input]);
    if (in.kind != Kind::Input || in.dtype != out.dtype || !(in.dims == out.dims))
      return makeError(ErrorCode::E0805, "problem: %", outputs[fact.output], " cannot share the buffer of %",
                       buffers[fact.input]);
  }
  for (const auto &[name, range] : ranges)
    if (range.low && range.high && *range.low > *range.high)
      return makeError(ErrorCode::E0805, "problem: the range of ", name, " is empty");
  return Status::success();
}

/// Ids in depth-first post-order from the outputs, operands left to right: definitions before uses.
static std::vector<Problem::ValueId> postOrder(const Problem &problem) {
  std::vector<Problem::ValueId> order;
  std::vector<char> state(problem.values.size(), 0); // 1: on the stack, 2: done
  std::vector<Problem::ValueId> stack;
  for (Problem::ValueId output : problem.outputs) {
    stack.push_back(output);
    while (!stack.empty()) {
      Problem::ValueId id = stack.back();
      if (state[id] == 2) {
        stack.pop_back();
        continue;
      }
      const Problem::Op *op = problem.producer(id);
      if (state[id] == 1 || !op) {
        state[id] = 2;
        order.push_back(id);
        stack.pop_back();
        continue;
      }
      state[id] = 1;
      for (auto it = op->operands.rbegin(); it != op->operands.rend(); ++it)
        if (*it != Problem::absent && state[*it] == 0)
          stack.push_back(*it);
    }
  }
  return order;
}

Problem::Canonical Problem::canonical() const {
  Canonical out;
  Problem &p = out.problem;
  p.precision = precision;

  std::vector<ValueId> newId(values.size(), absent);
  std::vector<ValueId> oldInputs = inputs();
  for (ValueId old : postOrder(*this)) {
    const Value &v = value(old);
    if (newId[old] != absent)
      continue; // with another result of its op
    if (!producer(old))
      newId[old] = append(p, v);
    if (v.isBuffer())
      out.inputOrder.push_back(int(std::lower_bound(oldInputs.begin(), oldInputs.end(), old) - oldInputs.begin()));
    if (const Op *op = producer(old)) {
      Op copy = *op;
      for (ValueId &result : copy.results) {
        newId[result] = append(p, value(result));
        p.values.back().op = int(p.ops.size());
        result = newId[result];
      }
      for (ValueId &operand : copy.operands)
        if (operand != absent)
          operand = newId[operand];
      p.ops.push_back(std::move(copy));
    }
  }
  for (ValueId id : outputs)
    p.outputs.push_back(newId[id]);
  for (const InPlace &fact : inPlace) {
    auto it = std::find(out.inputOrder.begin(), out.inputOrder.end(), fact.input);
    if (it != out.inputOrder.end())
      p.inPlace.push_back({fact.output, int(it - out.inputOrder.begin())});
  }
  std::sort(p.inPlace.begin(), p.inPlace.end(), [](const InPlace &a, const InPlace &b) {
    return std::pair(a.output, a.input) < std::pair(b.output, b.input);
  });

  out.symbolMap = p.symbols();
  std::map<std::string, SizeExpr> rename;
  for (size_t k = 0; k < out.symbolMap.size(); ++k)
    rename[out.symbolMap[k]] = SizeExpr::symbol("d" + std::to_string(k));
  for (Value &v : p.values)
    for (SizeExpr &dim : v.dims)
      if (!dim.isConstant())
        dim = dim.substitute(rename);
  for (const auto &[name, range] : ranges)
    if (auto it = rename.find(name); it != rename.end() && (range.low || range.high))
      p.ranges[*it->second.asSymbol()] = range;
  return out;
}

} // namespace kiln
