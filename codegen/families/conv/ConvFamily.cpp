// Convolutions in channels-last layout as implicit matrix products: a row of the product is an output pixel, whose
// operands are read in place through one pointer per kernel tap (or from a row of zeros where the tap lies in the
// padding). No unfolded copy of the input is made; one of a narrow type is widened by a launch. Any spatial rank from 1
// to 3, strides, dilations, pads and groups.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/conv/PixelRows.h"
#include "codegen/families/conv/WinogradEmission.h"
#include "codegen/families/gemm/IntegerOperands.h"
#include "codegen/families/gemm/Nest.h"
#include "codegen/families/gemm/Panels.h"
#include "codegen/families/gemm/Widening.h"

#include <algorithm>

namespace kiln {

using namespace emit;
using namespace gemm;

namespace {

ElementTypes typesOf(const Convolution &c) {
  return c.constantFilter ? c.types.packedConstant(c.groupChannels.constant()) : c.types.packedWide();
}

ProductShape shapeOf(const Convolution &c) {
  ProductShape shape;
  shape.types = typesOf(c);
  shape.rows = c.pixels().asConstant();
  shape.columns = SizeExpr::floorDiv(c.outputs, c.groups).asConstant();
  shape.depth = (c.taps() * c.groupChannels).asConstant();
  shape.rowReuse = c.taps().asConstant().value_or(1);
  shape.constantB = c.constantFilter;
  return shape;
}

/// A convolution's problem, in the layout that this family has kernels for.
Problem channelsLast(Problem problem) {
  for (Problem::Op &op : problem.ops) {
    if (op.mnemonic != "conv" || op.attributes.getString("layout") == "nhwc")
      continue;
    op.attributes.set("layout", std::string("nhwc"));
    for (Problem::ValueId id : {op.operands[0], op.result()})
      if (std::vector<SizeExpr> &dims = problem.values.at(static_cast<size_t>(id)).dims; dims.size() > 2)
        std::rotate(dims.begin() + 1, dims.begin() + 2, dims.end());
  }
  return problem;
}

/// What a tiling makes of a problem: pixels are rows, taps times channels the depth.
struct ConvShape {
  const Problem &problem;
  Convolution c;
  NestShape nest;

  ConvShape(const Problem &problem, const Tiling &tiling, const TargetInfo &target)
      : problem(problem), c(*Convolution::of(problem, target)) {
    nest.tiling = tiling;
    nest.types = typesOf(c);
    nest.sizes.rows = c.pixels();
    nest.sizes.columns = groupOutputs();
    nest.sizes.taps = c.taps();
    nest.sizes.inner = c.groupChannels;
    nest.sizes.batch = c.groups;
    nest.sharesWidened = paysToShareWidened(nest, target);
  }

