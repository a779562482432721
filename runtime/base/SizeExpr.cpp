#include "runtime/base/SizeExpr.h"

#include "runtime/base/TextScanner.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace kiln {
namespace {

enum class AtomKind : uint8_t { Symbol, FloorDiv, CeilDiv, Mod, Min, Max, Product };

/// Past these an expression becomes invalid: sizes of real models stay far below.
constexpr size_t maxTerms = 256, maxText = 16384;

} // namespace

/// An indivisible factor. Its text is its identity.
struct SizeAtom {
  AtomKind kind;
  std::vector<SizeExpr> operands; // of all kinds but Symbol
  std::string text;
};
using AtomRef = std::shared_ptr<const SizeAtom>;

namespace {

struct Term {
  std::vector<AtomRef> atoms; // sorted by text; empty: the constant term
  int64_t coefficient;
};

int compareAtoms(const std::vector<AtomRef> &a, const std::vector<AtomRef> &b) {
  if (a.empty() != b.empty())
    return a.empty() ? 1 : -1; // the constant term comes last
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (int c = a[i]->text.compare(b[i]->text))
      return c;
  return int(a.size()) - int(b.size());
}

} // namespace

struct SizeExpr::Node {
  bool invalid = false;
  std::vector<Term> terms; // sorted, coefficients not zero; never only a constant term
  std::string text;
};

std::optional<int64_t> floorDivChecked(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == INT64_MIN))
    return std::nullopt;
  int64_t q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}

std::optional<int64_t> ceilDivChecked(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == INT64_MIN))
    return std::nullopt;
  int64_t q = a / b;
  return (a % b != 0 && ((a < 0) == (b < 0))) ? q + 1 : q;
}

std::optional<int64_t> modChecked(int64_t a, int64_t b) {
  if (b == 0)
    return std::nullopt;
  if (b == -1)
    return 0;
  int64_t r = a % b;
  return (r != 0 && ((r < 0) != (b < 0))) ? r + b : r;
}

struct SizeExprBuilder {
  using Terms = std::vector<Term>;

  static const SizeExpr &invalidExpr() {
    static const SizeExpr expr = [] {
      auto node = std::make_shared<SizeExpr::Node>();
      node->invalid = true;
      node->text = "invalid";
      return SizeExpr(std::shared_ptr<const SizeExpr::Node>(node));
    }();
    return expr;
  }

  static Terms termsOf(const SizeExpr &e) {
    if (e.node)
      return e.node->terms;
    if (e.value == 0)
      return {};
    return {Term{{}, e.value}};
  }

  static std::string printTerms(const Terms &terms) {
    std::string out;
    for (const Term &term : terms) {
      if (term.atoms.empty()) {
        if (term.coefficient >= 0)
          out += '+';
        out += std::to_string(term.coefficient);
        continue;
      }
      bool negated = term.coefficient == -1;
      if (!out.empty())
        out += negated ? "-" : "+";
      for (size_t i = 0; i < term.atoms.size(); ++i) {
        if (i)
          out += '*';
        out += term.atoms[i]->text;
      }
      bool first = &term == &terms[0];
      if (negated ? first : term.coefficient != 1)
        out += '*' + std::to_string(term.coefficient);
    }
    return out;
  }

  /// From terms in any order, with duplicates and zeros.
  static SizeExpr fromTerms(Terms terms) {
    std::stable_sort(terms.begin(), terms.end(),
                     [](const Term &a, const Term &b) { return compareAtoms(a.atoms, b.atoms) < 0; });
    Terms merged;
    for (Term &term : terms) {
      if (!merged.empty() && compareAtoms(merged.back().atoms, term.atoms) == 0) {
        if (__builtin_add_overflow(merged.back().coefficient, term.coefficient, &merged.back().coefficient))
          return invalidExpr();
      } else {
        merged.push_back(std::move(term));
      }
      if (merged.back().coefficient == 0)
        merged.pop_back();
    }
    if (merged.empty())
      return SizeExpr(0);
    if (merged.size() == 1 && merged[0].atoms.empty())
      return SizeExpr(merged[0].coefficient);
    if (merged.size() > maxTerms)
      return invalidExpr();
    auto node = std::make_shared<SizeExpr::Node>();
    node->text = printTerms(merged);
    if (node->text.size() > maxText)
      return invalidExpr();
    node->terms = std::move(merged);
    return SizeExpr(std::shared_ptr<const SizeExpr::Node>(std::move(node)));
  }

