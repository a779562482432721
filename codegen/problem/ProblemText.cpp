// The one-line text form of a Problem: printer and parser. The grammar stands in Problem.h.
#include "codegen/problem/Problem.h"

#include "runtime/base/Float16.h"

#include <charconv>
#include <cmath>

namespace kiln {

//===- printing -----------------------------------------------------------------------------===//

/// Shortest text that reads back as the same f32, told apart from an integer.
static std::string printFloat(float value) {
  if (!std::isfinite(value))
    return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  char text[64];
  std::string s(text, std::to_chars(text, text + sizeof text, value).ptr);
  if (s.find_first_of(".e") == std::string::npos)
    s += ".0";
  return s;
}

static std::string printElement(DType dtype, const Problem::Literal &literal, size_t i) {
  if (const auto *integers = std::get_if<std::vector<int64_t>>(&literal))
    return dtype == DType::U64 ? std::to_string(uint64_t((*integers)[i])) : std::to_string((*integers)[i]);
  double value = std::get<std::vector<double>>(literal)[i];
  return dtype == DType::F64 ? printDouble(value) : printFloat(static_cast<float>(value));
}

static std::string printType(const Problem::Value &value) {
  return std::string(dtypeName(value.dtype)) + printSizes(value.dims);
}

static std::string name(Problem::ValueId id) { return id == Problem::absent ? "_" : "%" + std::to_string(id); }

std::string Problem::print() const {
  std::string s = "v1 ";
  s += precisionName(precision);
  for (size_t i = 0; i < values.size(); ++i) {
    const Value &v = values[i];
    bool isFirst = v.kind != Kind::Result || ops.at(size_t(v.op)).result() == int(i);
    if (!isFirst)
      continue;
    s += "; " + name(int(i));
    for (size_t k = 1; v.kind == Kind::Result && k < ops[size_t(v.op)].results.size(); ++k)
      s += "," + name(ops[size_t(v.op)].results[k]);
    s += " = ";
    switch (v.kind) {
    case Kind::Input: s += "in " + printType(v); break;
    case Kind::Const: s += "const " + printType(v); break;
    case Kind::Literal: {
      s += "lit " + printType(v) + " ";
      size_t count = std::visit([](const auto &e) { return e.size(); }, v.literal);
      if (v.dims.empty() && count == 1) {
        s += printElement(v.dtype, v.literal, 0);
        break;
      }
      s += '[';
      for (size_t e = 0; e < count; ++e)
        s += (e ? "," : "") + printElement(v.dtype, v.literal, e);
      s += ']';
      break;
    }
    case Kind::Result: {
      const Op &op = ops.at(size_t(v.op));
      s += op.mnemonic + "(";
      for (size_t k = 0; k < op.operands.size(); ++k)
        s += (k ? "," : "") + name(op.operands[k]);
      s += ")" + (op.attributes.empty() ? std::string() : op.attributes.print());
      for (ValueId result : op.results)
        s += (result == op.result() ? " " : ",") + printType(value(result));
      break;
    }
    }
  }
  s += "; out ";
  for (size_t i = 0; i < outputs.size(); ++i)
    s += (i ? "," : "") + name(outputs[i]);
  std::vector<ValueId> buffers = inputs();
  for (const InPlace &fact : inPlace)
    s += "; inplace " + name(outputs.at(size_t(fact.output))) + "=" + name(buffers.at(size_t(fact.input)));
  for (const auto &[symbol, range] : ranges)
    s += "; range " + symbol + " " + (range.low ? std::to_string(*range.low) : "") + ".." +
         (range.high ? std::to_string(*range.high) : "");
  return s;
}

//===- parsing ------------------------------------------------------------------------------===//

namespace {

/// Reads the text from the left. Every method that fails says what it wanted and where.
class Parser {
public:
  explicit Parser(std::string_view text) : text(text), all(text) {}

