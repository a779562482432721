// Matrix products: batched with broadcast batch dims, either operand transposed, B constant (packed at compile time) or
// not (packed by a launch of its own, or read in place), any elementwise epilogue. Narrow types are widened to that of
// the sums: A by a launch, B as it is packed or read.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/gemm/IntegerOperands.h"
#include "codegen/families/gemm/Nest.h"
#include "codegen/families/gemm/PaddedRows.h"
#include "codegen/families/gemm/Panels.h"
#include "codegen/families/gemm/Widening.h"

#include <algorithm>

namespace kiln {

using namespace emit;
using namespace gemm;

namespace {

/// A problem's product, taken apart.
struct Product {
  ElementTypes types;
  /// `b` is a buffer. So is `a`, or it is made from buffers as it is copied for tiles to read.
  Problem::ValueId a = Problem::absent, b = Problem::absent, result = Problem::absent;
  bool transposeA = false, transposeB = false, constantB = false;
  SizeExpr rows, columns, depth;            ///< of one product of the batch
  std::vector<SizeExpr> batch;              ///< of the result
  std::vector<SizeExpr> batchA, batchB;     ///< right-aligned, filled with ones to the result's rank
  bool copiesA = false;                     ///< widened, or made from others
  std::optional<PaddedRows> paddedA;        ///< rows of bytes that tiles read instead of A's
  SizeExpr rowDepth;                        ///< of the rows that tiles read
  Problem::ValueId zeroA = Problem::absent; ///< the byte that stands for 0 in A, where a run tells it
  bool folded = false;                      ///< B is the same for the whole batch: the batch joins the rows