  /// As an operand inside an atom's text: bare when it is one symbol, call or constant >= 0.
  static std::string printOperand(const SizeExpr &e) {
    std::string text = e.print();
    if (e.node &&
        !(e.node->terms.size() == 1 && e.node->terms[0].atoms.size() == 1 && e.node->terms[0].coefficient == 1))
      return "(" + text + ")";
    if (!e.node && e.value < 0)
      return "(" + text + ")";
    return text;
  }

  static SizeExpr atomExpr(AtomRef atom) {
    if (atom->text.size() > maxText)
      return invalidExpr();
    return fromTerms({Term{{std::move(atom)}, 1}});
  }

  static SizeExpr infix(AtomKind kind, const char *word, const SizeExpr &a, const SizeExpr &b) {
    auto atom = std::make_shared<SizeAtom>();
    atom->kind = kind;
    atom->operands = {a, b};
    atom->text = "(" + printOperand(a) + " " + word + " " + printOperand(b) + ")";
    return atomExpr(std::move(atom));
  }

  static SizeExpr multiply(const SizeExpr &a, const SizeExpr &b) {
    Terms x = termsOf(a), y = termsOf(b), out;
    if (x.size() * y.size() > maxTerms)
      return productAtom(a, b);
    for (const Term &s : x)
      for (const Term &t : y) {
        Term term;
        if (__builtin_mul_overflow(s.coefficient, t.coefficient, &term.coefficient))
          return invalidExpr();
        term.atoms.resize(s.atoms.size() + t.atoms.size());
        std::merge(s.atoms.begin(), s.atoms.end(), t.atoms.begin(), t.atoms.end(), term.atoms.begin(),
                   [](const AtomRef &l, const AtomRef &r) { return l->text < r->text; });
        out.push_back(std::move(term));
      }
    return fromTerms(std::move(out));
  }

  /// A product too large to multiply out.
  static SizeExpr productAtom(const SizeExpr &a, const SizeExpr &b) {
    auto atom = std::make_shared<SizeAtom>();
    atom->kind = AtomKind::Product;
    atom->operands = {a, b};
    if (b < a)
      std::swap(atom->operands[0], atom->operands[1]);
    atom->text = "((" + atom->operands[0].print() + ")*(" + atom->operands[1].print() + "))";
    return atomExpr(std::move(atom));
  }

  /// q when a == q * b for a monomial q, term by term.
  static std::optional<SizeExpr> divideExactly(const SizeExpr &a, const SizeExpr &b) {
    Terms x = termsOf(a), y = termsOf(b);
    if (x.empty() || y.empty())
      return std::nullopt;
    if (y.size() == 1) { // monomial divisor: every term must contain it
      Terms out;
      for (const Term &term : x) {
        std::optional<Term> q = divideTerm(term, y[0]);
        if (!q)
          return std::nullopt;
        out.push_back(std::move(*q));
      }
      return fromTerms(std::move(out));
    }
    if (x.size() != y.size())
      return std::nullopt;
    for (const Term &term : x) { // the term of a that b's first term came from is not known
      std::optional<Term> q = divideTerm(term, y[0]);
      if (!q)
        continue;
      SizeExpr factor = fromTerms({*q});
      if (multiply(factor, b) == a)
        return factor;
    }
    return std::nullopt;
  }

  static std::optional<Term> divideTerm(const Term &a, const Term &b) {
    if (b.coefficient == -1 && a.coefficient == INT64_MIN)
      return std::nullopt;
    if (a.coefficient % b.coefficient != 0)
      return std::nullopt;
    Term q{a.atoms, a.coefficient / b.coefficient};
    for (const AtomRef &atom : b.atoms) {
      auto it =
          std::find_if(q.atoms.begin(), q.atoms.end(), [&](const AtomRef &other) { return other->text == atom->text; });
      if (it == q.atoms.end())
        return std::nullopt;
      q.atoms.erase(it);
    }
    return q;
  }

