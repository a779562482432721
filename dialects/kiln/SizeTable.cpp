#include "dialects/kiln/SizeTable.h"

#include "dialects/kiln/DataSizes.h"
#include "dialects/kiln/Dialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"
#include "runtime/base/Tensor.h"

#include <numeric>
#include <utility>

using namespace mlir;

namespace kiln {

Dims getDims(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  Dims dims;
  if (!tensor)
    return dims;
  auto encoding = dyn_cast_or_null<DimsAttr>(tensor.getEncoding());
  for (auto [i, size] : llvm::enumerate(tensor.getShape())) {
    if (!ShapedType::isDynamic(size))
      dims.push_back(SizeExpr(size));
    else if (auto name = encoding ? dyn_cast<StringAttr>(encoding.getDims()[i]) : StringAttr())
      dims.push_back(SizeExpr::symbol(name.getValue()));
    else
      dims.push_back(SizeExpr::invalid());
  }
  return dims;
}

int64_t getRank(Type type) { return cast<RankedTensorType>(type).getRank(); }

RankedTensorType makeTensorType(ArrayRef<SizeExpr> dims, Type elementType) {
  SmallVector<int64_t> shape;
  SmallVector<Attribute> names;
  bool named = false, unnamed = false;
  Builder builder(elementType.getContext());
  for (const SizeExpr &dim : dims) {
    if (auto size = dim.asConstant(); size && *size >= 0) {
      shape.push_back(*size);
      names.push_back(builder.getI64IntegerAttr(*size));
    } else if (auto name = dim.asSymbol()) {
      shape.push_back(ShapedType::kDynamic);
      names.push_back(builder.getStringAttr(*name));
      named = true;
    } else {
      shape.push_back(ShapedType::kDynamic);
      unnamed = true;
    }
  }
  Attribute encoding;
  if (named && !unnamed)
    encoding = DimsAttr::get(builder.getContext(), names);
  return RankedTensorType::get(shape, elementType, encoding);
}

// --- symbols

const SizeTable::Symbol *SizeTable::find(StringRef name) const {
  auto it = byName.find(std::string_view(name.data(), name.size()));
  return it == byName.end() ? nullptr : &table[it->second];
}
SizeTable::Symbol *SizeTable::findMutable(StringRef name) { return const_cast<Symbol *>(find(name)); }

SizeTable::Symbol &SizeTable::add(Symbol symbol) {
  byName[symbol.name] = table.size();
  if (symbol.definition) {
    symbol.definition = expand(*symbol.definition);
    byDefinition.try_emplace(symbol.definition->print(), symbol.name);
    definitions.insert_or_assign(symbol.name, *symbol.definition);
  }
  return table.emplace_back(std::move(symbol));
}

std::string SizeTable::madeUpName(char kind) {
  std::string name;
  do // the table may have been read, and hold names that were made up before
    name = kind + std::string("$_") + std::to_string(nextName++);
  while (find(name));
  return name;
}

SizeExpr SizeTable::declareUser(StringRef name) {
  return declareStored(SizeExpr::symbolName(std::string_view(name.data(), name.size())));
}

SizeExpr SizeTable::declareStored(StringRef name) {
  if (!find(name)) {
    Symbol symbol;
    symbol.name = name.str();
    add(std::move(symbol));
  }
  return SizeExpr::symbol(std::string_view(name.data(), name.size()));
}

Status SizeTable::constrain(StringRef name, int64_t low, int64_t high, int64_t divisor) {
  Symbol &symbol = *findMutable(*declareStored(name).asSymbol());
  symbol.low = std::max(symbol.low, low);
  symbol.high = std::min(symbol.high, high);
  auto multiple = checkedMul(symbol.divisor / std::gcd(symbol.divisor, divisor), divisor);
  if (!multiple)
    return makeError(ErrorCode::E0308, "size ", symbol.name, " must be a multiple of ", symbol.divisor, " and of ",
                     divisor, ", which no size is");
  symbol.divisor = *multiple;
  if (symbol.low > symbol.high)
    return makeError(ErrorCode::E0304, "size ", symbol.name, " has the empty range ", symbol.low, "..", symbol.high);
  return settle(symbol);
}

/// What is known of a defined symbol moves to what it is: a constant is checked here, another symbol inherits it. Of an
/// expression it stays with the symbol, and is checked when inputs are bound.
Status SizeTable::settle(Symbol &symbol) {
  if (!symbol.definition)
    return Status();
  auto size = symbol.definition->asConstant();
  auto name = symbol.definition->asSymbol();
  if (size && (*size < symbol.low || *size > symbol.high || *size % symbol.divisor)) {
    symbol.definition.reset();
    return makeError(ErrorCode::E0304, "size ", symbol.name, " cannot be ", *size, ": ", symbol.print());
  }
  const Symbol *target = name ? find(*name) : nullptr;
  if (!size && (!target || target->dataDependent))
    return Status();
  int64_t low = std::exchange(symbol.low, 0), high = std::exchange(symbol.high, unbounded),
          divisor = std::exchange(symbol.divisor, 1);
  return target ? constrain(target->name, low, high, divisor) : Status();
}

Status SizeTable::define(StringRef name, const SizeExpr &value) {
  Symbol &symbol = *findMutable(*declareStored(name).asSymbol());
  SizeExpr expanded = expand(value);
  if (symbol.definition) {
    if (*symbol.definition == expanded)
      return Status();
    return makeError(ErrorCode::E0304, "size ", symbol.name, " is both ", symbol.definition->print(), " and ",
                     expanded.print());
  }
  std::set<std::string> used;
  expanded.collectSymbols(used);
  if (used.count(symbol.name))
    return expanded == SizeExpr::symbol(symbol.name)
               ? Status()
               : makeError(ErrorCode::E0304, "size ", symbol.name, " cannot be defined as ", expanded.print());
  symbol.definition = expanded;
  std::map<std::string, SizeExpr> replacement{{symbol.name, expanded}};
  for (Symbol &other : table) {
    if (other.definition && other.name != symbol.name) {
      other.definition = other.definition->substitute(replacement);
      if (other.definition->isInvalid())
        return makeError(ErrorCode::E0907, "with size ", symbol.name, " = ", expanded.print(),
                         " the expression of size ", other.name, " becomes too large");
    }
    if (other.upperBound)
      other.upperBound = other.upperBound->substitute(replacement);
  }
  definitions.clear();
  byDefinition.clear();
  for (Symbol &other : table)
    if (other.definition) {
      definitions.insert_or_assign(other.name, *other.definition);
      byDefinition.try_emplace(other.definition->print(), other.name);
    }
  for (Symbol &other : table)
    KILN_TRY(settle(other));
  return Status();
}

Status SizeTable::resolve(StringRef name, const SizeExpr &value) {
  KILN_TRY(define(name, value));
  Symbol &symbol = *findMutable(name);
  if (!symbol.definition)
    return Status();
  symbol.dataDependent = false;
  symbol.upperBound.reset();
  ++merges;
  // What a run was to compare with it shows which sizes are equal.
  std::vector<Check> checks = std::exchange(checkList, {});
  for (Check &check : checks) {
    std::set<std::string> names;
    check.a.collectSymbols(names);
    check.b.collectSymbols(names);
    if (check.kind == Check::Equal && names.count(name.str()))
      KILN_TRY(requireEqual(check.a, check.b));
    else
      addCheck(std::move(check));
  }
  return Status();
}

SizeExpr SizeTable::expand(const SizeExpr &expr) const {
  if (expr.isConstant() || definitions.empty())
    return expr;
  SizeExpr expanded = expr.substitute(definitions);
  return expanded.isInvalid() ? expr : expanded;
}

SizeExpr SizeTable::intern(const SizeExpr &expr) {
  if (expr.isConstant() || expr.isInvalid())
    return expr;
  SizeExpr expanded = expand(expr);
  if (expanded.isConstant() || expanded.asSymbol())
    return expanded;
  if (auto it = byDefinition.find(expanded.print()); it != byDefinition.end())
    return SizeExpr::symbol(it->second);
  Symbol symbol;
  symbol.name = madeUpName('d');
  symbol.definition = expanded;
  return SizeExpr::symbol(add(std::move(symbol)).name);
}

SizeExpr SizeTable::declareArgument() {
  Symbol symbol;
  symbol.name = madeUpName('a');
  return SizeExpr::symbol(add(std::move(symbol)).name);
}

SizeExpr SizeTable::fresh(std::optional<SizeExpr> upperBound) {
  Symbol symbol;
  symbol.name = madeUpName('u');
  symbol.dataDependent = true;
  if (upperBound && !upperBound->isInvalid())
    symbol.upperBound = expand(*upperBound);
  return SizeExpr::symbol(add(std::move(symbol)).name);
}

// --- facts

bool SizeTable::equal(const SizeExpr &a, const SizeExpr &b) const {
  if (a.isInvalid() || b.isInvalid())
    return false;
  if (a == b)
    return true;
  SizeExpr left = expand(a), right = expand(b);
  if (left == right)
    return true;
  // What checks say is equal to `left`, directly or through others.
  std::vector<std::pair<SizeExpr, SizeExpr>> facts;
  for (const Check &check : checkList)
    if (check.kind == Check::Equal)
      facts.emplace_back(expand(check.a), expand(check.b));
  std::vector<SizeExpr> reached{left};
  for (size_t i = 0; i < reached.size(); ++i)
    for (const auto &[x, y] : facts)
      for (const SizeExpr *next : {reached[i] == x ? &y : nullptr, reached[i] == y ? &x : nullptr})
        if (next && *next == right)
          return true;
        else if (next && !llvm::is_contained(reached, *next))
          reached.push_back(*next);
  return false;
}

std::optional<int64_t> SizeTable::lowerBound(const SizeExpr &expr) const {
  if (auto size = expr.asConstant())
    return size;
  if (expr.isInvalid())
    return std::nullopt;
  if (auto name = expr.asSymbol()) {
    const Symbol *symbol = find(*name);
    return symbol ? symbol->low : 0;
  }
  // Symbols are sizes, so an expression without a minus sign is a sum of products of non-negative parts.
  if (expr.print().find('-') == std::string::npos)
    return 0;
  return std::nullopt;
}

void SizeTable::addCheck(Check check) {
  for (const Check &other : checkList)
    if (other.kind == check.kind &&
        ((other.a == check.a && other.b == check.b) || (other.a == check.b && other.b == check.a)))
      return;
  checkList.push_back(std::move(check));
}

Status SizeTable::mayBeEqual(const SizeExpr &a, const SizeExpr &b) const {
  if (a.isInvalid() || b.isInvalid() || equal(a, b))
    return Status();
  if ((expand(a) - expand(b)).isConstant()) // and not 0
    return makeError(ErrorCode::E0304, "sizes ", a.print(), " and ", b.print(), " differ");
  return Status();
}

Status SizeTable::requireEqual(const SizeExpr &a, const SizeExpr &b) {
  KILN_TRY(mayBeEqual(a, b));
  if (a.isInvalid() || b.isInvalid() || equal(a, b))
    return Status();
  SizeExpr left = expand(a), right = expand(b);
  // An input-bound symbol against an expression without it is a definition; define refuses what its range excludes.
  auto bound = [&](const SizeExpr &e) {
    auto name = e.asSymbol();
    const Symbol *symbol = name ? find(*name) : nullptr;
    return symbol && !symbol->dataDependent ? symbol : nullptr;
  };
  const Symbol *first = bound(left), *second = bound(right);
  if (first && second && first > second)
    std::swap(first, second), std::swap(left, right); // the earlier name stays
  auto uses = [](const SizeExpr &e, const std::string &name) {
    std::set<std::string> used;
    e.collectSymbols(used);
    return used.count(name) > 0;
  };
  if (dependsOnData(left, *this) || dependsOnData(right, *this)) {
    addCheck({Check::Equal, left, right});
    return Status();
  }
  if (second && !uses(left, second->name)) {
    KILN_TRY(define(second->name, left));
    ++merges;
  } else if (first && !uses(right, first->name)) {
    KILN_TRY(define(first->name, right));
    ++merges;
  } else {
    KILN_TRY(merge(left, right));
  }
  return Status();
}

Status SizeTable::requireNotNegative(const SizeExpr &expr) {
  SizeExpr expanded = expand(expr);
  if (expanded.isConstant() && expanded.constant() < 0)
    return makeError(ErrorCode::E0304, "size ", expr.print(), " is negative");
  if (!expanded.isInvalid() && !expanded.isConstant())
    addCheck({Check::AtMost, SizeExpr(0), expanded});
  return Status();
}

/// Lets one symbol stand for both expressions, which are over the same input-bound symbols, and has the equality
/// checked.
Status SizeTable::merge(const SizeExpr &a, const SizeExpr &b) {
  SizeExpr target = b.asSymbol() ? b : intern(a), other = b.asSymbol() ? a : b;
  std::string text = other.print();
  if (auto it = byDefinition.find(text); it != byDefinition.end())
    if (Symbol *symbol = findMutable(it->second); symbol && SizeExpr::symbol(symbol->name) != target) {
      // The symbol may stand for yet another expression, which stays equal.
      if (symbol->definition && *symbol->definition != other)
        addCheck({Check::Equal, *symbol->definition, other});
      symbol->definition = expand(target);
      definitions.insert_or_assign(symbol->name, *symbol->definition);
      KILN_TRY(settle(*symbol));
    }
  if (auto name = target.asSymbol())
    byDefinition.insert_or_assign(text, *name);
  addCheck({Check::Equal, target, other});
  ++merges;
  return Status();
}

void SizeTable::dropChecksOfData() {
  llvm::erase_if(checkList,
                 [&](const Check &check) { return dependsOnData(check.a, *this) || dependsOnData(check.b, *this); });
}

void SizeTable::dropUnused(Operation *function) {
  std::set<std::string> used;
  auto note = [&](Type type) {
    for (const SizeExpr &dim : getDims(type))
      dim.collectSymbols(used);
  };
  function->walk([&](Operation *op) {
    for (Type type : op->getResultTypes())
      note(type);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Type type : block.getArgumentTypes())
          note(type);
  });
  // What must hold of a defined symbol holds whether or not a type names it.
  for (const Symbol &symbol : table)
    if (symbol.definition && symbol.isConstrained())
      used.insert(symbol.name);
  std::set<std::string> roots;
  for (Symbol &symbol : table) {
    if (symbol.definition && used.count(symbol.name))
      symbol.definition->collectSymbols(roots);
    if (!symbol.upperBound || !used.count(symbol.name))
      continue;
    std::set<std::string> names;
    symbol.upperBound->collectSymbols(names);
    // A bound by a size that nothing here tells is none.
    if (llvm::any_of(names, [&](const std::string &name) {
          const Symbol *bound = find(name);
          return bound && bound->dataDependent && !used.count(name);
        }))
      symbol.upperBound.reset();
    else
      roots.merge(names);
  }
  // A size from data that no type has any more was one before other sizes were known: nothing is left to check.
  llvm::erase_if(checkList, [&](const Check &check) {
    std::set<std::string> names;
    check.a.collectSymbols(names);
    check.b.collectSymbols(names);
    return llvm::any_of(names, [&](const std::string &name) {
      const Symbol *symbol = find(name);
      return symbol && symbol->dataDependent && !used.count(name) && !roots.count(name);
    });
  });
  for (Check &check : checkList) {
    check.a.collectSymbols(roots);
    check.b.collectSymbols(roots);
  }
  SizeTable kept;
  for (Symbol &symbol : table)
    if (used.count(symbol.name) || roots.count(symbol.name))
      kept.add(std::move(symbol));
  kept.checkList = std::move(checkList);
  for (const auto &[text, name] : byDefinition)
    if (kept.find(name))
      kept.byDefinition.try_emplace(text, name);
  kept.nextName = nextName;
  kept.merges = merges;
  *this = std::move(kept);
}

