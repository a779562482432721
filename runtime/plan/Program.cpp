#include "runtime/plan/Program.h"

#include "runtime/base/Tensor.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace kiln {
namespace {

template <typename... Parts> Status inconsistent(const Parts &...parts) {
  return makeError(ErrorCode::E0905, "plan: ", parts...);
}

Status checkDerived(const Program &p, size_t index, const DerivedSource &derived) {
  const Constant &c = p.constants[index];
  if (derived.constant >= index)
    return inconsistent("constant '", c.name, "' is made of one that does not come before it");
  const Constant &from = p.constants[derived.constant];
  KILN_ASSIGN(RecipeType type, recipeType(from.dtype, from.dims, derived.recipe));
  if (type.dtype != c.dtype || type.dims != c.dims)
    return inconsistent("constant '", c.name, "' is not what its recipe makes");
  return Status();
}

/// How much recipes make of one constant, directly or of what they made: no kernel wants much more than it has, and a
/// damaged artifact is not to fill the memory.
class DerivedBytes {
public:
  explicit DerivedBytes(size_t constants) : roots(constants), made(constants) {
    std::iota(roots.begin(), roots.end(), size_t(0));
  }

  Status add(const Program &p, size_t index, const DerivedSource &derived) {
    constexpr int64_t mostGrowth = 1024;
    roots[index] = roots[derived.constant];
    const Constant &c = p.constants[index], &root = p.constants[roots[index]];
    int64_t &sum = made[roots[index]];
    if (__builtin_add_overflow(sum, *byteCount(c.dtype, c.dims), &sum) ||
        sum / mostGrowth > *byteCount(root.dtype, root.dims))
      return inconsistent("what is made of constant '", root.name, "' is much larger than it");
    return Status();
  }

private:
  std::vector<size_t> roots; // what a constant is made of in the end: one that is not derived
  std::vector<int64_t> made; // by root
};

Status checkConstants(const Program &p) {
  for (const WeightFile &file : p.files)
    if (file.path.empty() || file.path.find('\0') != std::string::npos)
      return inconsistent("a file of weights has no valid name");
  std::set<std::string> bound;
  DerivedBytes derivedBytes(p.constants.size());
  for (size_t i = 0; i < p.constants.size(); ++i) {
    const Constant &c = p.constants[i];
    std::optional<int64_t> bytes = byteCount(c.dtype, c.dims);
    if (c.dims.size() > maxRank || !bytes)
      return inconsistent("constant '", c.name, "' has no valid size");
    if (auto *range = std::get_if<FileSource>(&c.source)) {
      if (range->file >= p.files.size() || range->offset > p.files[range->file].bytes ||
          uint64_t(*bytes) > p.files[range->file].bytes - range->offset)
        return inconsistent("constant '", c.name, "' lies outside its file");
    } else if (const BoundSource *source = c.bound()) {
      if (source->name.empty() || !bound.insert(source->name).second)
        return inconsistent("constant '", source->name, "' is bound twice, or without a name");
    } else if (auto *derived = std::get_if<DerivedSource>(&c.source)) {
      KILN_TRY(checkDerived(p, i, *derived));
      KILN_TRY(derivedBytes.add(p, i, *derived));
    }
  }
  return Status();
}

Status checkStatesAndKernels(const Program &p, uint64_t codeBytes) {
  std::set<std::string> names;
  for (const State &s : p.states) {
    if (!names.insert(s.name).second)
      return inconsistent("state '", s.name, "' exists twice");
    if (s.dims.size() > maxRank || std::any_of(s.dims.begin(), s.dims.end(), [](const SizeExpr &d) {
          return d.isInvalid() || (d.isConstant() && d.constant() < 0);
        }))
      return inconsistent("state '", s.name, "' has no valid size");
    if (s.growing && *s.growing >= s.dims.size())
      return inconsistent("state '", s.name, "' grows along no dim");
  }
  for (const Kernel &k : p.kernels) {
    if (k.codeOffset > codeBytes || k.codeBytes > codeBytes - k.codeOffset ||
        k.codeOffset % uint64_t(bufferAlignment) != 0)
      return inconsistent("kernel code lies outside the code section");
    KILN_TRY(k.interface.verify());
    if (k.entries.size() != k.interface.launches.size())
      return inconsistent("kernel has ", k.entries.size(), " entries for ", k.interface.launches.size(), " launches");
    for (uint64_t entry : k.entries)
      if (entry >= k.codeBytes)
        return inconsistent("kernel entry lies outside its code");
  }
  return Status();
}

/// Of one function.
class Checker {
public:
  Checker(const Program &program, FunctionId id) : program(program), id(id), p(program.functions[id]) {}