  /// a floordiv c for a constant c > 1: what divides exactly leaves the division.
  static SizeExpr floorDivConstant(const SizeExpr &a, int64_t c) {
    Terms whole, rest;
    for (const Term &term : termsOf(a)) {
      int64_t q = *floorDivChecked(term.coefficient, c), r = term.coefficient - q * c;
      if (term.atoms.empty()) {
        if (q)
          whole.push_back({{}, q});
        if (r)
          rest.push_back({{}, r});
      } else if (r == 0) {
        whole.push_back({term.atoms, q});
      } else {
        rest.push_back(term);
      }
    }
    SizeExpr base = fromTerms(std::move(whole)), numerator = fromTerms(std::move(rest));
    if (numerator.isInvalid() || base.isInvalid())
      return invalidExpr();
    if (numerator.isConstant()) // 0 <= r < c
      return base;
    // ((y floordiv d) + k) floordiv c == (y + k*d) floordiv (d*c)
    const Terms &terms = numerator.node->terms;
    bool hasConstant = terms.size() == 2 && terms[1].atoms.empty();
    if ((terms.size() == 1 || hasConstant) && terms[0].atoms.size() == 1 && terms[0].coefficient == 1 &&
        terms[0].atoms[0]->kind == AtomKind::FloorDiv) {
      const SizeAtom &inner = *terms[0].atoms[0];
      std::optional<int64_t> d = inner.operands[1].asConstant();
      int64_t dc;
      if (d && *d > 0 && !__builtin_mul_overflow(*d, c, &dc)) {
        SizeExpr shifted = inner.operands[0] + SizeExpr(hasConstant ? terms[1].coefficient : 0) * SizeExpr(*d);
        return base + SizeExpr::floorDiv(shifted, SizeExpr(dc));
      }
    }
    return base + infix(AtomKind::FloorDiv, "floordiv", numerator, SizeExpr(c));
  }

  static SizeExpr extremum(AtomKind kind, const SizeExpr &a, const SizeExpr &b) {
    std::vector<SizeExpr> operands;
    std::optional<int64_t> bound;
    auto add = [&](const SizeExpr &e) {
      if (std::optional<int64_t> c = e.asConstant()) {
        if (!bound)
          bound = c;
        bound = kind == AtomKind::Min ? std::min(*bound, *c) : std::max(*bound, *c);
      } else {
        operands.push_back(e);
      }
    };
    for (const SizeExpr *e : {&a, &b}) {
      const SizeAtom *atom = soleAtom(*e);
      if (atom && atom->kind == kind)
        for (const SizeExpr &operand : atom->operands)
          add(operand);
      else
        add(*e);
    }
    std::sort(operands.begin(), operands.end());
    operands.erase(std::unique(operands.begin(), operands.end()), operands.end());
    if (bound)
      operands.push_back(SizeExpr(*bound));
    if (operands.size() == 1)
      return operands[0];
    auto atom = std::make_shared<SizeAtom>();
    atom->kind = kind;
    atom->text = kind == AtomKind::Min ? "min(" : "max(";
    for (size_t i = 0; i < operands.size(); ++i)
      atom->text += (i ? ", " : "") + operands[i].print();
    atom->text += ")";
    atom->operands = std::move(operands);
    return atomExpr(std::move(atom));
  }

  static const SizeAtom *soleAtom(const SizeExpr &e) {
    if (!e.node || e.node->terms.size() != 1 || e.node->terms[0].coefficient != 1 || e.node->terms[0].atoms.size() != 1)
      return nullptr;
    return e.node->terms[0].atoms[0].get();
  }

