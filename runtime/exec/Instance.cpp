#include "runtime/exec/Instance.h"

#include "runtime/base/PlantedBug.h"
#include "runtime/base/Tensor.h"
#include "runtime/host/HostKernels.h"
#include "runtime/plan/Packing.h"

#include <algorithm>
#include <map>

namespace kiln {
namespace {

/// Below this a launch is over before a second thread has joined in.
constexpr double serialNanoseconds = 2000;

/// A rough guess of a launch's time on one thread that is good at it, from its work.
double guessNanoseconds(double flops, double bytes) { return std::max(flops / 50, bytes / 20); }

class Builder {
public:
  Builder(const Artifact &artifact, const CompiledProgram &compiled, Instance &out)
      : artifact(artifact), program(artifact.program()), compiled(compiled), p(program.functions[out.function]),
        c(compiled.functions[out.function]), out(out) {}

  Status run() {
    KILN_TRY(findSkipped());
    KILN_TRY(evaluateViews());
    KILN_TRY(placeBuffers());
    KILN_TRY(checkViewsFit());
    for (size_t i = 0; i < p.steps.size(); ++i)
      KILN_TRY(resolve(i));
    for (size_t i = 0; i < p.takenCount(); ++i)
      out.takenDims.push_back(viewDims[p.takenView(i)]);
    for (const Port &port : p.outputs)
      out.outputDims.push_back(viewDims[port.view]);
    for (const StatePort &port : p.states)
      out.grownDims.push_back(port.grown == noView ? std::vector<int64_t>() : viewDims[port.grown]);
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
    auto use = [&](ViewId id, bool = false) {
      if (id != noView)
        usedViews[id] = usedBuffers[p.views[id].buffer] = true;
    };
    for (size_t i = 0; i < p.takenCount(); ++i)
      use(p.takenView(i));
    for (const Port &port : p.outputs)
      use(port.view);
    for (const StatePort &port : p.states)
      use(port.grown);
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
      if (p.views[i].open) {
        for (const CompiledSize &d : c.viewDims[i])
          viewDims[i].push_back(d.evaluate(out.symbols).value_or(-1));
        continue;
      }
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
    out.bufferBytes.assign(p.buffers.size(), 0);
    bufferOffsets.assign(p.buffers.size(), 0);
    for (size_t i = 0; i < p.buffers.size(); ++i) {
      const Buffer &b = p.buffers[i];
      if (b.inArena()) {
        if (usedBuffers[i]) {
          KILN_ASSIGN(out.bufferBytes[i], size(c.bufferBytes[i], "a buffer's size"));
        }
      } else if (b.place == Buffer::Place::Constant) {
        const Constant &constant = program.constants[b.index];
        out.bufferBytes[i] = *byteCount(constant.dtype, constant.dims);
      } else if (b.place != Buffer::Place::Returned) {
        ViewId whole = b.place == Buffer::Place::Input    ? p.inputs[b.index].view
                       : b.place == Buffer::Place::Output ? p.outputs[b.index].view
                                                          : p.states[b.index].view;
        out.bufferBytes[i] = viewBytes[whole];
        if (ViewId grown = b.place == Buffer::Place::State ? p.states[b.index].grown : noView; grown != noView)
          out.bufferBytes[i] = std::max(out.bufferBytes[i], viewBytes[grown]);
      }
    }
    if (p.arenaBytes) {
      out.arenaBytes = *p.arenaBytes;
      out.deviceArenaBytes = p.deviceArenaBytes;
      for (size_t i = 0; i < p.buffers.size(); ++i)
        bufferOffsets[i] = p.buffers[i].offset.value_or(0);
      return Status();
    }
    KILN_ASSIGN(out.arenaBytes, pack(Buffer::Space::Host));
    if (!program.device.empty()) {
      KILN_ASSIGN(out.deviceArenaBytes, pack(Buffer::Space::Device));
    }
    return Status();
  }