  static std::optional<Product> of(const Problem &problem);
  /// The same for kernels that read bytes where the target multiplies such.
  static std::optional<Product> of(const Problem &problem, const TargetInfo &target);
};

std::vector<SizeExpr> batchDims(const Problem::Value &value, size_t rank) {
  std::vector<SizeExpr> dims(value.dims.begin(), value.dims.end() - 2);
  dims.insert(dims.begin(), rank - dims.size(), SizeExpr(1));
  return dims;
}

bool allOnes(const std::vector<SizeExpr> &dims) {
  return std::all_of(dims.begin(), dims.end(), [](const SizeExpr &d) { return d.isConstant(1); });
}

std::optional<Product> Product::of(const Problem &problem) {
  const Problem::Op *op = nullptr;
  for (const Problem::Op &candidate : problem.ops)
    if (candidate.mnemonic == "matmul") {
      if (op)
        return std::nullopt;
      op = &candidate;
    }
  if (!op || op->operands.size() != 2)
    return std::nullopt;
  Product p;
  p.result = op->result();
  p.a = op->operands[0];
  auto operands = productOperands(problem, problem.value(p.result).dtype, p.a, op->operands[1]);
  if (!operands)
    return std::nullopt;
  p.types = operands->types;
  p.b = operands->b;
  const Problem::Value &a = problem.value(p.a), &b = problem.value(p.b), &out = problem.value(p.result);
  if (a.rank() < 2 || b.rank() < 2 || out.rank() < 2 || a.rank() > out.rank() || b.rank() > out.rank())
    return std::nullopt;
  p.transposeA = op->attributes.getBool("transpose_a");
  p.transposeB = op->attributes.getBool("transpose_b");
  p.constantB = b.kind == Problem::Kind::Const;
  size_t rank = static_cast<size_t>(out.rank());
  p.rows = out.dims[rank - 2];
  p.columns = out.dims[rank - 1];
  // The two depths are equal; of a constant B it is a number, of A perhaps an expression of the model's sizes.
  p.depth = p.constantB ? *(b.dims.end() - (p.transposeB ? 1 : 2)) : *(a.dims.end() - (p.transposeA ? 2 : 1));
  p.rowDepth = p.depth;
  p.batch = batchDims(out, rank - 2);
  p.batchA = batchDims(a, rank - 2);
  p.batchB = batchDims(b, rank - 2);
  for (size_t d = 0; d < p.batch.size(); ++d)
    for (const SizeExpr &own : {p.batchA[d], p.batchB[d]})
      if (!own.isConstant(1) && !(own == p.batch[d]))
        return std::nullopt;
  if (p.constantB) {
    for (const SizeExpr &d : b.dims)
      if (!d.isConstant())
        return std::nullopt;
    if (!isReadOnce(problem, op->operands[1]))
      return std::nullopt;
  }
  std::vector<Problem::ValueId> read = buffersBelow(problem, p.a);
  read.push_back(p.b);
  for (const Problem::InPlace &pair : problem.inPlace)
    if (std::ranges::find(read, problem.inputs().at(static_cast<size_t>(pair.input))) != read.end())
      return std::nullopt;
  if (p.constantB && isByte(p.types.source) && !p.transposeA && p.depth.constant() % 2 == 0 && fitsI16(problem, p.a)) {
    p.types.row = DType::I16;
    p.types.kPack = 2;
  }
  p.copiesA = p.types.widens() || !problem.value(p.a).isBuffer();
  p.folded = !p.transposeA && allOnes(p.batchB) && p.batchA == p.batch;
  return p;
}

/// Rows that tiles are cut from.
SizeExpr tiledRows(const Product &p) { return p.folded ? p.rows * SizeExpr::product(p.batch) : p.rows; }

std::optional<Product> Product::of(const Problem &problem, const TargetInfo &target) {
  std::optional<Product> p = of(problem);
  if (!p || !p->constantB || p->transposeA)
    return p;
  auto rows = byteRows(problem, p->types, p->a, target);
  if (!rows || (rows->types.zeroOfRun && p->depth.constant() % 4 != 0))
    return p;
  p->zeroA = rows->zero;
  p->types = rows->types;
  p->a = rows->a;
  p->copiesA = false;
  int64_t depth = p->depth.constant(), padded = PaddedRows::paddedLength(depth);
  if (depth != padded) {
    p->paddedA = PaddedRows{rows->a, SizeExpr::product(p->batchA) * p->rows, depth, p->types.rowZero};
    p->rowDepth = padded;
  }
  // Few rows leave most of a tile register empty, and wait for weights anyway.
  constexpr int64_t fewRows = 4;
  SizeExpr rowCount = tiledRows(*p);
  p->types.tileRegisters = target.has("amx") && !p->paddedA && depth % 64 == 0 && depth > 0 &&
                           !(rowCount.isConstant() && rowCount.constant() <= fewRows);
  return p;
}

ElementTypes typesOf(const Product &p, bool pack) {
  if (!pack)
    return p.types;
  return p.constantB ? p.types.packedConstant(p.depth.constant()) : p.types.packedWide();
}

ProductShape shapeOf(const Product &p, bool pack) {
  ProductShape shape;
  shape.types = typesOf(p, pack);
  shape.packed = pack;
  shape.rows = tiledRows(p).asConstant();
  shape.columns = p.columns.asConstant();
  shape.depth = p.depth.asConstant();
  shape.constantB = p.constantB;
  return shape;
}

/// Reading B in place wants whole vectors of columns.
bool mayReadInPlace(const Product &p) {
  return !p.constantB && !p.transposeB && p.columns.isConstant() && p.columns.constant() % panelColumns == 0;
}

Config configOf(const Tiling &tiling, bool pack) {
  Config config = toConfig(tiling);
  config.set("pack", pack);
  return config;
}

/// What a configuration makes of a problem.
struct MatMulShape {
  const Problem &problem;
  Product p;
  bool pack;
  NestShape nest;

  MatMulShape(const Problem &problem, const Config &config, const TargetInfo &target)
      : problem(problem), p(*Product::of(problem, target)), pack(config.getBool("pack")) {
    nest.tiling = fromConfig<Tiling>(config);
    nest.types = typesOf(p, pack);
    nest.sizes.rows = tiledRows(p);
    nest.sizes.columns = p.columns;
    nest.sizes.inner = p.rowDepth;
    nest.sizes.batch = p.folded ? SizeExpr(1) : SizeExpr::product(p.batch);
    nest.sharesWidened = pack && paysToShareWidened(nest, target);
  }