  /// Calls `leaf` for symbols and `combine` bottom-up; the shared shape of evaluation and
  /// substitution. `cache` keeps shared atoms from being visited once per path.
  template <typename Value> struct Fold {
    std::function<std::optional<Value>(const std::string &)> symbol;
    std::function<std::optional<Value>(int64_t)> constant;
    std::function<std::optional<Value>(AtomKind, const Value &, const Value &)> combine;
    std::function<std::optional<Value>(const Value &, const Value &)> add, multiply;
    std::map<const SizeAtom *, std::optional<Value>> cache = {};

    std::optional<Value> atom(const SizeAtom &a) {
      auto it = cache.find(&a);
      if (it != cache.end())
        return it->second;
      std::optional<Value> result;
      if (a.kind == AtomKind::Symbol) {
        result = symbol(a.text);
      } else {
        result = expr(a.operands[0]);
        for (size_t i = 1; result && i < a.operands.size(); ++i) {
          std::optional<Value> next = expr(a.operands[i]);
          result = next ? combine(a.kind, *result, *next) : std::nullopt;
        }
      }
      cache.emplace(&a, result);
      return result;
    }

    std::optional<Value> expr(const SizeExpr &e) {
      if (!e.node)
        return constant(e.value);
      if (e.node->invalid)
        return std::nullopt;
      std::optional<Value> sum;
      for (const Term &term : e.node->terms) {
        std::optional<Value> product;
        for (const AtomRef &a : term.atoms) {
          std::optional<Value> factor = atom(*a);
          if (!factor)
            return std::nullopt;
          product = product ? multiply(*product, *factor) : factor;
          if (!product)
            return std::nullopt;
        }
        if (!product || term.coefficient != 1) {
          std::optional<Value> factor = constant(term.coefficient);
          if (!factor)
            return std::nullopt;
          product = product ? multiply(*product, *factor) : factor;
        }
        if (!product)
          return std::nullopt;
        sum = sum ? add(*sum, *product) : product;
        if (!sum)
          return std::nullopt;
      }
      return sum;
    }
  };
};

namespace {

/// Words of expressions, and the one that begins a relation of the size table.
bool isGrammarWord(std::string_view name) {
  for (std::string_view word : {"floordiv", "ceildiv", "mod", "min", "max", "invalid", "check"})
    if (name == word)
      return true;
  return false;
}

std::optional<int64_t> combineValues(AtomKind kind, int64_t a, int64_t b) {
  switch (kind) {
  case AtomKind::FloorDiv: return floorDivChecked(a, b);
  case AtomKind::CeilDiv: return ceilDivChecked(a, b);
  case AtomKind::Mod: return modChecked(a, b);
  case AtomKind::Min: return std::min(a, b);
  case AtomKind::Max: return std::max(a, b);
  case AtomKind::Product: {
    int64_t r;
    return __builtin_mul_overflow(a, b, &r) ? std::nullopt : std::optional<int64_t>(r);
  }
  case AtomKind::Symbol: break;
  }
  return std::nullopt;
}

} // namespace

std::string SizeExpr::symbolName(std::string_view name) {
  static const char hex[] = "0123456789abcdef";
  std::string out;
  if (name.empty() || TextScanner::isDigit(name[0]) || isGrammarWord(name) || name[0] == '.' ||
      !(TextScanner::isIdentifierStart(name[0])))
    out = "_$"; // the prefix cannot come from a name: '$' is escaped
  for (unsigned char c : name) {
    if (TextScanner::isIdentifierStart(char(c)) || TextScanner::isDigit(char(c)) || c == '.') {
      out += char(c);
    } else {
      out += '$';
      out += hex[c >> 4];
      out += hex[c & 15];
    }
  }
  return out;
}

SizeExpr SizeExpr::symbol(std::string_view name) {
  auto atom = std::make_shared<SizeAtom>();
  atom->kind = AtomKind::Symbol;
  // A name that is already in stored form stays: parsing what was printed must not escape twice.
  bool stored = !name.empty() && TextScanner::isIdentifierStart(name[0]) && !isGrammarWord(name);
  for (char c : name)
    stored &= TextScanner::isIdentifierStart(c) || TextScanner::isDigit(c) || c == '.' || c == '$';
  atom->text = stored ? std::string(name) : symbolName(name);
  return SizeExprBuilder::atomExpr(std::move(atom));
}

SizeExpr SizeExpr::invalid() { return SizeExprBuilder::invalidExpr(); }

bool SizeExpr::isInvalid() const { return node && node->invalid; }

int64_t SizeExpr::constant() const {
  assert(isConstant());
  return value;
}

std::optional<std::string> SizeExpr::asSymbol() const {
  const SizeAtom *atom = SizeExprBuilder::soleAtom(*this);
  return atom && atom->kind == AtomKind::Symbol ? std::optional<std::string>(atom->text) : std::nullopt;
}

SizeExpr operator+(const SizeExpr &a, const SizeExpr &b) {
  if (a.isInvalid() || b.isInvalid())
    return SizeExpr::invalid();
  SizeExprBuilder::Terms terms = SizeExprBuilder::termsOf(a), more = SizeExprBuilder::termsOf(b);
  terms.insert(terms.end(), more.begin(), more.end());
  return SizeExprBuilder::fromTerms(std::move(terms));
}