Result<std::optional<SizeExpr>> SizeTable::knownBroadcast(const SizeExpr &a, const SizeExpr &b) const {
  if (equal(a, b) || b.isConstant(1))
    return std::optional(a);
  if (a.isConstant(1))
    return std::optional(b);
  if (a.isInvalid() || b.isInvalid())
    return std::optional(a.isConstant() ? a : b);
  if (expand(a).isConstant() && expand(b).isConstant())
    return makeError(ErrorCode::E0304, "sizes ", a.print(), " and ", b.print(), " do not broadcast");
  return std::optional<SizeExpr>();
}

Result<SizeExpr> SizeTable::broadcast(const SizeExpr &a, const SizeExpr &b) {
  KILN_ASSIGN(std::optional<SizeExpr> known, knownBroadcast(a, b));
  if (known)
    return *known;
  SizeExpr left = expand(a), right = expand(b);
  // A size clipped at 2 or more meets the size itself only where nothing is clipped.
  auto isClipped = [](const SizeExpr &clipped, const SizeExpr &size) {
    auto name = size.asSymbol();
    if (!name)
      return false;
    auto limit = clipped.substitute({{*name, SizeExpr(int64_t(1) << 60)}}).asConstant();
    return limit && *limit >= 2 && *limit < (int64_t(1) << 60) && clipped == SizeExpr::min(size, SizeExpr(*limit));
  };
  if (isClipped(left, right) || isClipped(right, left)) {
    KILN_TRY(requireEqual(a, b));
    return left.asSymbol() ? left : right;
  }
  addCheck({Check::Broadcast, left, right});
  // A size that is surely not 1 is the result's, whatever the other one is.
  if (left.isConstant() || lowerBound(a).value_or(0) >= 2)
    return a;
  if (right.isConstant() || lowerBound(b).value_or(0) >= 2)
    return b;
  // Equal, or one of them 1; 0 against 1 gives 0.
  SizeExpr larger = SizeExpr::max(left, right);
  if (lowerBound(a).value_or(0) >= 1 && lowerBound(b).value_or(0) >= 1)
    return larger;
  return larger * SizeExpr::min(SizeExpr(1), SizeExpr::min(left, right));
}

RankedTensorType SizeTable::tensorType(ArrayRef<SizeExpr> dims, Type elementType, ArrayRef<SizeExpr> upperBounds) {
  Dims interned;
  for (auto [i, dim] : llvm::enumerate(dims))
    if (!dim.isInvalid())
      interned.push_back(intern(dim));
    else
      interned.push_back(fresh(i < upperBounds.size() ? std::optional(upperBounds[i]) : std::nullopt));
  return makeTensorType(interned, elementType);
}

} // namespace kiln
