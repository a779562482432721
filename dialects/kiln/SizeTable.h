// Sizes with identity: the dims of tensors as SizeExpr, and the symbols of one function with all that is known about
// them.
//
// In the IR a dim is an integer or one symbol (`tensor<?x3xf32, #kiln.dims<[N, 3]>>`). The function's attribute
// `kiln.sizes` lists the symbols and facts, one string each:
//
// - "N in 1..64 % 8": a symbol bound by the inputs, with its range and divisor (both optional; an open end is left out)
// - "d$_0 = (H+1) floordiv 2": a symbol computed from others, over input-bound and data-dependent symbols only
// - "N in 1..64 % 8 = H*2": one that must be in a range as well, because a model or caller said so of it
// - "u$_0 <= N*S": a data-dependent symbol with its upper bound (optional)
// - "check N == M": must hold when sizes are bound
// - "check N ~ M": must be equal, or one of them 1 (a broadcast that stayed ambiguous)
// - "check 0 <= N-K": must not be more
//
// Names are stored names (SizeExpr::symbolName). Those that the compiler makes up hold "$_", which no user's name does
// once it is stored, so that neither can mean the other.
#pragma once

#include "dialects/kiln/AttributeNames.h"
#include "mlir/IR/BuiltinTypes.h"
#include "runtime/base/SizeExpr.h"

#include <limits>

namespace kiln {

using Dims = llvm::SmallVector<SizeExpr, 4>;

/// The dims of a ranked tensor; a `?` that has no symbol is SizeExpr::invalid().
Dims getDims(mlir::Type type);
inline Dims getDims(mlir::Value value) { return getDims(value.getType()); }
int64_t getRank(mlir::Type type);
/// The type of these dims, each a constant or one symbol: plain when all are constants. Anything else becomes a `?`
/// without symbol.
mlir::RankedTensorType makeTensorType(llvm::ArrayRef<SizeExpr> dims, mlir::Type elementType);

class SizeTable {
public:
  static constexpr int64_t unbounded = std::numeric_limits<int64_t>::max();

  struct Symbol {
    std::string name;
    std::optional<SizeExpr> definition; ///< over symbols without a definition
    std::optional<SizeExpr> upperBound; ///< data-dependent symbols
    bool dataDependent = false;
    /// Of an input-bound symbol, or of one whose definition does not imply it.
    int64_t low = 0, high = unbounded, divisor = 1;

    bool isConstrained() const { return low > 0 || high != unbounded || divisor != 1; }
    std::string print() const; ///< its line in the text form
  };
  struct Check {
    enum Kind { Equal, Broadcast, AtMost } kind;
    SizeExpr a, b;
    std::string print() const; ///< its line in the text form
  };

  /// The table of a function (or any op that carries the attribute); an empty one where the attribute is absent.
  static Result<SizeTable> read(mlir::Operation *function);
  void write(mlir::Operation *function) const;

  llvm::ArrayRef<Symbol> symbols() const { return table; }
  llvm::ArrayRef<Check> checks() const { return checkList; }
  const Symbol *find(llvm::StringRef name) const;

  /// The symbol that a model or a caller calls by that name, added as an input-bound one if it is new. Any text will
  /// do.
  SizeExpr declareUser(llvm::StringRef name);
  /// The symbol of that stored name, as a type or this table has it, added as an input-bound one if it is new.
  SizeExpr declareStored(llvm::StringRef name);
  /// A new symbol for a dim of an argument that a caller hands over, under a made-up name.
  SizeExpr declareArgument();
  /// Narrows what is known of a symbol that does not depend on data; an empty range is an error.
  Status constrain(llvm::StringRef name, int64_t low, int64_t high, int64_t divisor = 1);
  /// Gives an input-bound symbol a value or definition (`shapes=` overrides), which then has to be in the symbol's
  /// range too; types that name it are rewritten by InferShapes.
  Status define(llvm::StringRef name, const SizeExpr &value);
  /// Whether a name is one that `fresh` made up.
  static bool isFromData(llvm::StringRef name) { return name.starts_with("u$_"); }
  /// A size from data turned out to be known.
  Status resolve(llvm::StringRef name, const SizeExpr &value);
  /// A constant or one symbol equal to `expr`: equal expressions get the same symbol, a new one gets a definition.
  SizeExpr intern(const SizeExpr &expr);
  /// A new data-dependent symbol.
  SizeExpr fresh(std::optional<SizeExpr> upperBound = std::nullopt);
  /// `expr` over symbols that have no definition.
  SizeExpr expand(const SizeExpr &expr) const;

  /// Provably equal.
  bool equal(const SizeExpr &a, const SizeExpr &b) const;
  /// An error (E0304) where the two differ whatever the symbols are.
  Status mayBeEqual(const SizeExpr &a, const SizeExpr &b) const;
  /// A lower bound from ranges: exact for constants and symbols, else 0 where no term is negative, else nothing.
  std::optional<int64_t> lowerBound(const SizeExpr &expr) const;
  /// Requires equality: an error when it can never hold. Where it is not provable, the two become one symbol from now
  /// on (types are rewritten by InferShapes) and the run time checks what no binding of inputs implies.
  Status requireEqual(const SizeExpr &a, const SizeExpr &b);
  /// Has it checked that `expr` is not below 0; an error where it surely is.
  Status requireNotNegative(const SizeExpr &expr);
  /// The size that results when `a` and `b` meet in a broadcast, as an expression; an error when they can never fit, a
  /// check when they may not.
  Result<SizeExpr> broadcast(const SizeExpr &a, const SizeExpr &b);
  /// The same as far as it is known without a check; else nothing.
  Result<std::optional<SizeExpr>> knownBroadcast(const SizeExpr &a, const SizeExpr &b) const;

  /// How often symbols were found equal so far: InferShapes runs again when the count grew.
  size_t mergeCount() const { return merges; }
  /// Forgets checks of data-dependent sizes, for whom somebody else makes them.
  void dropChecksOfData();
  /// Forgets symbols that nothing in the function names.
  void dropUnused(mlir::Operation *function);

  /// makeTensorType of interned dims; a dim that is invalid gets a fresh symbol. This is where sizes get their names.
  mlir::RankedTensorType tensorType(llvm::ArrayRef<SizeExpr> dims, mlir::Type elementType,
                                    llvm::ArrayRef<SizeExpr> upperBounds = {});

private:
  Symbol *findMutable(llvm::StringRef name);
  Symbol &add(Symbol symbol);
  std::string madeUpName(char kind);
  void addCheck(Check check);
  Status merge(const SizeExpr &a, const SizeExpr &b);
  Status settle(Symbol &symbol);

  std::vector<Symbol> table;
  std::vector<Check> checkList;
  std::map<std::string, size_t, std::less<>> byName;
  std::map<std::string, std::string> byDefinition; // canonical text of the expanded definition -> symbol
  std::map<std::string, SizeExpr> definitions;     // for substitute
  unsigned nextName = 0;
  size_t merges = 0;
};

} // namespace kiln