  Status run() {
    KILN_TRY(checkIndices());
    KILN_TRY(checkSymbols());
    KILN_TRY(checkBuffers());
    KILN_TRY(checkViews());
    KILN_TRY(checkPorts(p.inputs, Buffer::Place::Input, "input"));
    KILN_TRY(checkPorts(p.outputs, Buffer::Place::Output, "output"));
    KILN_TRY(checkValues(p.inputs, p.inputValues));
    KILN_TRY(checkValues(p.outputs, p.outputValues));
    KILN_TRY(checkStates());
    for (size_t i = 0; i < p.steps.size(); ++i) {
      KILN_TRY(checkStep(uint32_t(i)));
      KILN_TRY(checkSpaces(uint32_t(i)));
    }
    return Status();
  }

private:
  /// References between the tables, so that everything after may follow them.
  Status checkIndices() {
    for (const View &v : p.views)
      if (v.buffer >= p.buffers.size() || v.dims.size() > maxRank)
        return inconsistent("view refers to a buffer that does not exist");
    size_t returned = p.returnedCount();
    for (const Buffer &b : p.buffers) {
      size_t limit = b.place == Buffer::Place::Input      ? p.inputs.size()
                     : b.place == Buffer::Place::Output   ? p.outputs.size()
                     : b.place == Buffer::Place::Constant ? program.constants.size()
                     : b.place == Buffer::Place::Returned ? returned
                     : b.place == Buffer::Place::State    ? p.states.size()
                                                          : SIZE_MAX;
      if (b.index >= limit)
        return inconsistent("buffer refers to an input, output or constant that does not exist");
    }
    return Status();
  }

  Status checkSymbols() {
    for (const ProgramSymbol &s : p.symbols) {
      if (s.name != SizeExpr::symbol(s.name).print() || defined.count(s.name))
        return inconsistent("symbol '", s.name, "' is malformed or defined twice");
      if (s.isBound()) {
        if (size_t(s.input) >= p.takenCount() || s.dim < 0 ||
            size_t(s.dim) >= p.views[p.takenView(size_t(s.input))].dims.size())
          return inconsistent("symbol '", s.name, "' is bound to a dim that does not exist");
      } else if (s.isDefined()) {
        KILN_TRY(checkSize(s.value));
      } else if (!parameters.insert(s.parameter).second) {
        return inconsistent("symbol '", s.name, "' is handed over twice");
      }
      if (s.low > s.high)
        return inconsistent("symbol '", s.name, "' has an empty range");
      defined.insert(s.name);
    }
    if (!parameters.empty() && (*parameters.begin() != 0 || size_t(*parameters.rbegin()) + 1 != parameters.size()))
      return inconsistent("a size that is handed over has no symbol");
    for (const Condition &c : p.checks) {
      KILN_TRY(checkSize(c.lhs));
      KILN_TRY(checkSize(c.rhs));
    }
    return Status();
  }

  Status checkSize(const SizeExpr &size) {
    if (size.isConstant())
      return Status();
    if (size.isInvalid())
      return makeError(ErrorCode::E0308, "a size of the program exceeds 64 bits, whatever the inputs are");
    std::set<std::string> used;
    size.collectSymbols(used);
    for (const std::string &name : used)
      if (!defined.count(name))
        return inconsistent("size '", size.print(), "' uses the undefined symbol '", name, "'");
    return Status();
  }

