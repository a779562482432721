#include "runtime/exec/Instance.h"

#include "runtime/base/PlantedBug.h"
#include "runtime/base/Tensor.h"
#include "runtime/plan/Packing.h"

#include <algorithm>

namespace kiln {
namespace {

/// Below this a launch is over before a second thread has joined in.
constexpr double serialNanoseconds = 2000;

/// A rough guess of a launch's time on one thread that is good at it, from its work.
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
  Result<int64_t> size(const CompiledSize &expr, const char *what) { return size(expr, what, out.symbols); }
  Result<int64_t> size(const CompiledSize &expr, const char *what, std::span<const int64_t> symbols) {
    std::optional<int64_t> value = expr.evaluate(symbols);
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
        intervals.push_back({out.bufferBytes[i], c.live[i].first, c.live[i].last});
        bool early = c.live[i].first < c.live[i].last && size_t(c.live[i].last) + 1 < p.steps.size();
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
      const CompiledProgram::Sides &sides = c.steps[index].guards[k];
      std::optional<int64_t> lhs = sides.lhs.evaluate(out.symbols), rhs = sides.rhs.evaluate(out.symbols);
      if (!lhs || !rhs)
        return makeError(ErrorCode::E0308, "a guard overflows for the bound inputs", printSymbols());
      if (!conditions[k].holds(*lhs, *rhs))
        return false;
    }
    return true;
  }

  Status resolve(size_t index) {
    const Step &step = p.steps[index];
    ResolvedStep r;
    r.firstOperand = uint32_t(out.operands.size());
    double flops = 0, bytes = 0;
    if (skipped[index]) {
      r.kind = ResolvedStep::Kind::Skipped;
    } else if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      r.kind = ResolvedStep::Kind::Launch;
      KILN_TRY(resolveLaunches(index, *launch, r, flops, bytes));
    } else if (auto *call = std::get_if<HostCallStep>(&step.action)) {
      r.kind = ResolvedStep::Kind::HostCall;
      r.hostKernel = c.steps[index].hostKernel;
      r.attributes = &call->attributes;
      r.inputCount = uint32_t(call->inputs.size());
      for (ViewId id : call->inputs)
        operand(id);
      for (ViewId id : call->outputs)
        operand(id);
      KILN_ASSIGN(flops, size(c.steps[index].flops, "a step's work"));
      KILN_ASSIGN(bytes, size(c.steps[index].bytes, "a step's work"));
    } else {
      const CopyStep &copy = std::get<CopyStep>(step.action);
      r.kind = ResolvedStep::Kind::Copy;
      operand(copy.source);
      operand(copy.target);
      r.bytes = viewBytes[copy.source];
      bytes = 2 * double(r.bytes);
      if (viewBytes[copy.target] != r.bytes)
        return makeError(ErrorCode::E0517, "a copy's source and target differ in size", printSymbols());
    }
    r.operandCount = uint32_t(out.operands.size()) - r.firstOperand;
    out.steps.push_back(r);
    out.flops.push_back(flops);
    out.bytes.push_back(bytes);
    return Status();
  }

  Status resolveLaunches(size_t index, const LaunchStep &step, ResolvedStep &r, double &flops, double &bytes) {
    const Kernel &kernel = p.kernels[step.kernel];
    r.firstSize = uint32_t(out.sizes.size());
    for (const CompiledSize &expr : c.steps[index].sizes) {
      std::optional<int64_t> value = expr.evaluate(out.symbols);
      if (!value)
        return makeError(ErrorCode::E0308, "a kernel's size overflows for the bound inputs", printSymbols());
      out.sizes.push_back(*value);
    }
    std::span<const int64_t> sizes(out.sizes.data() + r.firstSize, out.sizes.size() - r.firstSize);
    r.firstLaunch = uint32_t(out.launches.size());
    uint32_t workspace = ResolvedLaunch::none;
    if (!kernel.interface.workspaceBytes.isConstant(0)) {
      workspace = uint32_t(out.operands.size());
      operand(step.operands.back());
    }
    for (size_t i = 0; i < c.kernels[step.kernel].size(); ++i) {
      const CompiledProgram::Launch &launch = c.kernels[step.kernel][i];
      ResolvedLaunch l;
      const std::byte *entry = artifact.code().data() + kernel.codeOffset + kernel.entries[i];
      l.kernel = reinterpret_cast<kiln_kernel_fn_v1>(reinterpret_cast<uintptr_t>(entry));
      l.firstOperand = uint32_t(out.operands.size());
      l.workspace = workspace;
      for (uint32_t position : launch.operands)
        operand(step.operands[position]);
      KILN_ASSIGN(l.grid, size(launch.grid, "a grid", sizes));
      KILN_ASSIGN(l.scratch, size(launch.scratch, "a scratch size", sizes));
      if (l.scratch > (int64_t(1) << 40))
        return makeError(ErrorCode::E0510, "a kernel wants ", l.scratch, " bytes of scratch");
      out.scratchBytes = std::max(out.scratchBytes, alignUp(l.scratch, bufferAlignment));
      KILN_ASSIGN(int64_t launchFlops, size(launch.flops, "a launch's work", sizes));
      KILN_ASSIGN(int64_t launchBytes, size(launch.bytes, "a launch's work", sizes));
      flops += double(launchFlops);
      bytes += double(launchBytes);
      l.parallel = l.grid > 1 && guessNanoseconds(double(launchFlops), double(launchBytes)) >= serialNanoseconds;
      out.launches.push_back(l);
    }
    r.launchCount = uint32_t(out.launches.size()) - r.firstLaunch;
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
  auto sizeOver = [&](const SizeExpr &expr, std::span<const std::string> symbols) {
    Result<CompiledSize> compiled = CompiledSize::compile(expr, symbols);
    if (compiled.ok())
      return *std::move(compiled);
    failure = compiled.status();
    return CompiledSize();
  };
  auto size = [&](const SizeExpr &expr) { return sizeOver(expr, c.symbolNames); };
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
  for (const Kernel &k : p.kernels) {
    const KernelInterface &interface = k.interface;
    std::vector<KernelOperand> operands = interface.operands();
    std::vector<Launch> &launches = c.kernels.emplace_back();
    for (const KernelInterface::Launch &launch : interface.launches) {
      auto own = [&](const SizeExpr &expr) { return sizeOver(expr, interface.symbols); };
      launches.push_back({own(launch.grid), own(launch.scratchBytes), own(launch.flops), own(launch.bytes), {}});
      for (const KernelOperand &operand : launch.operands)
        launches.back().operands.push_back(
            uint32_t(std::lower_bound(operands.begin(), operands.end(), operand) - operands.begin()));
    }
  }
  for (const Step &step : p.steps) {
    StepSizes &sizes = c.steps.emplace_back();
    for (const Condition &guard : step.guards)
      sizes.guards.push_back({size(guard.lhs), size(guard.rhs)});
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      for (const SizeExpr &s : launch->sizes)
        sizes.sizes.push_back(size(s));
    } else if (auto *call = std::get_if<HostCallStep>(&step.action)) {
      sizes.flops = size(call->flops);
      sizes.bytes = size(call->bytes);
      sizes.hostKernel = ref::find(call->callee);
      if (!sizes.hostKernel)
        return makeError(ErrorCode::E0606, "node \"", step.node, "\": this runtime has no operation '", call->callee,
                         "'");
    }
  }
  if (!failure.ok())
    return failure;
  c.live = liveIntervals(p);
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