  bool packsInLaunch() const { return pack && !p.constantB; }
  SizeExpr matrixBytesB() const { return p.depth * p.columns * p.types.sourceBytes(); }
  /// Of the panels of one matrix.
  SizeExpr packedBytesB() const { return nest.panelCount() * nest.panelBytes(); }
  /// Of the panels that a launch makes; what follows in the workspace is A, widened.
  SizeExpr workspacePanelBytes() const {
    return packsInLaunch() ? SizeExpr::product(p.batchB) * packedBytesB() : SizeExpr(0);
  }
  KernelInterface describe() const;
  double cycles(const PricedProblem &priced) const {
    double packed = packsInLaunch() ? priced.elements(p.b) : 0;
    return nest.cycles(priced) + packed * (p.transposeB ? 1 : 0.2) + priced.elementwiseCycles();
  }
};

KernelInterface MatMulShape::describe() const {
  KernelInterface interface;
  if (packsInLaunch()) {
    interface.workspaceBytes = workspacePanelBytes();
    interface.launches.push_back(preparingLaunch(problem, "pack", p.b, SizeExpr::product(p.batchB) * nest.panelCount(),
                                                 interface.workspaceBytes));
  }
  if (p.copiesA) {
    interface.launches.push_back(wideningLaunch(problem, p.a, p.types));
    interface.workspaceBytes = workspacePanelBytes() + widenedBytes(problem, p.a, p.types);
  }
  if (p.paddedA) {
    interface.launches.push_back(p.paddedA->launch(problem));
    interface.workspaceBytes = p.paddedA->bytes();
  }
  if (p.constantB)
    interface.packed.push_back(
        {uint32_t(problem.inputIndex(p.b)),
         packMatrix(SizeExpr::product(p.batchB).constant(), p.depth.constant(), p.columns.constant(), p.transposeB,
                    nest.types.kPack, nest.types.multipliesQuads())});
  interface.launches.push_back(mainLaunch(problem, "matmul", nest.grid(), nest.scratchBytes(),
                                          allOperands(problem, p.constantB ? p.b : Problem::absent)));
  return interface;
}

/// Emission of one problem.
class MatMulEmission : MatMulShape {
public:
  MatMulEmission(const MatMulShape &shape, Emitter &e, const KernelInterface &interface)
      : MatMulShape(shape), interface(interface), e(e) {}

  void run() {
    if (packsInLaunch())
      emitPacking();
    if (p.copiesA)
      emitWidening(e, interface, packsInLaunch() ? 1 : 0, problem, p.a, p.types, workspacePanelBytes());
    if (p.paddedA)
      p.paddedA->emit(e, interface, 0, 0);
    emitProduct();
  }

private:
  void emitPacking();
  void emitProduct();
  /// Bytes from the start of a batched operand to the matrix of product `batch`.
  Value batchBytes(const std::vector<SizeExpr> &own, const SizeExpr &matrix, Value batch);