  SizeExpr groupOutputs() const { return SizeExpr::floorDiv(c.outputs, c.groups); }
  /// Of the panels that a launch makes; what follows in the workspace is the input, widened.
  SizeExpr workspacePanelBytes() const {
    return c.constantFilter ? SizeExpr(0) : SizeExpr(c.groups) * nest.panelCount() * nest.panelBytes();
  }
  /// A pixel's channels are consecutive product rows' operands: no tables of taps are needed.
  bool plainRows() const {
    auto ones = [](const std::vector<int64_t> &v) {
      return std::all_of(v.begin(), v.end(), [](int64_t x) { return x == 1; });
    };
    return c.taps().isConstant(1) && ones(c.strides) && !c.padded();
  }
  KernelInterface describe() const;
  double cycles(const PricedProblem &priced) const {
    double packed = c.constantFilter ? 0 : priced.elements(c.filter);
    // A tile's table has an entry for each of its pixels' taps.
    double pointers = plainRows() ? 0 : priced.value(nest.sizes.rows * nest.sizes.taps) * double(c.groups);
    return nest.cycles(priced) + packed + 1.5 * pointers + priced.elementwiseCycles();
  }
};

KernelInterface ConvShape::describe() const {
  KernelInterface interface;
  if (c.constantFilter) {
    interface.packed.push_back({uint32_t(problem.inputIndex(c.filter)),
                                packFilter(c.groups, groupOutputs().constant(), c.filterChannels.constant(),
                                           c.taps().constant(), nest.types.kPack, nest.types.multipliesQuads())});
  } else {
    interface.workspaceBytes = workspacePanelBytes();
    interface.launches.push_back(
        preparingLaunch(problem, "pack", c.filter, SizeExpr(c.groups) * nest.panelCount(), interface.workspaceBytes));
  }
  if (c.copiesInput) {
    interface.launches.push_back(wideningLaunch(problem, c.input, c.types));
    interface.workspaceBytes = workspacePanelBytes() + widenedBytes(problem, c.input, c.types);
  }
  if (c.paddedRows) {
    interface.launches.push_back(c.paddedRows->launch(problem));
    interface.workspaceBytes = c.paddedRows->bytes();
  }
  SizeExpr scratch = nest.scratchBytes();
  if (!plainRows())
    scratch = scratch + PixelRows::scratchBytes(c);
  interface.launches.push_back(mainLaunch(problem, "conv", nest.grid(), scratch,
                                          allOperands(problem, c.constantFilter ? c.filter : Problem::absent)));
  return interface;
}

/// Emission of one problem.
class ConvEmission : ConvShape {
public:
  ConvEmission(const ConvShape &shape, Emitter &e, const KernelInterface &interface)
      : ConvShape(shape), interface(interface), e(e) {}

  void run() {
    if (!c.constantFilter)
      emitPacking();
    if (c.copiesInput)
      emitWidening(e, interface, c.constantFilter ? 0 : 1, problem, c.input, c.types, workspacePanelBytes());
    if (c.paddedRows)
      c.paddedRows->emit(e, interface, 0, 0);
    emitProduct();
  }

private:
  void emitPacking();
  void emitProduct();

  const KernelInterface &interface;
  Emitter &e;
};

void ConvEmission::emitPacking() {
  beginLaunch(e, interface);
  PanelSource from;
  from.source = e.buffer(0);
  SizeExpr filterBytes = c.groupChannels * c.taps() * c.types.sourceBytes();
  from.columnBytes = e.size(filterBytes);
  from.innerBytes = e.size(c.taps() * c.types.sourceBytes());
  from.tapBytes = e.index(c.types.sourceBytes());
  from.taps = e.size(c.taps());
  from.inner = e.size(c.groupChannels);
  from.columns = e.size(groupOutputs());
  emitPackMatrices(e, c.types, from, e.size(groupOutputs() * filterBytes), e.workspace());
  e.endKernel();
}

void ConvEmission::emitProduct() {
  Nest kernels(e, nest, {});
  PixelRows pixels(e, c, nest.tiling.tile.rows, nest.tableRowBytes());

  beginLaunch(e, interface, interface.launches.size() - 1);
  BasePointers pointers = basePointers(e, problem);
  Value x = c.paddedRows    ? e.workspace()
            : c.copiesInput ? e.offset(e.workspace(), e.size(workspacePanelBytes()), 1)
                            : pointers.inputs[problem.inputIndex(c.input)];
  int64_t bytes = c.types.rowBytes(); // of an element of the input, as tiles read it
  Value w = c.constantFilter ? pointers.inputs[problem.inputIndex(c.filter)] : e.workspace();
  Epilogue epilogue(e, problem, c.result, nest.types.accumulator, c.bias, pointers.inputs, pointers.outputs);

  Nest::Operands operands;
  RowZero zero;
  if (c.types.multipliesQuads()) {
    zero = rowZero(e, c.types, c.types.zeroOfRun ? pointers.inputs[problem.inputIndex(c.zero)] : Value());
    operands.rowExcess = zero.excess;
  }
  if (plainRows()) {
    operands.fillTable = [&](Value group, Value row0, Value table) {
      Value base = e.offset(x, e.mul(group, e.size(c.groupChannels)), bytes);
      Value last = e.sub(e.size(nest.sizes.rows), e.index(1)), stride = e.size(c.channels * bytes);
      e.loop(0, e.index(nest.tiling.tile.rows), 1, [&](Value i) {
        Value row = e.min(e.add(row0, i), last);
        e.store(e.offset(base, e.mul(row, stride), 1), e.offset(table, i, 8));
      });
    };
  } else {
    pixels.begin(x, e.offset(e.scratch(), e.size(nest.scratchBytes()), 1), zero.byte);
    operands.fillTable = [&](Value group, Value row0, Value table) { pixels.fill(group, row0, table); };
  }
  operands.panel = [&](Value group, Value panel) {
    return e.offset(w, e.mul(e.add(e.mul(group, e.size(nest.panelCount())), panel), e.size(nest.panelBytes())), 1);
  };
  operands.origin = [&](Value group) { return EpilogueRow{e.index(0), e.mul(group, e.size(groupOutputs()))}; };
  kernels.emit(operands, epilogue);
  e.endKernel();
}

class ConvKernel {
public:
  ConvKernel(const Problem &problem, const Config &config, const TargetInfo &target)
      : problem(problem), config(config), target(target) {}

