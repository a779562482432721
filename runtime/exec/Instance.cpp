#include "runtime/exec/Instance.h"

#include "runtime/base/PlantedBug.h"
#include "runtime/base/Tensor.h"
#include "runtime/plan/Packing.h"

#include <algorithm>

namespace kiln {
namespace {

/// Below this a launch is over before a second thread has joined in.
constexpr double serialNanoseconds = 2000;

/// A rough guess of a kernel's time on one thread that is good at it, from its work.
double guessNanoseconds(double flops, double bytes) { return std::max(flops / 50, bytes / 20); }

class Builder {
public:
  Builder(const Artifact &artifact, const CompiledProgram &compiled, Instance &out)
      : artifact(artifact), p(artifact.program()), c(compiled), out(out) {}

  Status run() {
    KILN_TRY(findSkipped());
    KILN_TRY(evaluateViews());
    KILN_TRY(placeBuffers());
    KILN_TRY(checkViewsFit());
    for (size_t i = 0; i < p.steps.size(); ++i)
      KILN_TRY(resolve(i));
    for (const Port &port : p.inputs)
      out.inputDims.push_back(viewDims[port.view]);
    for (const Port &port : p.outputs)
      out.outputDims.push_back(viewDims[port.view]);
    return Status();
  }

private:
  Result<int64_t> size(const CompiledSize &expr, const char *what) {
    std::optional<int64_t> value = expr.evaluate(out.symbols);
    if (!value || *value < 0)
      return makeError(ErrorCode::E0308, what, " is negative or overflows for the bound inputs", printSymbols());
    return *value;
  }

  std::string printSymbols() const {
    std::string text;
    for (size_t i = 0; i < c.symbolNames.size(); ++i)
      text += (i ? ", " : " (") + c.symbolNames[i] + " = " + std::to_string(out.symbols[i]);
    return text.empty() ? text : text + ")";
  }

  /// Finds the steps that do not run and with them the views and buffers that nobody uses: their sizes need not make
  /// sense for these inputs.
  Status findSkipped() {
    usedViews.assign(p.views.size(), false);
    usedBuffers.assign(p.buffers.size(), false);
    auto use = [&](ViewId id) {
      if (id != noView)
        usedViews[id] = usedBuffers[p.views[id].buffer] = true;
    };
    for (const auto *ports : {&p.inputs, &p.outputs})
      for (const Port &port : *ports)
        use(port.view);
    for (size_t i = 0; i < p.steps.size(); ++i) {
      KILN_ASSIGN(bool runs, guardsHold(i));
      skipped.push_back(!runs);
      if (runs)
        p.steps[i].forEachView(use);
    }
    return Status();
  }

  Status evaluateViews() {
    viewDims.resize(p.views.size());
    viewOffsets.assign(p.views.size(), 0);
    viewBytes.assign(p.views.size(), 0);
    for (size_t i = 0; i < p.views.size(); ++i) {
      if (!usedViews[i])
        continue;
      std::vector<int64_t> dims;
      for (const CompiledSize &d : c.viewDims[i]) {
        KILN_ASSIGN(int64_t dim, size(d, "a dim"));
        dims.push_back(dim);
      }
      KILN_ASSIGN(int64_t offset, size(c.viewOffsets[i], "an offset"));
      std::optional<int64_t> bytes = byteCount(p.views[i].dtype, dims);
      if (!bytes)
        return makeError(ErrorCode::E0308, "a tensor is too large for the bound inputs", printSymbols());
      viewDims[i] = std::move(dims);
      viewOffsets[i] = offset;
      viewBytes[i] = *bytes;
    }
    return Status();
  }

  Status placeBuffers() {
    std::vector<PackInterval> intervals;
    out.bufferBytes.assign(p.buffers.size(), 0);
    bufferOffsets.assign(p.buffers.size(), 0);
    for (size_t i = 0; i < p.buffers.size(); ++i) {
      const Buffer &b = p.buffers[i];
      if (b.inArena()) {
        if (usedBuffers[i]) {
          KILN_ASSIGN(out.bufferBytes[i], size(c.bufferBytes[i], "a buffer's size"));
        }
        intervals.push_back({out.bufferBytes[i], b.firstStep, b.lastStep});
        bool early = b.firstStep < b.lastStep && b.lastStep + 1 < p.steps.size();
        if (early && plantedBug("packing-lifetime", out.bufferBytes[i], 256, 164))
          --intervals.back().last;
      } else if (b.place == Buffer::Place::Constant) {
        out.bufferBytes[i] = int64_t(artifact.constant(b.index).size());
      } else {
        const std::vector<Port> &ports = b.place == Buffer::Place::Input ? p.inputs : p.outputs;
        out.bufferBytes[i] = viewBytes[ports[b.index].view];
      }
    }
    Packing packing;
    if (p.arenaBytes) {
      out.arenaBytes = *p.arenaBytes;
    } else {
      packing = packOffsets(intervals, bufferAlignment, packQuickly);
      if (packing.total < 0)
        return makeError(ErrorCode::E0308, "the arena is too large for the bound inputs", printSymbols());
      out.arenaBytes = packing.total;
    }
    size_t next = 0;
    for (size_t i = 0; i < p.buffers.size(); ++i)
      if (p.buffers[i].inArena())
        bufferOffsets[i] = p.arenaBytes ? *p.buffers[i].offset : packing.offsets[next++];
    return Status();
  }

