// Emitter: the one door through which kernel families write code, for any target.
//
// A facade over mlir::OpBuilder that emits scf + vector + arith + math, with raw memory (llvm.ptr) behind helper
// functions, so that a family includes no dialect header at all. How a kernel is entered, and the instructions that
// only some targets have, are a backend's: it derives its emitter from this one. Rules of the generated level:
//   - every integer used as an index, size or byte offset is an i64;
//   - vectors are one-dimensional; `lanes()` of them fill a register of the target;
//   - arithmetic functions dispatch on the operands' type (float or integer, scalar or vector) and want equal types;
//   - a boolean is i1 in registers and one byte (0 or 1) in memory; f16 and bf16 are f32 in registers; u8, u16 and u32
//     are signed there and so wide that they are never negative (i32, i32 and i64), u64 is i64;
//   - memory is only assumed element-aligned: inputs and outputs bound by a caller may be no better;
//   - fast-math flags are `contract` everywhere and `reassoc` inside horizontal reductions, nothing else;
//   - generated code calls nothing outside its own image.
#pragma once

#include "codegen/problem/TargetInfo.h"
#include "runtime/base/DType.h"
#include "runtime/base/SizeExpr.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace kiln::emit {

using mlir::Type;
using mlir::Value;
using mlir::ValueRange;
using Values = llvm::SmallVector<Value, 4>;

// Attribute of a module whose emission failed: says why, and keeps it from being lowered.
inline constexpr const char *emissionErrorName = "kiln.emission_error";

// A comparison; signed on integers, ordered on floats (false where an operand is NaN) except `ne`, which is true.
enum class Cmp { eq, ne, lt, le, gt, ge };

// A local function of the image, emitted once and called out of line (shared micro-kernels).
struct LocalFunction {
  mlir::Operation *op = nullptr;
  Values arguments;
};

class Emitter {
public:
  using LoopBody = llvm::function_ref<Values(Value iv, ValueRange carried)>;
  using VoidLoopBody = llvm::function_ref<void(Value iv)>;
  using Branch = llvm::function_ref<Values()>;
  using VoidBranch = llvm::function_ref<void()>;

  Emitter(mlir::MLIRContext &context, const TargetInfo &target);
  virtual ~Emitter() = default;
  // Hands over the finished module; the emitter is done.
  mlir::OwningOpRef<mlir::ModuleOp> take();
  const TargetInfo &target() const { return target_; }

  // --- Functions ---------------------------------------------------------------------------------------------------
  // Opens the kernel function `symbol` with the ABI of kiln/kernel_abi.h: loads the `buffers` base pointers; `symbols`
  // names the i64 passed in args->sizes, in order. Every begin wants its end.
  void beginKernel(llvm::StringRef symbol, size_t buffers, llvm::ArrayRef<std::string> symbols);
  void endKernel();
  Value buffer(size_t i) const { return buffers_[i]; }
  Value workgroup() const { return workgroup_; }
  Value grid() const { return grid_; }
  Value scratch();   // per-worker memory, 64-byte aligned, Launch::scratchBytes of it
  Value workspace(); // shared by all launches of the emission, 64-byte aligned
  // Value of a size expression over the symbols named in beginKernel (or bound with bindSymbol). One that cannot be
  // evaluated marks the module with emissionErrorName.
  Value size(const SizeExpr &expr);
  void bindSymbol(llvm::StringRef name, Value value);
  // Sets the status word of the ABI block to `code` (the lowest code of any workgroup need not win).
  void setStatus(int32_t code);

  // Opens a function local to the image. beginLocal must not be nested in another open function.
  LocalFunction beginLocal(llvm::StringRef name, llvm::ArrayRef<Type> arguments, llvm::ArrayRef<Type> results = {});
  void endLocal(ValueRange results = {});
  Values call(const LocalFunction &function, ValueRange arguments);

