// Elementwise: any graph of elementwise ops with broadcasting, one sweep over the common space of its outputs.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/ChannelOperands.h"
#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/ScalarOps.h"
#include "codegen/families/common/Space.h"
#include "runtime/base/PlantedBug.h"

#include <numeric>

namespace kiln {
using emit::Emitter;
using mlir::Value;

namespace {

std::vector<int> allOps(const Problem &problem) {
  std::vector<int> ops(problem.ops.size());
  std::iota(ops.begin(), ops.end(), 0);
  return ops;
}

/// A sweep over the outputs, of which each is written at the same place.
class ElementwiseKernel {
public:
  ElementwiseKernel(const Problem &original, const Config &config, const TargetInfo &target)
      : original(original), problem(hasChannelOperands(original) ? *alignChannelOperands(original) : original),
        unroll(unrollOf(config)), bits(widestElement(problem)), lanes(target.lanes(int(bits))) {
    std::vector<std::span<const SizeExpr>> dims;
    for (Problem::ValueId id : problem.inputs())
      dims.push_back(problem.value(id).dims);
    space = collapse(problem.value(problem.outputs[0]).dims, dims);
    grid = makeRowGrid(space.space, 32768, lanes * unroll);
  }

  KernelInterface describe() const { return oneLaunch(mainLaunch(original, "elementwise", grid.grid())); }
  double cycles(const PricedProblem &priced) const;
  void emit(Emitter &e, const KernelInterface &interface) const;

private:
  const Problem &original;
  Problem problem; ///< with its channel operands aligned
  int unroll;
  unsigned bits;
  int64_t lanes;
  CollapsedSpace space;
  RowGrid grid;
};

/// Every op is done for each vector of the space, be its operands broadcast into it or not; only what is the same all
/// along a row is done once a row.
double ElementwiseKernel::cycles(const PricedProblem &priced) const {
  const std::vector<SizeExpr> &out = problem.value(problem.outputs[0]).dims;
  double vectors = priced.rowVectors(space.space, double(lanes));
  double rows = priced.product(std::span(space.space).first(space.space.size() - 1));
  double instructions = double(problem.inputs().size() + problem.outputs.size()) * vectors;
  for (const Problem::Op &op : problem.ops) {
    const std::vector<SizeExpr> &dims = problem.value(op.result()).dims;
    bool alongRow = out.empty() || (!dims.empty() && dims.back() == out.back());
    instructions += scalarOpCost(op) * (alongRow ? vectors : rows);
  }
  return instructions * vectorCycles + 10 * rows;
}

void ElementwiseKernel::emit(Emitter &e, const KernelInterface &interface) const {
  SizeExpr part = grid.partsPerRow.isConstant(1) ? grid.row : SizeExpr::symbol("part");
  std::vector<Problem::ValueId> inputs = problem.inputs();
  beginLaunch(e, interface);
  std::vector<BufferAccess> in, out;
  for (size_t i = 0; i < inputs.size(); ++i)
    in.emplace_back(e, e.buffer(i), problem.value(inputs[i]).dtype, space.buffers[i], space.space);
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    out.emplace_back(e, e.buffer(inputs.size() + i), problem.value(problem.outputs[i]).dtype, space.space, space.space);

  emit::ScalarEmitter scalars(e);
  emitRows(e, space.space, grid, [&](mlir::ValueRange outer, Value begin, Value end) {
    if (problem.ops.size() > 1 && plantedBug("elementwise-tail", grid.row.asConstant(), 64, 5))
      end = e.sub(end, e.index(1));
    std::vector<Value> rows, fixed(inputs.size());
    for (size_t i = 0; i < in.size(); ++i) {
      rows.push_back(in[i].rowAddress(outer));
      if (in[i].inner() == DimUse::Broadcast)
        fixed[i] = in[i].load(rows[i], lanes);
    }
    std::vector<Value> outRows;
    for (BufferAccess &access : out)
      outRows.push_back(access.rowAddress(outer));
    emitVectors(e, begin, end, lanes, unroll, bits, part, [&](Value at, int count, Value mask) {
      for (int u = 0; u < count; ++u) {
        Value index = e.add(at, e.index(u * lanes));
        Expression point(problem, scalars, lanes, [&](Problem::ValueId id) {
          int i = problem.inputIndex(id);
          return fixed[i] ? fixed[i] : in[i].load(in[i].step(rows[i], index), lanes, mask);
        });
        emit::Values results;
        for (Problem::ValueId id : problem.outputs)
          results.push_back(point.get(id));
        for (size_t i = 0; i < out.size(); ++i)
          out[i].store(results[i], out[i].step(outRows[i], index), mask);
      }
    });
  });
  e.endKernel();
}

class ElementwiseFamily final : public UnrolledFamilyOf<ElementwiseKernel> {
public:
  std::string_view name() const override { return "elementwise"; }
  int version() const override { return 1; }

  /// Every op has a scalar body for its element types (or is a batch_norm), literals have one element, all outputs have
  /// the same dims.
  bool claims(const Problem &problem) const override {
    if (hasChannelOperands(problem)) {
      std::optional<Problem> aligned = alignChannelOperands(problem);
      return aligned && !hasChannelOperands(*aligned) && claims(*aligned);
    }
    // Compile time grows faster than the region, and beyond this the region is no longer bound by memory.
    constexpr size_t maxOps = 64, maxOutputs = 8;
    if (problem.ops.empty() || problem.ops.size() > maxOps || problem.outputs.empty() ||
        problem.outputs.size() > maxOutputs || problem.precision == Precision::Strict || !isExpression(problem))
      return false;
    const std::vector<SizeExpr> &space = problem.value(problem.outputs[0]).dims;
    for (Problem::ValueId id : problem.outputs)
      if (problem.value(id).kind != Problem::Kind::Result || problem.value(id).dims != space)
        return false;
    for (Problem::ValueId id : problem.inputs())
      if (problem.value(id).dims.size() > space.size())
        return false;
    return true;
  }

  /// Cheap bodies are unrolled to hide the loop; long ones overlap by themselves.
  Config defaultConfig(const Problem &problem, const TargetInfo &) const override {
    return unrolled(expressionCost(problem, allOps(problem)) <= 12 ? 4 : 1);
  }

  Exactness exactness(const Problem &problem, const Config &) const override {
    ExpressionError error = expressionError(problem);
    double factor = hasChannelOperands(problem) ? 4 : 1; // several steps in one op
    return {factor * error.relative, factor * error.scaled};
  }
};

} // namespace

const KernelFamily &elementwiseFamily() {
  static const ElementwiseFamily family;
  return family;
}

} // namespace kiln
