#include "codegen/families/elementwise/Elementwise.h"

#include "codegen/families/common/ChannelOperands.h"
#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/Space.h"
#include "runtime/base/PlantedBug.h"

#include <numeric>

namespace kiln {
namespace {

class ElementwiseFamily : public KernelFamily {
public:
  std::string_view name() const override { return "elementwise"; }
  int version() const override { return 1; }
  /// Every op has a scalar body for its element types (or is a batch_norm), literals have one element, all outputs have
  /// the same dims.
  bool claims(const Problem &problem) const override;
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override;
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override;
  Result<KernelInterface> describeLaunches(const Problem &problem, const Config &config,
                                           const TargetInfo &target) const override;
  Result<mlir::OwningOpRef<mlir::ModuleOp>> emitLaunches(const Problem &problem, const Config &config,
                                                         const TargetInfo &target, const KernelInterface &interface,
                                                         mlir::MLIRContext &context) const override;
  Exactness exactness(const Problem &problem, const Config &config) const override;
};

} // namespace

using cpu::Emitter;
using mlir::Value;

static std::vector<int> allOps(const Problem &problem) {
  std::vector<int> ops(problem.ops.size());
  std::iota(ops.begin(), ops.end(), 0);
  return ops;
}

bool ElementwiseFamily::claims(const Problem &problem) const {
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

Config ElementwiseFamily::defaultConfig(const Problem &problem, const TargetInfo &target) const {
  // Cheap bodies are unrolled to hide the loop; long ones overlap by themselves.
  return Config{{"unroll", int64_t(expressionCost(problem, allOps(problem)) <= 12 ? 4 : 1)}};
}

std::vector<Config> ElementwiseFamily::candidates(const Problem &problem, const TargetInfo &target) const {
  std::vector<Config> all;
  for (int64_t unroll : {1, 2, 4})
    all.push_back(Config{{"unroll", unroll}});
  return all;
}

Exactness ElementwiseFamily::exactness(const Problem &problem, const Config &config) const {
  ExpressionError error = expressionError(problem);
  double factor = hasChannelOperands(problem) ? 4 : 1; // several steps in one op
  return {factor * error.relative, factor * error.scaled};
}

namespace {

/// The loops of a problem whose channel operands are aligned.
struct ElementwisePlan {
  CollapsedSpace space;
  int unroll;
  unsigned bits;
  int64_t lanes;
  RowGrid grid;

  ElementwisePlan(const Problem &problem, const Config &config, const TargetInfo &target) {
    std::vector<std::span<const SizeExpr>> dims;
    for (Problem::ValueId id : problem.inputs())
      dims.push_back(problem.value(id).dims);
    space = collapse(problem.value(problem.outputs[0]).dims, dims);
    unroll = int(std::clamp<int64_t>(config.getInt("unroll", 1), 1, 8));
    bits = widestElement(problem);
    lanes = target.lanes(int(bits));
    grid = makeRowGrid(space.space, 32768, lanes * unroll);
  }
};

Result<Problem> alignedProblem(const Problem &problem) {
  if (!hasChannelOperands(problem))
    return problem;
  std::optional<Problem> aligned = alignChannelOperands(problem);
  if (!aligned || hasChannelOperands(*aligned))
    return makeError(ErrorCode::E0901, "elementwise: not a problem of this family");
  return *std::move(aligned);
}

} // namespace

Result<KernelInterface> ElementwiseFamily::describeLaunches(const Problem &problem, const Config &config,
                                                            const TargetInfo &target) const {
  KILN_ASSIGN(Problem aligned, alignedProblem(problem));
  return oneLaunch(mainLaunch(problem, "elementwise", ElementwisePlan(aligned, config, target).grid.grid()));
}

Result<mlir::OwningOpRef<mlir::ModuleOp>> ElementwiseFamily::emitLaunches(const Problem &original, const Config &config,
                                                                          const TargetInfo &target,
                                                                          const KernelInterface &interface,
                                                                          mlir::MLIRContext &context) const {
  KILN_ASSIGN(Problem problem, alignedProblem(original));
  ElementwisePlan plan(problem, config, target);
  const CollapsedSpace &space = plan.space;
  const RowGrid &grid = plan.grid;
  int unroll = plan.unroll;
  unsigned bits = plan.bits;
  int64_t lanes = plan.lanes;
  SizeExpr part = grid.partsPerRow.isConstant(1) ? grid.row : SizeExpr::symbol("part");
  std::vector<Problem::ValueId> inputs = problem.inputs();
  Emitter e(context, target);
  beginLaunch(e, interface);
  std::vector<BufferAccess> in, out;
  for (size_t i = 0; i < inputs.size(); ++i)
    in.emplace_back(e, e.buffer(i), problem.value(inputs[i]).dtype, space.buffers[i], space.space);
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    out.emplace_back(e, e.buffer(inputs.size() + i), problem.value(problem.outputs[i]).dtype, space.space, space.space);

  cpu::ScalarEmitter scalars(e);
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
        cpu::Values results;
        for (Problem::ValueId id : problem.outputs)
          results.push_back(point.get(id));
        for (size_t i = 0; i < out.size(); ++i)
          out[i].store(results[i], out[i].step(outRows[i], index), mask);
      }
    });
  });
  e.endKernel();
  return e.take();
}

const KernelFamily &elementwiseFamily() {
  static const ElementwiseFamily family;
  return family;
}

} // namespace kiln