SizeExpr operator-(const SizeExpr &a, const SizeExpr &b) { return a + b * SizeExpr(-1); }

SizeExpr operator*(const SizeExpr &a, const SizeExpr &b) {
  if (a.isInvalid() || b.isInvalid())
    return SizeExpr::invalid();
  return SizeExprBuilder::multiply(a, b);
}

bool operator==(const SizeExpr &a, const SizeExpr &b) {
  if (!a.node || !b.node)
    return !a.node && !b.node && a.value == b.value;
  return a.node == b.node || a.node->text == b.node->text;
}

bool operator<(const SizeExpr &a, const SizeExpr &b) {
  if (!a.node || !b.node)
    return !a.node && (b.node || a.value < b.value);
  return a.node->text < b.node->text;
}

SizeExpr SizeExpr::floorDiv(const SizeExpr &a, const SizeExpr &b) {
  if (a.isInvalid() || b.isInvalid())
    return invalid();
  if (std::optional<int64_t> c = b.asConstant()) {
    if (*c == 1)
      return a;
    if (*c > 1)
      return SizeExprBuilder::floorDivConstant(a, *c);
    if (std::optional<int64_t> x = a.asConstant()) {
      std::optional<int64_t> q = floorDivChecked(*x, *c);
      return q ? SizeExpr(*q) : invalid();
    }
    if (*c == 0)
      return invalid();
  } else {
    if (a.isConstant(0))
      return a;
    if (std::optional<SizeExpr> q = SizeExprBuilder::divideExactly(a, b))
      return *q;
  }
  return SizeExprBuilder::infix(AtomKind::FloorDiv, "floordiv", a, b);
}

SizeExpr SizeExpr::ceilDiv(const SizeExpr &a, const SizeExpr &b) {
  if (a.isInvalid() || b.isInvalid())
    return invalid();
  if (std::optional<int64_t> c = b.asConstant()) {
    if (*c > 0)
      return floorDiv(a + SizeExpr(*c - 1), b);
    if (std::optional<int64_t> x = a.asConstant()) {
      std::optional<int64_t> q = ceilDivChecked(*x, *c);
      return q ? SizeExpr(*q) : invalid();
    }
    if (*c == 0)
      return invalid();
  } else {
    if (a.isConstant(0))
      return a;
    if (std::optional<SizeExpr> q = SizeExprBuilder::divideExactly(a, b))
      return *q;
  }
  return SizeExprBuilder::infix(AtomKind::CeilDiv, "ceildiv", a, b);
}

SizeExpr SizeExpr::mod(const SizeExpr &a, const SizeExpr &b) {
  if (a.isInvalid() || b.isInvalid())
    return invalid();
  std::optional<int64_t> c = b.asConstant();
  if (!c) {
    if (a.isConstant(0) || SizeExprBuilder::divideExactly(a, b))
      return SizeExpr(0);
    return SizeExprBuilder::infix(AtomKind::Mod, "mod", a, b);
  }
  if (*c == 0)
    return invalid();
  if (std::optional<int64_t> x = a.asConstant())
    return SizeExpr(*modChecked(*x, *c));
  if (*c == 1 || *c == -1)
    return SizeExpr(0);
  if (*c < 0)
    return SizeExprBuilder::infix(AtomKind::Mod, "mod", a, b);
  SizeExprBuilder::Terms rest;
  for (Term term : SizeExprBuilder::termsOf(a)) {
    term.coefficient = *modChecked(term.coefficient, *c);
    rest.push_back(std::move(term));
  }
  SizeExpr reduced = SizeExprBuilder::fromTerms(std::move(rest));
  if (reduced.isInvalid() || reduced.isConstant())
    return reduced;
  return SizeExprBuilder::infix(AtomKind::Mod, "mod", reduced, b);
}

SizeExpr SizeExpr::min(const SizeExpr &a, const SizeExpr &b) {
  if (a.isInvalid() || b.isInvalid())
    return invalid();
  return SizeExprBuilder::extremum(AtomKind::Min, a, b);
}

SizeExpr SizeExpr::max(const SizeExpr &a, const SizeExpr &b) {
  if (a.isInvalid() || b.isInvalid())
    return invalid();
  return SizeExprBuilder::extremum(AtomKind::Max, a, b);
}

SizeExpr SizeExpr::product(std::span<const SizeExpr> factors) {
  SizeExpr result(1);
  for (const SizeExpr &factor : factors)
    result = result * factor;
  return result;
}