  /// A size that must not be negative where it is known.
  Status checkCount(const SizeExpr &size) {
    KILN_TRY(checkSize(size));
    if (size.isConstant() && size.constant() < 0)
      return inconsistent("a size is negative");
    return Status();
  }

  Status checkBuffers() {
    for (const Buffer &b : p.buffers) {
      if (b.space == Buffer::Space::Device &&
          (program.device.empty() || !(b.inArena() || b.place == Buffer::Place::Constant)))
        return inconsistent("a buffer cannot lie in device memory");
      if (!b.inArena())
        continue;
      KILN_TRY(checkCount(b.bytes));
      if (b.offset.has_value() != p.arenaBytes.has_value())
        return inconsistent("arena offsets are incomplete");
      if (!b.offset)
        continue;
      int64_t limit = b.space == Buffer::Space::Device ? p.deviceArenaBytes : *p.arenaBytes;
      if (!b.bytes.isConstant() || *b.offset < 0 || *b.offset % bufferAlignment != 0 || *b.offset > limit ||
          b.bytes.constant() > limit - *b.offset)
        return inconsistent("buffer lies outside the arena");
    }
    if (p.arenaBytes.value_or(0) < 0 || p.deviceArenaBytes < 0)
      return inconsistent("arena has a negative size");
    return Status();
  }

  Status checkViews() {
    for (const View &v : p.views) {
      const Buffer &b = p.buffers[v.buffer];
      if (v.open != (b.place == Buffer::Place::Returned) && !(v.open && b.place == Buffer::Place::Output))
        return inconsistent("view has dims that are not known, or its buffer has none");
      if (v.open && !v.offset.isConstant(0))
        return inconsistent("view of unknown dims begins inside its buffer");
      if (v.open)
        continue;
      KILN_TRY(checkCount(v.offset));
      bool isStatic = v.offset.isConstant();
      std::vector<int64_t> dims;
      for (const SizeExpr &d : v.dims) {
        KILN_TRY(checkCount(d));
        isStatic &= d.isConstant();
        dims.push_back(d.isConstant() ? d.constant() : 0);
      }
      if (!isStatic)
        continue; // whether it fits is known once sizes are bound
      std::optional<int64_t> bytes = byteCount(v.dtype, dims), limit;
      if (!bytes || v.offset.constant() % dtypeBytes(v.dtype) != 0)
        return inconsistent("view has an impossible size or offset");
      if (b.place == Buffer::Place::Constant)
        limit = byteCount(program.constants[b.index].dtype, program.constants[b.index].dims);
      else if (b.inArena())
        limit = b.bytes.asConstant();
      if (limit && (v.offset.constant() > *limit || *bytes > *limit - v.offset.constant()))
        return inconsistent("view exceeds its buffer");
    }
    return Status();
  }

  Status checkPorts(const std::vector<Port> &ports, Buffer::Place place, const char *what) {
    std::set<std::string> names;
    for (size_t i = 0; i < ports.size(); ++i) {
      const View &v = p.views[ports[i].view];
      const Buffer &b = p.buffers[v.buffer];
      if (b.place != place || b.index != i || !v.offset.isConstant(0))
        return inconsistent(what, " '", ports[i].name, "' is not bound to a buffer of its own");
      if (!names.insert(ports[i].name).second)
        return inconsistent(what, " '", ports[i].name, "' exists twice");
    }
    return Status();
  }

  Status checkValues(const std::vector<Port> &ports, const std::vector<PortValue> &values) {
    std::set<std::string> names;
    size_t at = 0;
    for (const PortValue &value : values) {
      if (!names.insert(value.name).second || (value.items > 0 && value.kind != PortValue::Kind::Sequence))
        return inconsistent("value '", value.name, "' exists twice, or is no sequence and has items");
      if (value.portCount() > ports.size() - at)
        return inconsistent("value '", value.name, "' has more items than there are ports");
      const View &first = p.views[ports[at].view];
      if (first.dims.size() < value.leadingDims())
        return inconsistent("value '", value.name, "' has no dim for its items");
      for (uint32_t i = 1; i < value.items; ++i)
        if (p.views[ports[at + i].view].dtype != first.dtype)
          return inconsistent("value '", value.name, "' has items of several types");
      at += value.portCount();
    }
    return values.empty() || at == ports.size() ? Status() : inconsistent("a port belongs to no value");
  }