  /// Offsets for the buffers of the arena in one memory, and its bytes.
  Result<int64_t> pack(Buffer::Space space) {
    std::vector<PackInterval> intervals;
    std::vector<size_t> packed;
    for (size_t i = 0; i < p.buffers.size(); ++i) {
      if (!p.buffers[i].inArena() || p.buffers[i].space != space)
        continue;
      packed.push_back(i);
      intervals.push_back({out.bufferBytes[i], c.live[i].first, c.live[i].last});
      bool early = c.live[i].first < c.live[i].last && size_t(c.live[i].last) + 1 < p.steps.size();
      if (early && plantedBug("packing-lifetime", out.bufferBytes[i], 256, 164))
        --intervals.back().last;
    }
    Packing packing = packOffsets(intervals, bufferAlignment, packQuickly);
    if (packing.total < 0)
      return makeError(ErrorCode::E0308, "the arena is too large for the bound inputs", printSymbols());
    for (size_t k = 0; k < packed.size(); ++k)
      bufferOffsets[packed[k]] = packing.offsets[k];
    return packing.total;
  }

  Status checkViewsFit() {
    for (size_t i = 0; i < p.views.size(); ++i) {
      int64_t limit = out.bufferBytes[p.views[i].buffer];
      if (!usedViews[i] || p.views[i].open)
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
      bool onDevice = b.space == Buffer::Space::Device;
      auto inputs = uint32_t(p.inputs.size()), taken = uint32_t(p.takenCount()), outputs = uint32_t(p.outputs.size());
      switch (b.place) {
      case Buffer::Place::Input: operand.address = {Address::FirstPort + b.index, offset}; break;
      case Buffer::Place::State: operand.address = {Address::FirstPort + inputs + b.index, offset}; break;
      case Buffer::Place::Output: operand.address = {Address::FirstPort + taken + b.index, offset}; break;
      case Buffer::Place::Returned: operand.address = {Address::FirstPort + taken + outputs + b.index, 0}; break;
      case Buffer::Place::Constant: operand.address = addressOf(b, offset); break;
      case Buffer::Place::Arena:
      case Buffer::Place::Workspace:
        operand.address = {onDevice ? Address::DeviceArena : Address::Arena, bufferOffsets[v.buffer] + offset};
        break;
      }
      operand.open = v.open;
      operand.buffer = v.buffer;
      operand.bufferOffset = offset;
      operand.dtype = v.dtype;
      operand.rank = uint32_t(viewDims[id].size());
      out.dims.insert(out.dims.end(), viewDims[id].begin(), viewDims[id].end());
    }
    out.operands.push_back(operand);
  }

  Address addressOf(const Buffer &constant, int64_t offset) const {
    if (auto *section = std::get_if<SectionSource>(&program.constants[constant.index].source))
      return constant.space == Buffer::Space::Device
                 ? Address{Address::DeviceConstants, compiled.deviceConstants.offsets[constant.index] + offset}
                 : Address{Address::Constants, int64_t(section->offset) + offset};
    return {c.outsideBases[size_t(&constant - p.buffers.data())], offset};
  }

  Result<bool> guardsHold(size_t index) {
    const std::vector<Condition> &conditions = p.steps[index].guards;
    for (size_t k = 0; k < conditions.size(); ++k) {
      const CompiledFunction::Sides &sides = c.steps[index].guards[k];
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
      r.updates = c.steps[index].updates;
      r.attributes = &call->attributes;
      r.inputCount = uint32_t(call->inputs.size());
      for (ViewId id : call->inputs)
        operand(id);
      for (ViewId id : call->outputs)
        operand(id);
      KILN_ASSIGN(flops, size(c.steps[index].flops, "a step's work"));
      KILN_ASSIGN(bytes, size(c.steps[index].bytes, "a step's work"));
    } else if (auto *copy = std::get_if<CopyStep>(&step.action)) {
      r.kind = ResolvedStep::Kind::Copy;
      operand(copy->source);
      operand(copy->target);
      r.bytes = viewBytes[copy->source];
      r.direction = directionOf(p, *copy);
      bytes = 2 * double(r.bytes);
      if (viewBytes[copy->target] != r.bytes)
        return makeError(ErrorCode::E0517, "a copy's source and target differ in size", printSymbols());
    } else {
      KILN_TRY(resolveCalls(index, r));
    }
    r.operandCount = uint32_t(out.operands.size()) - r.firstOperand;
    out.steps.push_back(r);
    out.flops.push_back(flops);
    out.bytes.push_back(bytes);
    return Status();
  }