Result<int64_t> SizeExpr::evaluate(const std::function<std::optional<int64_t>(const std::string &)> &lookup) const {
  if (!node)
    return value;
  std::string missing;
  SizeExprBuilder::Fold<int64_t> fold;
  fold.symbol = [&](const std::string &name) {
    std::optional<int64_t> found = lookup(name);
    if (!found)
      missing = name;
    return found;
  };
  fold.constant = [](int64_t c) { return std::optional<int64_t>(c); };
  fold.combine = [](AtomKind kind, int64_t a, int64_t b) { return combineValues(kind, a, b); };
  fold.multiply = [](int64_t a, int64_t b) { return combineValues(AtomKind::Product, a, b); };
  fold.add = [](int64_t a, int64_t b) {
    int64_t r;
    return __builtin_add_overflow(a, b, &r) ? std::nullopt : std::optional<int64_t>(r);
  };
  if (std::optional<int64_t> result = fold.expr(*this))
    return *result;
  if (!missing.empty())
    return makeError(ErrorCode::E0309, "size '", print(), "': symbol '", missing, "' has no value");
  return makeError(ErrorCode::E0308, "size '", print(), "' overflows or divides by zero");
}

Result<int64_t> SizeExpr::evaluate(const std::map<std::string, int64_t> &symbols) const {
  return evaluate([&](const std::string &name) {
    auto it = symbols.find(name);
    return it == symbols.end() ? std::nullopt : std::optional<int64_t>(it->second);
  });
}

SizeExpr SizeExpr::substitute(const std::map<std::string, SizeExpr> &symbols) const {
  if (!node || node->invalid)
    return *this;
  SizeExprBuilder::Fold<SizeExpr> fold;
  fold.symbol = [&](const std::string &name) -> std::optional<SizeExpr> {
    auto it = symbols.find(name);
    return it == symbols.end() ? symbol(name) : it->second;
  };
  fold.constant = [](int64_t c) { return std::optional<SizeExpr>(SizeExpr(c)); };
  fold.multiply = [](const SizeExpr &a, const SizeExpr &b) { return std::optional(a * b); };
  fold.add = [](const SizeExpr &a, const SizeExpr &b) { return std::optional(a + b); };
  fold.combine = [](AtomKind kind, const SizeExpr &a, const SizeExpr &b) -> std::optional<SizeExpr> {
    switch (kind) {
    case AtomKind::FloorDiv: return floorDiv(a, b);
    case AtomKind::CeilDiv: return ceilDiv(a, b);
    case AtomKind::Mod: return mod(a, b);
    case AtomKind::Min: return min(a, b);
    case AtomKind::Max: return max(a, b);
    case AtomKind::Product: return a * b;
    case AtomKind::Symbol: break;
    }
    return std::nullopt;
  };
  return fold.expr(*this).value_or(invalid());
}

void SizeExpr::collectSymbols(std::set<std::string> &into) const {
  SizeExprBuilder::Fold<int64_t> fold;
  fold.symbol = [&](const std::string &name) {
    into.insert(name);
    return std::optional<int64_t>(0);
  };
  fold.constant = [](int64_t) { return std::optional<int64_t>(0); };
  fold.multiply = fold.add = [](int64_t, int64_t) { return std::optional<int64_t>(0); };
  fold.combine = [](AtomKind, int64_t, int64_t) { return std::optional<int64_t>(0); };
  (void)fold.expr(*this);
}

int64_t SizeExpr::knownDivisor() const {
  if (!node)
    return value == INT64_MIN ? 1 : std::abs(value);
  int64_t divisor = 0;
  for (const Term &term : node->terms)
    divisor = std::gcd(divisor, term.coefficient == INT64_MIN ? 1 : term.coefficient);
  return divisor == 0 ? 1 : divisor;
}

std::string SizeExpr::print() const { return node ? node->text : std::to_string(value); }

namespace {

class Parser {
public:
  explicit Parser(std::string_view text) : scan(text) {}

  Result<SizeExpr> parse() {
    KILN_ASSIGN(SizeExpr e, sum(0));
    if (!scan.atEnd())
      return scan.fail(ErrorCode::E0108, "unexpected text after the size expression");
    return e;
  }

private:
  static constexpr int maxNesting = 200;

