// Sizes as 64-bit integer expressions over named symbols: an immutable value type that is always in
// canonical form (a sum of products, sorted), so that expressions with equal canonical text are
// equal. Text form `H*W*3+((H+1) floordiv 2)-1`, min and max as calls; parse(print(x)) == x.
// floordiv rounds down, ceildiv up, `a mod b` is a - b*(a floordiv b). Symbols are any integers.
// Simplification assumes that evaluation succeeds (divisors are not zero). An expression whose
// constants overflow, or that grows past a limit, becomes `invalid`: it evaluates to an error.
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

class SizeExpr {
public:
  struct Node;

  SizeExpr() : SizeExpr(0) {}
  SizeExpr(int64_t value) : value(value) {}
  SizeExpr(int value) : value(value) {}
  /// The symbol of that name. An identifier ([A-Za-z_][A-Za-z0-9_.$]*, no word of the grammar) is
  /// taken as it is, anything else goes through symbolName.
  static SizeExpr symbol(std::string_view name);
  /// `name` as an identifier: other characters are escaped (`$20` for a blank), a name that starts
  /// with a digit or is a word of the grammar gets a prefix. Distinct names stay distinct.
  static std::string symbolName(std::string_view name);
  static SizeExpr invalid();

  static SizeExpr floorDiv(const SizeExpr &a, const SizeExpr &b);
  static SizeExpr ceilDiv(const SizeExpr &a, const SizeExpr &b);
  static SizeExpr mod(const SizeExpr &a, const SizeExpr &b);
  static SizeExpr min(const SizeExpr &a, const SizeExpr &b);
  static SizeExpr max(const SizeExpr &a, const SizeExpr &b);
  /// Product of all; 1 for none.
  static SizeExpr product(std::span<const SizeExpr> factors);

  bool isConstant() const { return !node; }
  /// Only for isConstant().
  int64_t constant() const;
  std::optional<int64_t> asConstant() const { return node ? std::nullopt : std::optional<int64_t>(value); }
  bool isConstant(int64_t v) const { return !node && value == v; }
  bool isInvalid() const;
  /// The symbol's name when the expression is just that symbol.
  std::optional<std::string> asSymbol() const;

  /// Missing symbols, overflow and zero divisors are errors (E0309, E0308).
  Result<int64_t> evaluate(const std::map<std::string, int64_t> &symbols) const;
  Result<int64_t> evaluate(const std::function<std::optional<int64_t>(const std::string &)> &lookup) const;
  /// Replaces symbols; those not in the map stay.
  SizeExpr substitute(const std::map<std::string, SizeExpr> &symbols) const;
  void collectSymbols(std::set<std::string> &into) const;

  /// The largest constant that divides the value for all symbols (0 for the constant 0).
  int64_t knownDivisor() const;

  std::string print() const;
  static Result<SizeExpr> parse(std::string_view text);

  friend SizeExpr operator+(const SizeExpr &a, const SizeExpr &b);
  friend SizeExpr operator-(const SizeExpr &a, const SizeExpr &b);
  friend SizeExpr operator*(const SizeExpr &a, const SizeExpr &b);
  friend bool operator==(const SizeExpr &a, const SizeExpr &b);
  /// Any total order (constants first, then by text).
  friend bool operator<(const SizeExpr &a, const SizeExpr &b);

private:
  friend struct SizeExprBuilder;
  friend class CompiledSize;
  explicit SizeExpr(std::shared_ptr<const Node> node) : node(std::move(node)) {}

  std::shared_ptr<const Node> node; // null: the constant `value`
  int64_t value = 0;
};

/// "[N,3]"
std::string printSizes(std::span<const SizeExpr> sizes);
/// What stands between the brackets: expressions between commas, of which those inside parentheses belong to their
/// expression.
Result<std::vector<SizeExpr>> parseSizes(std::string_view text);

/// An expression compiled to a short program over symbols by index: no names, no allocation when
/// evaluated.
class CompiledSize {
public:
  enum class Op : uint8_t { Constant, Symbol, Add, Mul, FloorDiv, CeilDiv, Mod, Min, Max };
  struct Instruction {
    Op op;
    int64_t operand; // constant or symbol index
  };

  CompiledSize() = default; // the constant 0
  explicit CompiledSize(int64_t value) : constantValue(value) {}
  /// `symbols` names the symbol of each index; one that is not listed is an error (E0309).
  static Result<CompiledSize> compile(const SizeExpr &expr, std::span<const std::string> symbols);

  bool isConstant() const { return code.empty(); }
  /// The value when isConstant(); else the program in postfix order, for those who emit it as code.
  int64_t constant() const { return constantValue; }
  std::span<const Instruction> instructions() const { return code; }
  /// The index when the expression is one bare symbol.
  std::optional<uint32_t> asSymbol() const;
  /// nullopt on overflow or a zero divisor. `symbols` is as long as the list given to compile.
  std::optional<int64_t> evaluate(std::span<const int64_t> symbols) const;

private:
  std::vector<Instruction> code; // postfix
  int64_t constantValue = 0;
  uint32_t maxDepth = 0;

  friend class SizeCompiler;
};

/// Checked integer helpers of the definitions above; nullopt on overflow or a zero divisor.
std::optional<int64_t> floorDivChecked(int64_t a, int64_t b);
std::optional<int64_t> ceilDivChecked(int64_t a, int64_t b);
std::optional<int64_t> modChecked(int64_t a, int64_t b);

} // namespace kiln