  Status checkStates() {
    std::set<uint32_t> seen;
    for (size_t i = 0; i < p.states.size(); ++i) {
      const StatePort &port = p.states[i];
      const View &v = p.views[port.view];
      const Buffer &b = p.buffers[v.buffer];
      if (port.state >= program.states.size() || !seen.insert(port.state).second)
        return inconsistent("function '", p.name, "' names a state twice, or one that does not exist");
      const State &state = program.states[port.state];
      if (b.place != Buffer::Place::State || b.index != i || !v.offset.isConstant(0))
        return inconsistent("state '", state.name, "' is not bound to a buffer of its own");
      bool fits = v.dtype == state.dtype && v.dims.size() == state.dims.size();
      for (size_t d = state.growing ? 1 : 0; fits && d < v.dims.size(); ++d)
        fits = !v.dims[d].isConstant() || v.dims[d] == state.dims[d];
      if (!fits)
        return inconsistent("function '", p.name, "' gives state '", state.name, "' another type");
      KILN_TRY(checkGrown(state, port));
    }
    return Status();
  }

  Status checkGrown(const State &state, const StatePort &port) {
    bool fits = (port.grown != noView) == (state.growing && port.written);
    if (fits && port.grown != noView) {
      fits = port.grown < p.views.size();
      const View &before = p.views[port.view], &after = p.views[fits ? port.grown : port.view];
      fits = fits && after.buffer == before.buffer && after.offset.isConstant(0) && after.dtype == before.dtype &&
             after.dims.size() == before.dims.size() && (port.read || before.dims[0].isConstant(0));
      for (size_t d = 1; fits && d < after.dims.size(); ++d)
        fits = !after.dims[d].isConstant() || !before.dims[d].isConstant() || after.dims[d] == before.dims[d];
    }
    return fits ? Status()
                : inconsistent("function '", p.name, "' does not say what state '", state.name, "' grows to");
  }

  Status checkOperand(uint32_t step, ViewId view, bool written, bool mayBeOpen = false) {
    if (view >= p.views.size())
      return inconsistent("step ", step, " refers to a view that does not exist");
    const Buffer &b = p.buffers[p.views[view].buffer];
    if (written && (b.place == Buffer::Place::Input || b.place == Buffer::Place::Constant ||
                    (b.place == Buffer::Place::State && !p.states[b.index].written)))
      return inconsistent("step ", step, " ('", p.steps[step].node, "') writes read-only memory");
    if (p.views[view].open && !mayBeOpen)
      return inconsistent("step ", step, " ('", p.steps[step].node, "') needs dims that are not known");
    return Status();
  }

  /// A tensor without dims of that type.
  Status checkScalar(uint32_t step, ViewId view, DType dtype) {
    KILN_TRY(checkOperand(step, view, false));
    if (p.views[view].dtype != dtype || !p.views[view].dims.empty())
      return inconsistent("step ", step, " wants a ", dtypeName(dtype), "[]");
    return Status();
  }