  // sum: division (('+' | '-') division)*
  Result<SizeExpr> sum(int depth) {
    KILN_ASSIGN(SizeExpr result, division(depth));
    while (true) {
      if (scan.consume('+')) {
        KILN_ASSIGN(SizeExpr next, division(depth));
        result = result + next;
      } else if (scan.consume('-')) {
        KILN_ASSIGN(SizeExpr next, division(depth));
        result = result - next;
      } else {
        return result;
      }
    }
  }

  // division: unary (('*' | 'floordiv' | 'ceildiv' | 'mod') unary)*
  Result<SizeExpr> division(int depth) {
    KILN_ASSIGN(SizeExpr result, unary(depth));
    while (true) {
      if (scan.consume('*')) {
        KILN_ASSIGN(SizeExpr next, unary(depth));
        result = result * next;
        continue;
      }
      if (!TextScanner::isIdentifierStart(scan.peek()))
        return result;
      std::string_view word = scan.identifier();
      if (word != "floordiv" && word != "ceildiv" && word != "mod")
        return scan.fail(ErrorCode::E0108, "expected an operator");
      KILN_ASSIGN(SizeExpr next, unary(depth));
      result = word == "floordiv"  ? SizeExpr::floorDiv(result, next)
               : word == "ceildiv" ? SizeExpr::ceilDiv(result, next)
                                   : SizeExpr::mod(result, next);
    }
  }

  Result<SizeExpr> unary(int depth) {
    if (depth > maxNesting)
      return scan.fail(ErrorCode::E0107, "size expression is nested too deeply");
    char c = scan.peek();
    if (TextScanner::isDigit(c) || c == '-') {
      if (std::optional<int64_t> number = scan.integer())
        return SizeExpr(*number);
      if (!scan.consume('-'))
        return scan.fail(ErrorCode::E0108, "number does not fit 64 bits");
      KILN_ASSIGN(SizeExpr operand, unary(depth + 1));
      return operand * SizeExpr(-1);
    }
    if (scan.consume('(')) {
      KILN_ASSIGN(SizeExpr inner, sum(depth + 1));
      if (!scan.consume(')'))
        return scan.fail(ErrorCode::E0108, "expected ')'");
      return inner;
    }
    std::string_view word = scan.identifier();
    if (word == "min" || word == "max")
      return call(word == "min", depth);
    if (word == "invalid")
      return SizeExpr::invalid();
    if (word.empty() || isGrammarWord(word))
      return scan.fail(ErrorCode::E0108, "expected a size");
    return SizeExpr::symbol(word);
  }

  Result<SizeExpr> call(bool isMin, int depth) {
    if (!scan.consume('('))
      return scan.fail(ErrorCode::E0108, "expected '('");
    KILN_ASSIGN(SizeExpr result, sum(depth + 1));
    while (scan.consume(',')) {
      KILN_ASSIGN(SizeExpr next, sum(depth + 1));
      result = isMin ? SizeExpr::min(result, next) : SizeExpr::max(result, next);
    }
    if (!scan.consume(')'))
      return scan.fail(ErrorCode::E0108, "expected ',' or ')'");
    return result;
  }

  TextScanner scan;
};

} // namespace

Result<SizeExpr> SizeExpr::parse(std::string_view text) { return Parser(text).parse(); }

class SizeCompiler {
public:
  SizeCompiler(CompiledSize &out, std::span<const std::string> symbols) : out(out), symbols(symbols) {}

  bool expr(const SizeExpr &e) {
    if (e.isConstant())
      return push(CompiledSize::Op::Constant, e.constant());
    const std::vector<Term> terms = SizeExprBuilder::termsOf(e);
    for (size_t i = 0; i < terms.size(); ++i) {
      const Term &term = terms[i];
      bool first = true;
      for (const AtomRef &a : term.atoms) {
        if (!atom(*a))
          return false;
        if (!first)
          combine(CompiledSize::Op::Mul);
        first = false;
      }
      if (first || term.coefficient != 1) {
        push(CompiledSize::Op::Constant, term.coefficient);
        if (!first)
          combine(CompiledSize::Op::Mul);
      }
      if (i)
        combine(CompiledSize::Op::Add);
    }
    return out.code.size() < 100000;
  }