  // --- Types -------------------------------------------------------------------------------------------------------
  Type f32(), f64(), i1(), i8(), i32(), i64(), ptr();
  Type integer(unsigned bits);
  Type vec(Type element, int64_t lanes);          // lanes == 0: the scalar itself
  Type registerType(DType dtype);                 // element type in registers (f16 -> f32, bool -> i1, u8 -> i32)
  int64_t lanes(unsigned elementBits = 32) const; // elements in one register of the target
  static int64_t lanesOf(Type type);              // 0 for a scalar
  static Type elementOf(Type type);
  static bool isFloat(Type type); // of the element
  static bool isInteger(Type type);
  static unsigned bitsOf(Type type);   // of the element
  static int64_t bytesOf(DType dtype); // in memory

  // --- Constants ---------------------------------------------------------------------------------------------------
  Value index(int64_t value);
  Value constant(Type type, double value); // float or integer, scalar or splat
  Value constant(Type type, int64_t value);
  Value constant(Type type, int value) { return constant(type, int64_t(value)); }
  Value like(Value v, double value) { return constant(v.getType(), value); }
  Value like(Value v, int64_t value) { return constant(v.getType(), value); }
  Value like(Value v, int value) { return constant(v.getType(), int64_t(value)); }
  Value constantVector(llvm::ArrayRef<float> values);
  Value constantVector(Type element, llvm::ArrayRef<int64_t> values);
  Value undef(Type type);
  static bool isConstant(Value v, double *value = nullptr); // splat or scalar constant

  // --- Control -----------------------------------------------------------------------------------------------------
  // for (iv = lower; iv < upper; iv += step); step > 0.
  Values loop(Value lower, Value upper, Value step, ValueRange init, LoopBody body);
  void loop(Value lower, Value upper, Value step, VoidLoopBody body);
  void loop(int64_t lower, Value upper, int64_t step, VoidLoopBody body);
  Values ifElse(Value condition, llvm::ArrayRef<Type> results, Branch then, Branch otherwise);
  void ifElse(Value condition, VoidBranch then, VoidBranch otherwise);
  void ifThen(Value condition, VoidBranch then);

  // --- Memory ------------------------------------------------------------------------------------------------------
  Value offset(Value pointer, Value elements, int64_t elementBytes); // pointer + elements * elementBytes
  Value offset(Value pointer, int64_t bytes);
  Value load(Type type, Value pointer, unsigned alignBytes = 0); // 0: the element's natural alignment
  void store(Value value, Value pointer, unsigned alignBytes = 0);
  Value maskedLoad(Type vectorType, Value pointer, Value mask, Value passThrough = {}); // default pass-through: zero
  void maskedStore(Value value, Value pointer, Value mask);
  Value gather(Type vectorType, Value base, Value indices, Value mask = {}); // base[indices], in elements
  void prefetch(Value pointer, int locality = 3, bool write = false);
  Value stackBuffer(int64_t bytes, int64_t alignBytes = 64);
  // By storage type: converts between memory and register form. lanes == 0: a scalar. `mask` may be null.
  Value loadAs(DType dtype, int64_t lanes, Value pointer, Value mask = {});
  void storeAs(DType dtype, Value value, Value pointer, Value mask = {});

  // --- Vectors -----------------------------------------------------------------------------------------------------
  Value splat(Value scalar, int64_t lanes);                              // lanes == 0: the scalar itself
  Value iota(Type vectorType);                                           // 0, 1, 2, ...
  Value tailMask(int64_t lanes, Value count, unsigned elementBits = 32); // lane i is on where i < count
  Value extract(Value vector, int64_t lane);
  Value extract(Value vector, Value lane);
  Value insert(Value scalar, Value vector, int64_t lane);
  Value shuffle(Value a, Value b, llvm::ArrayRef<int64_t> lanes);
  Value reduceAdd(Value vector);
  Value reduceMul(Value vector);
  Value reduceMin(Value vector); // NaN anywhere: some lane's value or NaN
  Value reduceMax(Value vector);