  /// A step that calls functions.
  Status resolveCalls(size_t index, ResolvedStep &r) {
    const Step &step = p.steps[index];
    std::vector<const Call *> calls;
    std::vector<ViewId> inputs;
    const std::vector<ViewId> *outputs = nullptr;
    if (auto *call = std::get_if<CallStep>(&step.action)) {
      r.kind = ResolvedStep::Kind::Call;
      calls = {&call->callee};
      outputs = &call->outputs;
    } else if (auto *branch = std::get_if<IfStep>(&step.action)) {
      r.kind = ResolvedStep::Kind::If;
      calls = {&branch->then, &branch->otherwise};
      inputs = {branch->condition};
      outputs = &branch->outputs;
    } else {
      const LoopStep &loop = std::get<LoopStep>(step.action);
      r.kind = ResolvedStep::Kind::Loop;
      calls = {&loop.body};
      inputs = {loop.count, loop.condition};
      inputs.insert(inputs.end(), loop.initial.begin(), loop.initial.end());
      outputs = &loop.outputs;
    }
    r.first = uint32_t(out.calls.size());
    size_t nextSize = 0;
    for (const Call *call : calls) {
      ResolvedCall resolved{call->function, uint32_t(out.operands.size()), uint32_t(call->inputs.size()),
                            uint32_t(out.callSizes.size()), uint32_t(call->sizes.size())};
      for (ViewId id : call->inputs)
        operand(id);
      for (const SizeArgument &argument : call->sizes) {
        ResolvedSize size;
        KILN_ASSIGN(size.value, this->size(c.steps[index].sizes[nextSize++], "a size"));
        size.element = argument.element;
        if (argument.view != noView) {
          size.operand = uint32_t(out.operands.size());
          operand(argument.view);
        }
        out.callSizes.push_back(size);
      }
      out.calls.push_back(resolved);
    }
    r.firstOperand = uint32_t(out.operands.size());
    r.inputCount = uint32_t(inputs.size());
    for (ViewId id : inputs)
      operand(id);
    for (ViewId id : *outputs)
      operand(id);
    for (size_t b = 0; b < p.buffers.size(); ++b)
      if (int64_t moment = c.steps[index].moment;
          p.buffers[b].inArena() && c.live[b].first <= moment && moment <= c.live[b].last) {
        int64_t &top = p.buffers[b].space == Buffer::Space::Device ? r.deviceFrameTop : r.frameTop;
        top = std::max(top, alignUp(bufferOffsets[b] + out.bufferBytes[b], bufferAlignment));
      }
    return Status();
  }

  Status resolveLaunches(size_t index, const LaunchStep &step, ResolvedStep &r, double &flops, double &bytes) {
    const Kernel &kernel = program.kernels[step.kernel];
    r.firstSize = uint32_t(out.sizes.size());
    for (const CompiledSize &expr : c.steps[index].sizes) {
      std::optional<int64_t> value = expr.evaluate(out.symbols);
      if (!value)
        return makeError(ErrorCode::E0308, "a kernel's size overflows for the bound inputs", printSymbols());
      out.sizes.push_back(*value);
    }
    std::span<const int64_t> sizes(out.sizes.data() + r.firstSize, out.sizes.size() - r.firstSize);
    r.first = uint32_t(out.launches.size());
    uint32_t workspace = ResolvedLaunch::none;
    if (!kernel.interface.workspaceBytes.isConstant(0)) {
      workspace = uint32_t(out.operands.size());
      operand(step.operands.back());
    }
    for (size_t i = 0; i < compiled.kernels[step.kernel].size(); ++i) {
      const CompiledLaunch &launch = compiled.kernels[step.kernel][i];
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
    r.launchCount = uint32_t(out.launches.size()) - r.first;
    return Status();
  }

  const Artifact &artifact;
  const Program &program;
  const CompiledProgram &compiled;
  const Function &p;
  const CompiledFunction &c;
  Instance &out;
  std::vector<bool> skipped;                // by step
  std::vector<bool> usedViews, usedBuffers; // by a port or a step that runs; of the others nothing is known
  std::vector<std::vector<int64_t>> viewDims;
  std::vector<int64_t> viewOffsets, viewBytes, bufferOffsets;
};

} // namespace

namespace {

/// Compiles sizes over one list of symbols; the first failure is kept.
class SizeCompilation {
public:
  explicit SizeCompilation(std::span<const std::string> symbols) : symbols(symbols) {}