  const KernelInterface &interface;
  Emitter &e;
};

void MatMulEmission::emitPacking() {
  beginLaunch(e, interface);
  PanelSource from;
  from.source = e.buffer(0);
  SizeExpr bytes = p.types.sourceBytes();
  from.columnBytes = e.size(p.transposeB ? p.depth * bytes : bytes);
  from.innerBytes = e.size(p.transposeB ? bytes : p.columns * bytes);
  from.tapBytes = e.index(0);
  from.taps = e.index(1);
  from.inner = e.size(p.depth);
  from.columns = e.size(p.columns);
  emitPackMatrices(e, p.types, from, e.size(matrixBytesB()), e.workspace());
  e.endKernel();
}

Value MatMulEmission::batchBytes(const std::vector<SizeExpr> &own, const SizeExpr &matrix, Value batch) {
  if (allOnes(own))
    return e.index(0);
  if (own == p.batch)
    return e.mul(batch, e.size(matrix));
  Value offset = e.index(0), rest = batch;
  SizeExpr stride = matrix;
  for (size_t d = own.size(); d-- > 0;) {
    Value size = e.size(p.batch[d]);
    if (!own[d].isConstant(1))
      offset = e.add(offset, e.mul(e.rem(rest, size), e.size(stride)));
    rest = e.div(rest, size);
    stride = stride * own[d];
  }
  return offset;
}

void MatMulEmission::emitProduct() {
  Nest kernels(e, nest, {pack, !p.transposeA});

  beginLaunch(e, interface, interface.launches.size() - 1);
  BasePointers pointers = basePointers(e, problem);
  Value a = p.paddedA   ? e.workspace()
            : p.copiesA ? e.offset(e.workspace(), e.size(workspacePanelBytes()), 1)
                        : pointers.inputs[problem.inputIndex(p.a)];
  Value b = packsInLaunch() ? e.workspace() : pointers.inputs[problem.inputIndex(p.b)];
  Epilogue epilogue(e, problem, p.result, p.types.accumulator, Problem::absent, pointers.inputs, pointers.outputs);

  Nest::Operands operands;
  if (p.types.zeroOfRun)
    operands.rowExcess = rowZero(e, p.types, pointers.inputs[problem.inputIndex(p.zeroA)]).excess;
  SizeExpr bytes = p.types.rowBytes(); // of an element of A, as tiles read it
  SizeExpr rowBytes = p.transposeA ? bytes : p.rowDepth * bytes;
  operands.fillTable = [&](Value batch, Value row0, Value table) {
    Value base = p.folded ? a : e.offset(a, batchBytes(p.batchA, p.rows * p.rowDepth * bytes, batch), 1);
    Value last = e.sub(e.size(nest.sizes.rows), e.index(1)), stride = e.size(rowBytes);
    e.loop(0, e.index(nest.tiling.tile.rows), 1, [&](Value i) {
      Value row = e.min(e.add(row0, i), last);
      e.store(e.offset(base, e.mul(row, stride), 1), e.offset(table, i, 8));
    });
  };
  operands.panel = [&](Value batch, Value panel) {
    SizeExpr matrix = pack ? packedBytesB() : matrixBytesB();
    Value base = p.folded ? b : e.offset(b, batchBytes(p.batchB, matrix, batch), 1);
    return pack ? e.offset(base, e.mul(panel, e.size(nest.panelBytes())), 1)
                : e.offset(base, panel, nest.panelStepBytes());
  };
  operands.bStep = pack ? Value() : e.size(p.columns * p.types.sourceBytes());
  operands.aStep = p.transposeA ? e.size(p.rows * bytes) : p.types.tileRegisters ? e.size(rowBytes) : Value();
  operands.origin = [&](Value batch) {
    return EpilogueRow{p.folded ? e.index(0) : e.mul(batch, e.size(p.rows)), e.index(0)};
  };
  kernels.emit(operands, epilogue);
  e.endKernel();
}

struct MatMulKernel : MatMulShape {
  using MatMulShape::MatMulShape;
  void emit(Emitter &e, const KernelInterface &interface) const { MatMulEmission(*this, e, interface).run(); }
};

class MatMulFamily final : public FamilyOf<MatMulKernel> {
public:
  std::string_view name() const override { return "matmul"; }
  int version() const override { return 3; }
  bool claims(const Problem &problem) const override {
    auto product = Product::of(problem);
    return product && isEpilogueOf(problem, product->result);
  }
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override {
    Product p = *Product::of(problem, target);
    // Rows of B that lie close together do not disturb each other in the cache.
    bool pack = !(mayReadInPlace(p) && p.columns.constant() <= 128);
    return configOf(defaultTiling(shapeOf(p, pack), target), pack);
  }
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override {
    Product p = *Product::of(problem, target);
    std::vector<Config> configs{defaultConfig(problem, target)};
    for (bool pack : {true, false}) {
      if (!pack && !mayReadInPlace(p))
        continue;
      for (const Tiling &tiling : candidateTilings(shapeOf(p, pack), target)) {
        Config config = configOf(tiling, pack);
        if (std::find(configs.begin(), configs.end(), config) == configs.end())
          configs.push_back(config);
      }
    }
    return configs;
  }
  bool isLegal(const Problem &problem, const Config &config, const TargetInfo &target) const override {
    auto p = Product::of(problem, target);
    Tiling tiling = fromConfig<Tiling>(config);
    bool pack = config.getBool("pack");
    return p && isLegalTiling(tiling, typesOf(*p, pack), target) && config == configOf(tiling, pack) &&
           (pack || mayReadInPlace(*p));
  }
  Exactness exactness(const Problem &problem, const Config &) const override {
    return productExactness(problem, Product::of(problem)->types);
  }
};

} // namespace

const KernelFamily &matMulFamily() {
  static const MatMulFamily family;
  return family;
}

} // namespace kiln