  /// `before` inputs of the function and all but the outputs counted in `after` are the step's own business.
  Status checkCall(uint32_t step, const Call &call, size_t before, size_t outputs) {
    if (call.function <= id || call.function >= program.functions.size())
      return inconsistent("step ", step, " calls a function that does not exist or stands before its own");
    const Function &callee = program.functions[call.function];
    if (callee.inputs.size() != before + call.inputs.size() || callee.outputs.size() != outputs ||
        !callee.states.empty())
      return inconsistent("step ", step, " does not call function '", callee.name, "' as it is declared");
    for (size_t i = 0; i < call.inputs.size(); ++i) {
      KILN_TRY(checkOperand(step, call.inputs[i], false, true));
      KILN_TRY(checkPassed(step, call.inputs[i], callee, callee.inputs[before + i]));
    }
    size_t parameters = 0;
    for (const ProgramSymbol &symbol : callee.symbols)
      parameters += symbol.parameter >= 0;
    if (call.sizes.size() != parameters)
      return inconsistent("step ", step, " hands over ", call.sizes.size(), " sizes, function '", callee.name,
                          "' takes ", parameters);
    for (const SizeArgument &size : call.sizes) {
      if (size.view == noView) {
        KILN_TRY(checkSize(size.value));
        continue;
      }
      KILN_TRY(checkOperand(step, size.view, false, true));
      DType dtype = p.views[size.view].dtype;
      if ((dtype != DType::I64 && dtype != DType::I32) || size.element < 0)
        return inconsistent("step ", step, " takes a size from something that is no integer");
    }
    return Status();
  }

  /// A view for a port of another function: of its type and rank.
  Status checkPassed(uint32_t step, ViewId view, const Function &callee, const Port &port, size_t extraDims = 0) {
    const View &own = p.views[view], &theirs = callee.views[port.view];
    if (own.dtype != theirs.dtype || own.dims.size() != theirs.dims.size() + extraDims)
      return inconsistent("step ", step, " hands '", port.name, "' of function '", callee.name, "' another type");
    return Status();
  }

  Status checkOutputs(uint32_t step, const Call &call, std::span<const ViewId> outputs, size_t skipped,
                      size_t carried) {
    const Function &callee = program.functions[call.function];
    for (size_t i = 0; i < outputs.size(); ++i) {
      KILN_TRY(checkOperand(step, outputs[i], true, true));
      KILN_TRY(checkPassed(step, outputs[i], callee, callee.outputs[skipped + i], i >= carried ? 1 : 0));
    }
    return Status();
  }

  Status checkLoop(uint32_t index, const LoopStep &loop) {
    size_t carried = loop.initial.size();
    if (loop.outputs.size() < carried)
      return inconsistent("step ", index, " carries more values than it has outputs");
    KILN_TRY(checkCall(index, loop.body, 2 + carried, 1 + loop.outputs.size()));
    const Function &body = program.functions[loop.body.function];
    auto isScalar = [&](const Port &port, DType dtype) {
      return body.views[port.view].dtype == dtype && body.views[port.view].dims.empty();
    };
    if (!isScalar(body.inputs[0], DType::I64) || !isScalar(body.inputs[1], DType::Bool) ||
        !isScalar(body.outputs[0], DType::Bool))
      return inconsistent("step ", index, " calls a function that is no loop's body");
    if (loop.count != noView)
      KILN_TRY(checkScalar(index, loop.count, DType::I64));
    if (loop.condition != noView)
      KILN_TRY(checkScalar(index, loop.condition, DType::Bool));
    for (size_t i = 0; i < carried; ++i) {
      KILN_TRY(checkOperand(index, loop.initial[i], false, true));
      KILN_TRY(checkPassed(index, loop.initial[i], body, body.inputs[2 + i]));
      KILN_TRY(checkPassed(index, loop.initial[i], body, body.outputs[1 + i]));
    }
    return checkOutputs(index, loop.body, loop.outputs, 1, carried);
  }

  /// Copies aside, a step's operands lie in the memory that it works in.
  Status checkSpaces(uint32_t index) {
    const Step &step = p.steps[index];
    if (std::holds_alternative<CopyStep>(step.action))
      return Status();
    bool onDevice = std::holds_alternative<LaunchStep>(step.action) && !program.device.empty(), fits = true;
    step.forEachView([&](ViewId id, bool) {
      if (id != noView)
        fits &= (p.buffers[p.views[id].buffer].space == Buffer::Space::Device) == onDevice;
    });
    return fits ? Status()
                : inconsistent("step ", index, " ('", step.node, "') works in ", onDevice ? "device" : "host",
                               " memory and has an operand elsewhere");
  }