  // --- Arithmetic --------------------------------------------------------------------------------------------------
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b); // integers: toward zero; undefined for /0 and MIN/-1
  Value rem(Value a, Value b);
  Value floorDiv(Value a, Value b); // integers, b > 0
  Value ceilDiv(Value a, Value b);  // integers, b > 0
  Value neg(Value a);
  Value abs(Value a);
  Value fma(Value a, Value b, Value c);                        // a * b + c; integers too
  virtual Value multiplyAddPairs(Value a, Value b, Value sum); // of i32 lanes: low and high halves are i16
  virtual Value multiplyAddQuads(Value a, Value b, Value sum); // of i32 lanes: 4 u8 of a, 4 i8 of b
  // Tile registers, where the target has them (amx): eight, of up to 16 rows of up to 64 bytes. configureTiles takes 64
  // bytes that tell their shapes; rows in memory are `stride` bytes apart. multiplyAddTiles adds products of bytes of
  // `a` (u8, or i8) and quads of i8 of `b` to i32.
  virtual void configureTiles(Value shapes);
  virtual void loadTile(int tile, Value from, Value stride);
  virtual void storeTile(int tile, Value to, Value stride);
  virtual void clearTile(int tile);
  virtual void multiplyAddTiles(int sum, int a, int b, bool isSigned);
  virtual void releaseTiles();
  Value sqrt(Value a);
  Value floor(Value a);
  Value ceil(Value a);
  Value roundEven(Value a);
  Value trunc(Value a);
  // x and n of roundEven(x) + n for a whole number n, or of roundEven(x).
  struct RoundedSum {
    Value x;
    int64_t n;
  };
  static std::optional<RoundedSum> asRoundedSum(Value value);
  Value copySign(Value magnitude, Value sign);
  Value min(Value a, Value b); // NaN in either operand gives NaN
  Value max(Value a, Value b);
  Value fastMin(Value a, Value b); // one instruction: b where either is NaN
  Value fastMax(Value a, Value b);
  Value cmp(Cmp predicate, Value a, Value b);
  Value isNan(Value a);
  Value select(Value condition, Value a, Value b);
  Value bitAnd(Value a, Value b);
  Value bitOr(Value a, Value b);
  Value bitXor(Value a, Value b);
  Value bitNot(Value a);
  Value shl(Value a, Value b);
  Value shrSigned(Value a, Value b);
  Value shrUnsigned(Value a, Value b);
  Value bitcast(Value a, Type type);
  Value intToFloat(Value a, Type type);     // signed; i1 as 0 or 1
  Value floatToInt(Value a, Type type);     // toward zero, saturating, NaN gives 0
  Value floatToIntFast(Value a, Type type); // toward zero; out of range is unspecified
  Value resizeFloat(Value a, Type type);    // f32 <-> f64
  Value resizeInt(Value a, Type type, bool isSigned = true);

  // Instructions of some targets: null where this one has none for operands of such a type. ScalarEmitter then spells
  // them out.
  virtual bool scalesByPowersOf2(Type type) const; // whether the next is there
  virtual Value scaleByPowerOf2(Value x, Value n); // x * 2^n for whole numbers n of any size, in x's type
  virtual Value reciprocalEstimate(Value x);       // 1 / x to 14 bits or better

  mlir::OpBuilder &builder() { return b_; }
  mlir::Location loc() const { return loc_; }

protected:
  // A kernel function that was opened, and what its code is given.
  struct Frame {
    mlir::Operation *function = nullptr;
    mlir::Block *entry = nullptr;
    Value arguments; // points to a kiln_kernel_args_v1
    Value workgroup, grid;
  };
  // Adds the function of a launch to `module`.
  virtual Frame openKernel(mlir::ModuleOp module, llvm::StringRef symbol) = 0;
  // One instruction by the name of its LLVM intrinsic.
  Value intrinsic(llvm::StringRef name, Type result, ValueRange arguments);
  void intrinsic(llvm::StringRef name, ValueRange arguments);

private:
  Value argument(size_t field, Type type);

  mlir::OpBuilder b_;
  mlir::Location loc_;
  TargetInfo target_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  mlir::Operation *function_ = nullptr; // the one being written
  mlir::Block *entry_ = nullptr;
  Value args_, workgroup_, grid_;
  llvm::SmallVector<Value, 8> buffers_;
  std::vector<std::pair<std::string, Value>> symbols_;
};

} // namespace kiln::emit