  Status checkViewsFit() {
    for (size_t i = 0; i < p.views.size(); ++i) {
      int64_t limit = out.bufferBytes[p.views[i].buffer];
      if (!usedViews[i])
        continue;
      if (viewOffsets[i] > limit || viewBytes[i] > limit - viewOffsets[i] ||
          viewOffsets[i] % dtypeBytes(p.views[i].dtype) != 0)
        return makeError(ErrorCode::E0517, "view ", i, " of the plan does not fit its buffer", printSymbols());
    }
    return Status();
  }

  void operand(ViewId id) {
    ResolvedOperand operand;
    operand.firstDim = uint32_t(out.dims.size());
    if (id != noView) {
      const View &v = p.views[id];
      const Buffer &b = p.buffers[v.buffer];
      int64_t offset = viewOffsets[id];
      switch (b.place) {
      case Buffer::Place::Input: operand.address = {Address::Base::Input, b.index, offset}; break;
      case Buffer::Place::Output: operand.address = {Address::Base::Output, b.index, offset}; break;
      case Buffer::Place::Constant:
        operand.address = {Address::Base::Constant, 0, int64_t(p.constants[b.index].offset) + offset};
        break;
      case Buffer::Place::Arena:
      case Buffer::Place::Workspace:
        operand.address = {Address::Base::Arena, 0, bufferOffsets[v.buffer] + offset};
        break;
      }
      operand.buffer = v.buffer;
      operand.bufferOffset = offset;
      operand.dtype = v.dtype;
      operand.rank = uint32_t(viewDims[id].size());
      out.dims.insert(out.dims.end(), viewDims[id].begin(), viewDims[id].end());
    }
    out.operands.push_back(operand);
  }

  Result<bool> guardsHold(size_t index) {
    const std::vector<Condition> &conditions = p.steps[index].guards;
    for (size_t k = 0; k < conditions.size(); ++k) {
      std::optional<int64_t> lhs = c.guards[index][k].lhs.evaluate(out.symbols),
                             rhs = c.guards[index][k].rhs.evaluate(out.symbols);
      if (!lhs || !rhs)
        return makeError(ErrorCode::E0308, "a guard overflows for the bound inputs", printSymbols());
      if (!conditions[k].holds(*lhs, *rhs))
        return false;
    }
    return true;
  }

  /// Whether step `index` is a launch that goes on with the kernel call of the step before it.
  bool continuesCall(size_t index) const {
    auto *launch = index > 0 ? std::get_if<LaunchStep>(&p.steps[index].action) : nullptr;
    auto *before = launch ? std::get_if<LaunchStep>(&p.steps[index - 1].action) : nullptr;
    return before && launch->kernel == before->kernel && launch->entry == before->entry + 1;
  }

  /// The time of all launches of the kernel call that step `index` belongs to: the work is booked on one of them, and
  /// the others, which prepare or finish it, are of its kind.
  Result<double> guessCall(size_t index) {
    size_t first = index, last = index;
    while (continuesCall(first))
      --first;
    while (last + 1 < p.steps.size() && continuesCall(last + 1))
      ++last;
    double flops = 0, bytes = 0;
    for (size_t i = first; i <= last; ++i) {
      if (skipped[i])
        continue;
      KILN_ASSIGN(int64_t stepFlops, size(c.flops[i], "a step's work"));
      KILN_ASSIGN(int64_t stepBytes, size(c.bytes[i], "a step's work"));
      flops += double(stepFlops);
      bytes += double(stepBytes);
    }
    return guessNanoseconds(flops, bytes);
  }