  Status checkStep(uint32_t index) {
    const Step &step = p.steps[index];
    for (const Condition &guard : step.guards) {
      KILN_TRY(checkSize(guard.lhs));
      KILN_TRY(checkSize(guard.rhs));
    }
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      if (launch->kernel >= program.kernels.size())
        return inconsistent("step ", index, " launches a kernel that does not exist");
      const KernelInterface &interface = program.kernels[launch->kernel].interface;
      std::vector<KernelOperand> operands = interface.operands();
      if (launch->operands.size() != operands.size() || launch->sizes.size() != interface.symbols.size())
        return inconsistent("step ", index, " does not call its kernel as its interface says");
      for (size_t i = 0; i < operands.size(); ++i)
        KILN_TRY(checkOperand(index, launch->operands[i], operands[i].isWritten()));
      for (const SizeExpr &size : launch->sizes)
        KILN_TRY(checkSize(size));
      return Status();
    }
    if (auto *call = std::get_if<HostCallStep>(&step.action)) {
      KILN_TRY(checkCount(call->flops));
      KILN_TRY(checkCount(call->bytes));
      bool returns = std::any_of(call->outputs.begin(), call->outputs.end(),
                                 [&](ViewId view) { return view < p.views.size() && p.views[view].open; });
      for (ViewId view : call->inputs)
        if (view != noView)
          KILN_TRY(checkOperand(index, view, false, returns));
      for (ViewId view : call->outputs)
        KILN_TRY(checkOperand(index, view, true, returns));
      return Status();
    }
    if (auto *call = std::get_if<CallStep>(&step.action)) {
      KILN_TRY(checkCall(index, call->callee, 0, call->outputs.size()));
      return checkOutputs(index, call->callee, call->outputs, 0, SIZE_MAX);
    }
    if (auto *branch = std::get_if<IfStep>(&step.action)) {
      KILN_TRY(checkScalar(index, branch->condition, DType::Bool));
      for (const Call *call : {&branch->then, &branch->otherwise}) {
        KILN_TRY(checkCall(index, *call, 0, branch->outputs.size()));
        KILN_TRY(checkOutputs(index, *call, branch->outputs, 0, SIZE_MAX));
      }
      return Status();
    }
    if (auto *loop = std::get_if<LoopStep>(&step.action))
      return checkLoop(index, *loop);
    const CopyStep &copy = std::get<CopyStep>(step.action);
    KILN_TRY(checkOperand(index, copy.source, false));
    return checkOperand(index, copy.target, true);
  }

  const Program &program;
  FunctionId id;
  const Function &p;
  std::set<std::string> defined;
  std::set<int32_t> parameters;
};

} // namespace

SizeExpr View::bytes() const { return SizeExpr::product(dims) * SizeExpr(dtypeBytes(dtype)); }

std::vector<std::string> Function::symbolNames() const {
  std::vector<std::string> names;
  for (const ProgramSymbol &s : symbols)
    names.push_back(s.name);
  return names;
}

size_t Function::returnedCount() const {
  return size_t(std::ranges::count(buffers, Buffer::Place::Returned, &Buffer::place));
}

static std::vector<PortValue> valuesOf(const std::vector<Port> &ports, const std::vector<PortValue> &values) {
  if (!values.empty())
    return values;
  std::vector<PortValue> tensors;
  for (const Port &port : ports)
    tensors.push_back({port.name});
  return tensors;
}

std::vector<PortValue> Function::hostInputs() const { return valuesOf(inputs, inputValues); }
std::vector<PortValue> Function::hostOutputs() const { return valuesOf(outputs, outputValues); }