  KernelInterface describe() const {
    return usesWinograd() ? describeWinograd(problem, winograd(), target) : direct().describe();
  }
  double cycles(const PricedProblem &priced) const {
    return usesWinograd() ? winogradCycles(*Convolution::of(problem), winograd(), target) + priced.elementwiseCycles()
                          : direct().cycles(priced);
  }
  void emit(Emitter &e, const KernelInterface &interface) const {
    if (usesWinograd())
      emitWinograd(e, problem, winograd(), interface, target);
    else
      ConvEmission(direct(), e, interface).run();
  }

private:
  bool usesWinograd() const { return config.contains("winograd"); }
  WinogradTiling winograd() const { return fromConfig<WinogradTiling>(config); }
  ConvShape direct() const { return {problem, fromConfig<Tiling>(config), target}; }

  const Problem &problem;
  const Config &config;
  const TargetInfo &target;
};

class ConvFamily final : public FamilyOf<ConvKernel> {
public:
  std::string_view name() const override { return "conv"; }
  int version() const override { return 4; }
  bool claims(const Problem &problem) const override {
    auto conv = Convolution::of(problem);
    return conv && isEpilogueOf(problem, conv->result);
  }
  std::optional<std::string> layoutPreference(const Problem &problem) const override {
    return claims(channelsLast(problem)) ? std::optional<std::string>("nhwc") : std::nullopt;
  }
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override {
    Convolution conv = *Convolution::of(problem, target);
    if (auto winograd = defaultWinograd(problem, conv, target))
      return toConfig(*winograd);
    return toConfig(defaultTiling(shapeOf(conv), target));
  }
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override {
    Convolution conv = *Convolution::of(problem, target);
    std::vector<Config> configs;
    for (const Tiling &tiling : candidateTilings(shapeOf(conv), target))
      configs.push_back(toConfig(tiling));
    for (const WinogradTiling &tiling : candidateWinograds(problem, conv, target))
      configs.push_back(toConfig(tiling));
    return configs;
  }
  bool isLegal(const Problem &problem, const Config &config, const TargetInfo &target) const override {
    auto conv = Convolution::of(problem, target);
    if (conv && config.contains("winograd")) {
      WinogradTiling tiling = fromConfig<WinogradTiling>(config);
      return mayUseWinograd(problem, *conv, target) && isLegalTiling(tiling, target) && config == toConfig(tiling);
    }
    Tiling tiling = fromConfig<Tiling>(config);
    return conv && isLegalTiling(tiling, typesOf(*conv), target) && config == toConfig(tiling);
  }
  /// Minimal filtering combines all inputs of a tile: an infinity becomes NaN there (docs/semantics.md).
  Exactness exactness(const Problem &problem, const Config &config) const override {
    Exactness exactness = productExactness(problem, Convolution::of(problem)->types);
    exactness.nonFinite = !config.contains("winograd");
    return exactness;
  }
};

} // namespace

const KernelFamily &convFamily() {
  static const ConvFamily family;
  return family;
}

} // namespace kiln