  std::string missing;

private:
  bool atom(const SizeAtom &a) {
    if (a.kind == AtomKind::Symbol) {
      auto it = std::find(symbols.begin(), symbols.end(), a.text);
      if (it == symbols.end()) {
        missing = a.text;
        return false;
      }
      return push(CompiledSize::Op::Symbol, it - symbols.begin());
    }
    for (size_t i = 0; i < a.operands.size(); ++i) {
      if (!expr(a.operands[i]))
        return false;
      if (i)
        combine(opOf(a.kind));
    }
    return true;
  }

  static CompiledSize::Op opOf(AtomKind kind) {
    switch (kind) {
    case AtomKind::FloorDiv: return CompiledSize::Op::FloorDiv;
    case AtomKind::CeilDiv: return CompiledSize::Op::CeilDiv;
    case AtomKind::Mod: return CompiledSize::Op::Mod;
    case AtomKind::Min: return CompiledSize::Op::Min;
    case AtomKind::Max: return CompiledSize::Op::Max;
    case AtomKind::Symbol:
    case AtomKind::Product: break;
    }
    return CompiledSize::Op::Mul;
  }

  bool push(CompiledSize::Op op, int64_t operand) {
    out.code.push_back({op, operand});
    out.maxDepth = std::max(out.maxDepth, ++depth);
    return true;
  }
  void combine(CompiledSize::Op op) {
    out.code.push_back({op, 0});
    --depth;
  }

  CompiledSize &out;
  std::span<const std::string> symbols;
  uint32_t depth = 0;
};

Result<CompiledSize> CompiledSize::compile(const SizeExpr &expr, std::span<const std::string> symbols) {
  if (std::optional<int64_t> c = expr.asConstant())
    return CompiledSize(*c);
  if (expr.isInvalid())
    return makeError(ErrorCode::E0308, "size overflows or divides by zero");
  CompiledSize result;
  SizeCompiler compiler(result, symbols);
  if (!compiler.expr(expr)) {
    if (compiler.missing.empty())
      return makeError(ErrorCode::E0907, "size '", expr.print(), "' is too large");
    return makeError(ErrorCode::E0309, "size '", expr.print(), "': symbol '", compiler.missing, "' is not defined");
  }
  return result;
}

std::optional<uint32_t> CompiledSize::asSymbol() const {
  if (code.size() == 1 && code[0].op == Op::Symbol)
    return uint32_t(code[0].operand);
  return std::nullopt;
}

std::optional<int64_t> CompiledSize::evaluate(std::span<const int64_t> symbols) const {
  if (code.empty())
    return constantValue;
  int64_t local[32];
  std::vector<int64_t> heap;
  int64_t *top = local;
  if (maxDepth > 32) {
    heap.resize(maxDepth);
    top = heap.data();
  }
  for (const Instruction &i : code) {
    if (i.op == Op::Constant) {
      *top++ = i.operand;
      continue;
    }
    if (i.op == Op::Symbol) {
      *top++ = symbols[size_t(i.operand)];
      continue;
    }
    int64_t b = *--top, a = *--top;
    std::optional<int64_t> r;
    switch (i.op) {
    case Op::Add:
      if (int64_t s; !__builtin_add_overflow(a, b, &s))
        r = s;
      break;
    case Op::Mul: r = combineValues(AtomKind::Product, a, b); break;
    case Op::FloorDiv: r = floorDivChecked(a, b); break;
    case Op::CeilDiv: r = ceilDivChecked(a, b); break;
    case Op::Mod: r = modChecked(a, b); break;
    case Op::Min: r = std::min(a, b); break;
    case Op::Max: r = std::max(a, b); break;
    case Op::Constant:
    case Op::Symbol: break;
    }
    if (!r)
      return std::nullopt;
    *top++ = *r;
  }
  return *--top;
}

std::string printSizes(std::span<const SizeExpr> sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i)
    text += (i ? "," : "") + sizes[i].print();
  return text + "]";
}

Result<std::vector<SizeExpr>> parseSizes(std::string_view text) {
  std::vector<SizeExpr> sizes;
  if (text.empty())
    return sizes;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size()) {
      depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
      if (text[i] != ',' || depth != 0)
        continue;
    }
    KILN_ASSIGN(SizeExpr size, SizeExpr::parse(text.substr(start, i - start)));
    sizes.push_back(std::move(size));
    start = i + 1;
  }
  return sizes;
}

} // namespace kiln