  Result<Problem> run();

private:
  Status fail(std::string_view expected) const {
    return makeError(ErrorCode::E0805, "problem text, character ", all.size() - text.size(), ": expected ", expected);
  }
  void skipBlanks() {
    while (!text.empty() && text.front() == ' ')
      text.remove_prefix(1);
  }
  bool accept(std::string_view token) {
    skipBlanks();
    if (text.substr(0, token.size()) != token)
      return false;
    text.remove_prefix(token.size());
    return true;
  }
  Status expect(std::string_view token) { return accept(token) ? Status() : fail(token); }
  std::string_view word() {
    skipBlanks();
    size_t n = 0;
    auto isWord = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
    };
    while (n < text.size() && isWord(text[n]))
      ++n;
    std::string_view w = text.substr(0, n);
    text.remove_prefix(n);
    return w;
  }
  template <typename T> Result<T> number() {
    skipBlanks();
    T value{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc())
      return fail("a number");
    text.remove_prefix(size_t(end - text.data()));
    return value;
  }

  Status valueId(Problem::ValueId &id, bool mayBeAbsent);
  Status type(Problem::Value &value);
  Status literal(Problem::Value &value);
  Status element(Problem::Value &value);
  Status definition();
  Status range();

  std::string_view text, all;
  Problem problem;
};

Status Parser::valueId(Problem::ValueId &id, bool mayBeAbsent) {
  if (mayBeAbsent && accept("_")) {
    id = Problem::absent;
    return Status();
  }
  KILN_TRY(expect("%"));
  KILN_ASSIGN(id, number<int>());
  return id >= 0 && size_t(id) < problem.values.size() ? Status() : fail("a value defined before");
}

Status Parser::type(Problem::Value &value) {
  std::optional<DType> dtype = dtypeFromName(word());
  if (!dtype)
    return fail("an element type before this");
  value.dtype = *dtype;
  KILN_TRY(expect("["));
  if (accept("]"))
    return Status();
  while (true) {
    size_t n = 0;
    for (int depth = 0; n < text.size(); ++n) {
      if (depth == 0 && (text[n] == ',' || text[n] == ']'))
        break;
      depth += text[n] == '(' ? 1 : text[n] == ')' ? -1 : 0;
    }
    auto dim = SizeExpr::parse(text.substr(0, n));
    if (!dim.ok())
      return fail("a size (" + dim.status().message() + ")");
    value.dims.push_back(*std::move(dim));
    text.remove_prefix(n);
    if (accept("]"))
      return Status();
    KILN_TRY(expect(","));
  }
}

Status Parser::element(Problem::Value &value) {
  if (isFloat(value.dtype)) {
    double real;
    if (value.dtype == DType::F64) {
      KILN_ASSIGN(real, number<double>());
    } else {
      KILN_ASSIGN(float single, number<float>());
      if (value.dtype == DType::F16)
        single = f16ToFloat(floatToF16(single));
      else if (value.dtype == DType::BF16)
        single = bf16ToFloat(floatToBf16(single));
      real = single;
    }
    std::get<std::vector<double>>(value.literal).push_back(real);
    return Status();
  }
  int64_t integer;
  if (value.dtype == DType::U64) {
    KILN_ASSIGN(uint64_t bits, number<uint64_t>());
    integer = int64_t(bits);
  } else {
    KILN_ASSIGN(integer, number<int64_t>());
  }
  std::get<std::vector<int64_t>>(value.literal).push_back(integer);
  return Status();
}

Status Parser::literal(Problem::Value &value) {
  value.kind = Problem::Kind::Literal;
  KILN_TRY(type(value));
  if (isFloat(value.dtype))
    value.literal = std::vector<double>();
  if (!accept("["))
    return element(value);
  if (accept("]"))
    return Status();
  do
    KILN_TRY(element(value));
  while (accept(","));
  return expect("]");
}

/// `%7 = ...` or `%7,%8 = ...`, the first `%` already read.
Status Parser::definition() {
  std::vector<Problem::ValueId> ids;
  do {
    KILN_ASSIGN(ids.emplace_back(), number<int>());
    if (ids.back() != int(problem.values.size() + ids.size() - 1))
      return fail("values numbered in order of definition");
  } while (accept(",%"));
  KILN_TRY(expect("="));
  std::string_view kind = word();
  Problem::Value value;
  bool isOp = kind != "lit" && accept("(");
  if (ids.size() > 1 && !isOp)
    return fail("an op, which alone has several results");
  if (kind == "lit") {
    KILN_TRY(literal(value));
  } else if (!isOp) {
    if (kind != "in" && kind != "const")
      return fail("in, const, lit or an op");
    value.kind = kind == "in" ? Problem::Kind::Input : Problem::Kind::Const;
    KILN_TRY(type(value));
  } else {
    if (kind.empty())
      return fail("an op's name before the parenthesis");
    Problem::Op op{std::string(kind), {}, {}, ids};
    if (!accept(")")) {
      do {
        Problem::ValueId operand;
        KILN_TRY(valueId(operand, /*mayBeAbsent=*/true));
        op.operands.push_back(operand);
      } while (accept(","));
      KILN_TRY(expect(")"));
    }
    skipBlanks();
    if (!text.empty() && text.front() == '{') {
      Result<Attributes> attributes = Attributes::parsePrefix(text);
      if (!attributes.ok())
        return fail("attributes (" + attributes.status().message() + ")");
      op.attributes = *std::move(attributes);
    }
    value.kind = Problem::Kind::Result;
    value.op = int(problem.ops.size());
    problem.ops.push_back(std::move(op));
    for (size_t k = 1; k < ids.size(); ++k) {
      Problem::Value result = value;
      KILN_TRY(type(result));
      problem.values.push_back(std::move(result));
      KILN_TRY(expect(","));
    }
    KILN_TRY(type(value));
  }
  problem.values.push_back(std::move(value));
  return Status();
}

/// `range d0 1..64`, the first word already read.
Status Parser::range() {
  std::string symbol(word());
  if (symbol.empty())
    return fail("a symbol");
  Problem::Range range;
  skipBlanks();
  if (!accept("..")) {
    KILN_ASSIGN(range.low, number<int64_t>());
    KILN_TRY(expect(".."));
  }
  if (!text.empty() && text.front() != ';') {
    KILN_ASSIGN(range.high, number<int64_t>());
  }
  problem.ranges[symbol] = range;
  return Status();
}

Result<Problem> Parser::run() {
  if (!accept("v1 "))
    return fail("v1");
  std::optional<Precision> precision = parsePrecision(word());
  if (!precision)
    return fail("strict, default or fast before this");
  problem.precision = *precision;
  while (accept(";")) {
    if (accept("%")) {
      KILN_TRY(definition());
      continue;
    }
    std::string_view keyword = word();
    if (keyword == "out") {
      do {
        Problem::ValueId id;
        KILN_TRY(valueId(id, /*mayBeAbsent=*/false));
        problem.outputs.push_back(id);
      } while (accept(","));
    } else if (keyword == "inplace") {
      Problem::ValueId out, in;
      KILN_TRY(valueId(out, false));
      KILN_TRY(expect("="));
      KILN_TRY(valueId(in, false));
      Problem::InPlace fact{-1, -1};
      for (size_t i = 0; i < problem.outputs.size(); ++i)
        if (problem.outputs[i] == out)
          fact.output = int(i);
      std::vector<Problem::ValueId> buffers = problem.inputs();
      for (size_t i = 0; i < buffers.size(); ++i)
        if (buffers[i] == in)
          fact.input = int(i);
      problem.inPlace.push_back(fact);
    } else if (keyword == "range") {
      KILN_TRY(range());
    } else {
      return fail("%, out, inplace or range");
    }
  }
  skipBlanks();
  if (!text.empty())
    return fail("; or the end");
  KILN_TRY(problem.verify());
  return std::move(problem);
}

} // namespace

Result<Problem> Problem::parse(std::string_view text) { return Parser(text).run(); }

} // namespace kiln