  Status resolve(size_t index) {
    const Step &step = p.steps[index];
    if (skipped[index]) {
      ResolvedStep none;
      none.kind = ResolvedStep::Kind::Skipped;
      none.firstOperand = uint32_t(out.operands.size());
      out.steps.push_back(none);
      out.flops.push_back(0);
      out.bytes.push_back(0);
      return Status();
    }
    KILN_ASSIGN(int64_t flops, size(c.flops[index], "a step's work"));
    KILN_ASSIGN(int64_t bytes, size(c.bytes[index], "a step's work"));
    out.flops.push_back(double(flops));
    out.bytes.push_back(double(bytes));

    ResolvedStep r;
    r.firstOperand = uint32_t(out.operands.size());
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      const Kernel &kernel = p.kernels[launch->kernel];
      r.kind = ResolvedStep::Kind::Launch;
      const std::byte *entry = artifact.code().data() + kernel.codeOffset + kernel.entries[launch->entry];
      r.kernel = reinterpret_cast<kiln_kernel_fn_v1>(reinterpret_cast<uintptr_t>(entry));
      for (ViewId id : launch->buffers)
        operand(id);
      if ((r.hasWorkspace = launch->workspace != noView))
        operand(launch->workspace);
      r.firstSize = uint32_t(out.sizes.size());
      for (const CompiledSize &expr : c.launches[index].sizes) {
        std::optional<int64_t> value = expr.evaluate(out.symbols);
        if (!value)
          return makeError(ErrorCode::E0308, "a kernel's size overflows for the bound inputs", printSymbols());
        out.sizes.push_back(*value);
      }
      KILN_ASSIGN(r.grid, size(c.launches[index].grid, "a grid"));
      KILN_ASSIGN(int64_t scratch, size(c.launches[index].scratch, "a scratch size"));
      if (scratch > (int64_t(1) << 40))
        return makeError(ErrorCode::E0510, "a kernel wants ", scratch, " bytes of scratch");
      r.scratch = scratch;
      out.scratchBytes = std::max(out.scratchBytes, alignUp(scratch, bufferAlignment));
      KILN_ASSIGN(double time, guessCall(index));
      r.parallel = r.grid > 1 && time >= serialNanoseconds;
    } else if (auto *call = std::get_if<HostCallStep>(&step.action)) {
      r.kind = ResolvedStep::Kind::HostCall;
      r.hostKernel = c.hostKernels[index];
      r.attributes = &call->attributes;
      r.inputCount = uint32_t(call->inputs.size());
      for (ViewId id : call->inputs)
        operand(id);
      for (ViewId id : call->outputs)
        operand(id);
    } else {
      const CopyStep &copy = std::get<CopyStep>(step.action);
      r.kind = ResolvedStep::Kind::Copy;
      operand(copy.source);
      operand(copy.target);
      r.bytes = viewBytes[copy.source];
      if (viewBytes[copy.target] != r.bytes)
        return makeError(ErrorCode::E0517, "a copy's source and target differ in size", printSymbols());
    }
    r.operandCount = uint32_t(out.operands.size()) - r.firstOperand;
    out.steps.push_back(r);
    return Status();
  }

  const Artifact &artifact;
  const Program &p;
  const CompiledProgram &c;
  Instance &out;
  std::vector<bool> skipped;                // by step
  std::vector<bool> usedViews, usedBuffers; // by a port or a step that runs; of the others nothing is known
  std::vector<std::vector<int64_t>> viewDims;
  std::vector<int64_t> viewOffsets, viewBytes, bufferOffsets;
};

} // namespace

Result<CompiledProgram> CompiledProgram::compile(const Program &p) {
  CompiledProgram c;
  c.symbolNames = p.symbolNames();
  Status failure;
  auto size = [&](const SizeExpr &expr) {
    Result<CompiledSize> compiled = CompiledSize::compile(expr, c.symbolNames);
    if (!compiled.ok()) {
      failure = compiled.status();
      return CompiledSize();
    }
    return *std::move(compiled);
  };
  for (const ProgramSymbol &s : p.symbols)
    c.symbolValues.push_back(size(s.isBound() ? SizeExpr(0) : s.value));
  for (const Condition &check : p.checks)
    c.checks.push_back({size(check.lhs), size(check.rhs)});
  for (const Buffer &b : p.buffers)
    c.bufferBytes.push_back(size(b.bytes));
  for (const View &v : p.views) {
    c.viewOffsets.push_back(size(v.offset));
    c.viewDims.emplace_back();
    for (const SizeExpr &d : v.dims)
      c.viewDims.back().push_back(size(d));
  }
  c.launches.resize(p.steps.size());
  c.guards.resize(p.steps.size());
  c.hostKernels.resize(p.steps.size(), nullptr);
  for (size_t i = 0; i < p.steps.size(); ++i) {
    const Step &step = p.steps[i];
    for (const Condition &guard : step.guards)
      c.guards[i].push_back({size(guard.lhs), size(guard.rhs)});
    c.flops.push_back(size(step.flops));
    c.bytes.push_back(size(step.bytes));
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      for (const SizeExpr &s : launch->sizes)
        c.launches[i].sizes.push_back(size(s));
      c.launches[i].grid = size(launch->grid);
      c.launches[i].scratch = size(launch->scratchBytes);
    } else if (auto *call = std::get_if<HostCallStep>(&step.action)) {
      c.hostKernels[i] = ref::find(call->callee);
      if (!c.hostKernels[i])
        return makeError(ErrorCode::E0606, "node \"", step.node, "\": this runtime has no operation '", call->callee,
                         "'");
    }
  }
  if (!failure.ok())
    return failure;
  return c;
}

Result<std::shared_ptr<const Instance>> Instance::build(const Artifact &artifact, const CompiledProgram &compiled,
                                                        std::vector<int64_t> symbols) {
  auto instance = std::make_shared<Instance>();
  instance->symbols = std::move(symbols);
  KILN_TRY(Builder(artifact, compiled, *instance).run());
  return std::shared_ptr<const Instance>(std::move(instance));
}

} // namespace kiln
