// The text form of a size table: the attribute `kiln.sizes`, one line for each symbol and check.
#include "dialects/kiln/SizeTable.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"

using namespace mlir;

namespace kiln {

namespace {

StringRef signOf(SizeTable::Check::Kind kind) {
  return kind == SizeTable::Check::Equal ? " == " : kind == SizeTable::Check::Broadcast ? " ~ " : " <= ";
}

Result<int64_t> parseInt(StringRef text) {
  int64_t value;
  if (text.trim().getAsInteger(10, value))
    return makeError(ErrorCode::E0312, "'", text.str(), "' in ", sizesAttrName.str(), " is no integer");
  return value;
}

Result<SizeExpr> parseExpr(StringRef text) {
  text = text.trim();
  return SizeExpr::parse(std::string_view(text.data(), text.size()));
}

Result<SizeTable::Symbol> parseSymbol(StringRef text) {
  SizeTable::Symbol symbol;
  if (auto [known, definition] = text.split(" = "); known.size() != text.size()) {
    KILN_ASSIGN(symbol.definition, parseExpr(definition));
    text = known;
  } else if (auto [name, bound] = text.split(" <= "); name.size() != text.size()) {
    symbol.name = name.trim().str();
    symbol.dataDependent = true;
    if (bound.trim() != "?") {
      KILN_ASSIGN(symbol.upperBound, parseExpr(bound));
    }
    return symbol;
  }
  auto [rest, divisor] = text.split(" % ");
  if (!divisor.empty()) {
    KILN_ASSIGN(symbol.divisor, parseInt(divisor));
    if (symbol.divisor < 1)
      return makeError(ErrorCode::E0312, "divisor of '", text.str(), "' must be positive");
  }
  auto [name, range] = rest.split(" in ");
  symbol.name = name.trim().str();
  if (!range.empty()) {
    auto [low, high] = range.split("..");
    KILN_ASSIGN(symbol.low, parseInt(low));
    if (!high.trim().empty()) {
      KILN_ASSIGN(symbol.high, parseInt(high));
    }
  }
  return symbol;
}

} // namespace

std::string SizeTable::Check::print() const { return "check " + a.print() + signOf(kind).str() + b.print(); }

std::string SizeTable::Symbol::print() const {
  std::string text = name;
  if (dataDependent && !definition)
    return text + " <= " + (upperBound ? upperBound->print() : std::string("?"));
  if (low != 0 || high != unbounded) {
    text += " in " + std::to_string(low) + "..";
    if (high != unbounded)
      text += std::to_string(high);
  }
  if (divisor != 1)
    text += " % " + std::to_string(divisor);
  if (definition)
    text += " = " + definition->print();
  return text;
}

Result<SizeTable> SizeTable::read(Operation *function) {
  SizeTable result;
  auto lines = function ? function->getAttrOfType<ArrayAttr>(sizesAttrName) : ArrayAttr();
  if (!lines)
    return result;
  for (Attribute line : lines) {
    auto text = dyn_cast<StringAttr>(line);
    if (!text)
      return makeError(ErrorCode::E0312, sizesAttrName.str(), " must be a list of strings");
    StringRef body = text.getValue();
    if (body.consume_front("check ")) {
      auto kind = body.contains(" ~ ") ? Check::Broadcast : body.contains(" <= ") ? Check::AtMost : Check::Equal;
      auto [a, b] = body.split(signOf(kind));
      KILN_ASSIGN(SizeExpr left, parseExpr(a));
      KILN_ASSIGN(SizeExpr right, parseExpr(b));
      result.checkList.push_back({kind, left, right});
      continue;
    }
    KILN_ASSIGN(Symbol symbol, parseSymbol(body));
    if (symbol.name.empty() || SizeExpr::symbol(symbol.name).asSymbol() != symbol.name)
      return makeError(ErrorCode::E0312, "'", symbol.name, "' in ", sizesAttrName.str(), " is no symbol name");
    if (result.find(symbol.name))
      return makeError(ErrorCode::E0303, "symbol ", symbol.name, " is defined twice");
    result.add(std::move(symbol));
  }
  // Equal checks say which symbol stands for an expression (see merge).
  for (const Check &check : result.checkList)
    if (auto name = check.a.asSymbol(); name && check.kind == Check::Equal)
      result.byDefinition.try_emplace(check.b.print(), *name);
  return result;
}

void SizeTable::write(Operation *function) const {
  if (table.empty() && checkList.empty()) {
    function->removeAttr(sizesAttrName);
    return;
  }
  Builder builder(function->getContext());
  SmallVector<Attribute> lines;
  for (const Symbol &symbol : table)
    lines.push_back(builder.getStringAttr(symbol.print()));
  for (const Check &check : checkList)
    lines.push_back(builder.getStringAttr(check.print()));
  function->setAttr(sizesAttrName, builder.getArrayAttr(lines));
}

} // namespace kiln