  CompiledSize operator()(const SizeExpr &expr) {
    Result<CompiledSize> compiled = CompiledSize::compile(expr, symbols);
    if (compiled.ok())
      return *std::move(compiled);
    status = compiled.status();
    return CompiledSize();
  }
  std::vector<CompiledSize> operator()(const std::vector<SizeExpr> &exprs) {
    std::vector<CompiledSize> sizes;
    for (const SizeExpr &expr : exprs)
      sizes.push_back((*this)(expr));
    return sizes;
  }

  Status status;

private:
  std::span<const std::string> symbols;
};

Result<std::vector<CompiledLaunch>> compileLaunches(const KernelInterface &interface) {
  SizeCompilation size(interface.symbols);
  std::vector<KernelOperand> operands = interface.operands();
  std::vector<CompiledLaunch> launches;
  for (const KernelInterface::Launch &launch : interface.launches) {
    launches.push_back({size(launch.grid), size(launch.scratchBytes), size(launch.flops), size(launch.bytes), {}});
    for (const KernelOperand &operand : launch.operands)
      launches.back().operands.push_back(
          uint32_t(std::lower_bound(operands.begin(), operands.end(), operand) - operands.begin()));
  }
  KILN_TRY(size.status);
  return launches;
}

/// A step of an op that works in place may write result 0 over operand 0; no other step may write over what it reads of
/// a state.
Status checkInPlace(const Function &p, const std::string &node, const HostCallStep &call, bool updates) {
  for (size_t o = 0; o < call.outputs.size(); ++o) {
    BufferId written = p.views[call.outputs[o]].buffer;
    if (p.buffers[written].place != Buffer::Place::State)
      continue;
    for (size_t i = 0; i < call.inputs.size(); ++i)
      if (call.inputs[i] != noView && p.views[call.inputs[i]].buffer == written && !(updates && i == 0 && o == 0))
        return makeError(ErrorCode::E0905, "plan: node \"", node, "\": '", call.callee,
                         "' cannot write over the state that it reads");
  }
  return Status();
}

void findOutsideConstants(const Program &program, const Function &p, CompiledFunction &c) {
  size_t firstBase = Address::FirstPort + p.takenCount() + p.outputs.size() + p.returnedCount();
  std::map<CompiledFunction::OutsideConstant, size_t> known;
  for (const Buffer &b : p.buffers) {
    uint32_t &base = c.outsideBases.emplace_back(Address::Null);
    if (b.place != Buffer::Place::Constant || program.constants[b.index].inSection())
      continue;
    auto [place, isNew] = known.try_emplace({b.index, b.space}, known.size());
    if (isNew)
      c.outsideConstants.push_back(place->first);
    base = uint32_t(firstBase + place->second);
  }
}

Result<CompiledFunction> compileFunction(const Program &program, const Function &p) {
  CompiledFunction c;
  c.symbolNames = p.symbolNames();
  SizeCompilation size(c.symbolNames);
  for (const ProgramSymbol &s : p.symbols)
    c.symbolValues.push_back(size(s.isDefined() ? s.value : SizeExpr(0)));
  for (const Condition &check : p.checks)
    c.checks.push_back({size(check.lhs), size(check.rhs)});
  for (const Buffer &b : p.buffers)
    c.bufferBytes.push_back(size(b.bytes));
  for (const View &v : p.views) {
    c.viewOffsets.push_back(size(v.offset));
    c.viewDims.emplace_back();
    for (const SizeExpr &dim : v.dims) {
      Result<CompiledSize> known = CompiledSize::compile(dim, c.symbolNames);
      c.viewDims.back().push_back(known.ok() ? *known : v.open ? CompiledSize(-1) : size(dim));
    }
  }
  findOutsideConstants(program, p, c);
  c.live = liveIntervals(program, p);
  int64_t moment = 0;
  for (const Step &step : p.steps) {
    CompiledFunction::StepSizes &sizes = c.steps.emplace_back();
    sizes.moment = moment++;
    for (const Condition &guard : step.guards)
      sizes.guards.push_back({size(guard.lhs), size(guard.rhs)});
    auto call = [&](const Call &called) {
      for (const SizeArgument &argument : called.sizes)
        sizes.sizes.push_back(size(argument.value));
    };
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      sizes.sizes = size(launch->sizes);
      moment += int64_t(program.kernels[launch->kernel].interface.launches.size()) - 1;
    } else if (auto *host = std::get_if<HostCallStep>(&step.action)) {
      sizes.flops = size(host->flops);
      sizes.bytes = size(host->bytes);
      sizes.hostKernel = program.isInterpreted() ? nullptr : host::find(host->callee);
      if (!sizes.hostKernel)
        sizes.hostKernel = ref::find(host->callee);
      if (!sizes.hostKernel)
        return makeError(ErrorCode::E0606, "node \"", step.node, "\": this runtime has no operation '", host->callee,
                         "'");
      sizes.updates = ref::updatesInPlace(host->callee);
      KILN_TRY(checkInPlace(p, step.node, *host, sizes.updates));
    } else if (auto *plain = std::get_if<CallStep>(&step.action)) {
      call(plain->callee);
    } else if (auto *branch = std::get_if<IfStep>(&step.action)) {
      call(branch->then);
      call(branch->otherwise);
    } else if (auto *loop = std::get_if<LoopStep>(&step.action)) {
      call(loop->body);
    }
  }
  KILN_TRY(size.status);
  return c;
}

} // namespace

Result<CompiledProgram> CompiledProgram::compile(const Program &program) {
  CompiledProgram compiled;
  compiled.deviceConstants = kiln::deviceConstants(program);
  compiled.hasOutsideConstants =
      !std::ranges::all_of(program.constants, [](const Constant &constant) { return constant.inSection(); });
  for (const Kernel &kernel : program.kernels) {
    KILN_ASSIGN(std::vector<CompiledLaunch> launches, compileLaunches(kernel.interface));
    compiled.kernels.push_back(std::move(launches));
  }
  for (const Function &function : program.functions) {
    KILN_ASSIGN(CompiledFunction own, compileFunction(program, function));
    compiled.functions.push_back(std::move(own));
  }
  return compiled;
}

Result<std::shared_ptr<const Instance>> Instance::build(const Artifact &artifact, const CompiledProgram &compiled,
                                                        FunctionId function, std::vector<int64_t> symbols) {
  auto instance = std::make_shared<Instance>();
  instance->function = function;
  instance->symbols = std::move(symbols);
  const Function &f = artifact.program().functions[function];
  for (size_t k = 0; k < f.symbols.size(); ++k)
    if (int32_t parameter = f.symbols[k].parameter; parameter >= 0) {
      instance->parameters.resize(std::max(instance->parameters.size(), size_t(parameter) + 1));
      instance->parameters[size_t(parameter)] = instance->symbols[k];
    }
  KILN_TRY(Builder(artifact, compiled, *instance).run());
  return std::shared_ptr<const Instance>(std::move(instance));
}

} // namespace kiln