std::pair<int32_t, int32_t> Function::hostPlace(const Program &program, const ProgramSymbol &symbol) const {
  if (!symbol.isBound())
    return {-1, symbol.dim};
  std::vector<PortValue> values = hostInputs();
  auto port = static_cast<size_t>(symbol.input);
  if (const State *state = program.stateTaken(*this, port))
    return {int32_t(values.size() + port - inputs.size()), int32_t(state->modelAxis(size_t(symbol.dim)))};
  size_t i = 0;
  for (size_t end = values[0].portCount(); end <= port; end += values[i].portCount())
    ++i;
  return {int32_t(i), std::max(symbol.dim - int32_t(values[i].leadingDims()), -1)};
}

std::string Program::nameTaken(const Function &function, size_t i) const {
  size_t inputs = function.inputs.size();
  return i < inputs ? "input \"" + function.inputs[i].name + "\""
                    : "state \"" + states[function.states[i - inputs].state].name + "\"";
}

size_t Program::firstStep(FunctionId function) const {
  size_t first = 0;
  for (FunctionId f = 0; f < function; ++f)
    first += functions[f].steps.size();
  return first;
}

Status checkProgram(const Program &program, uint64_t codeBytes) {
  KILN_TRY(checkConstants(program));
  KILN_TRY(checkStatesAndKernels(program, codeBytes));
  // References between functions, so that every function's check may follow them.
  for (const Function &f : program.functions) {
    for (const auto *ports : {&f.inputs, &f.outputs})
      for (const Port &port : *ports)
        if (port.view >= f.views.size())
          return inconsistent("'", port.name, "' refers to a view that does not exist");
    for (const StatePort &port : f.states)
      if (port.view >= f.views.size())
        return inconsistent("a state refers to a view that does not exist");
  }
  if (program.entries.empty())
    return inconsistent("there is no entry");
  std::set<std::string> names;
  for (const Entry &entry : program.entries)
    if (entry.function >= program.functions.size() || !names.insert(entry.name).second)
      return inconsistent("entry '", entry.name, "' exists twice, or its function does not");
  for (FunctionId f = 0; f < program.functions.size(); ++f)
    KILN_TRY(Checker(program, f).run());
  for (const Entry &entry : program.entries)
    for (const ProgramSymbol &symbol : program.functions[entry.function].symbols)
      if (symbol.parameter >= 0)
        return inconsistent("entry '", entry.name, "' takes plain sizes");
  return Status();
}

StepWork workOf(const Program &program, const Function &function, const Step &step) {
  if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
    const KernelInterface &interface = program.kernels[launch->kernel].interface;
    std::map<std::string, SizeExpr> sizes;
    for (size_t i = 0; i < interface.symbols.size(); ++i)
      sizes.emplace(interface.symbols[i], launch->sizes[i]);
    return {interface.flops().substitute(sizes), interface.bytes().substitute(sizes)};
  }
  if (auto *call = std::get_if<HostCallStep>(&step.action))
    return {call->flops, call->bytes};
  if (auto *copy = std::get_if<CopyStep>(&step.action))
    return {0, SizeExpr(2) * function.views[copy->source].bytes()};
  return {0, 0};
}

Result<WorkCount> countWork(const Program &program, const Function &function,
                            const std::map<std::string, int64_t> &symbols) {
  WorkCount work;
  for (const Step &step : function.steps) {
    bool runs = true;
    for (const Condition &guard : step.guards) {
      KILN_ASSIGN(int64_t lhs, guard.lhs.evaluate(symbols));
      KILN_ASSIGN(int64_t rhs, guard.rhs.evaluate(symbols));
      runs &= guard.holds(lhs, rhs);
    }
    if (!runs)
      continue;
    StepWork size = workOf(program, function, step);
    KILN_ASSIGN(int64_t flops, size.flops.evaluate(symbols));
    KILN_ASSIGN(int64_t bytes, size.bytes.evaluate(symbols));
    work.flops += double(flops);
    work.bytes += double(bytes);
    if (!std::holds_alternative<HostCallStep>(step.action)) {
      work.generatedFlops += double(flops);
      work.generatedBytes += double(bytes);
    }
  }
  return work;
}

} // namespace kiln
