#include "runtime/plan/Program.h"

#include "runtime/base/Tensor.h"

#include <algorithm>
#include <set>

namespace kiln {
namespace {

template <typename... Parts> Status inconsistent(const Parts &...parts) {
  return makeError(ErrorCode::E0905, "plan: ", parts...);
}

class Checker {
public:
  Checker(const Program &p, uint64_t codeBytes) : p(p), codeBytes(codeBytes) {}

  Status run() {
    KILN_TRY(checkConstantsAndKernels());
    KILN_TRY(checkIndices());
    KILN_TRY(checkSymbols());
    KILN_TRY(checkBuffers());
    KILN_TRY(checkViews());
    KILN_TRY(checkPorts(p.inputs, Buffer::Place::Input, "input"));
    KILN_TRY(checkPorts(p.outputs, Buffer::Place::Output, "output"));
    for (size_t i = 0; i < p.steps.size(); ++i)
      KILN_TRY(checkStep(uint32_t(i)));
    return Status();
  }

private:
  Status checkConstantsAndKernels() {
    for (const Constant &c : p.constants)
      if (c.dims.size() > maxRank || !byteCount(c.dtype, c.dims))
        return inconsistent("constant '", c.name, "' has no valid size");
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

  /// References between the tables, so that everything after may follow them.
  Status checkIndices() {
    for (const View &v : p.views)
      if (v.buffer >= p.buffers.size() || v.dims.size() > maxRank)
        return inconsistent("view refers to a buffer that does not exist");
    for (const Buffer &b : p.buffers) {
      size_t limit = b.place == Buffer::Place::Input      ? p.inputs.size()
                     : b.place == Buffer::Place::Output   ? p.outputs.size()
                     : b.place == Buffer::Place::Constant ? p.constants.size()
                                                          : SIZE_MAX;
      if (b.index >= limit)
        return inconsistent("buffer refers to an input, output or constant that does not exist");
    }
    for (const auto *ports : {&p.inputs, &p.outputs})
      for (const Port &port : *ports)
        if (port.view >= p.views.size())
          return inconsistent("'", port.name, "' refers to a view that does not exist");
    return Status();
  }

  Status checkSymbols() {
    for (const ProgramSymbol &s : p.symbols) {
      if (s.name != SizeExpr::symbol(s.name).print() || defined.count(s.name))
        return inconsistent("symbol '", s.name, "' is malformed or defined twice");
      if (s.isBound()) {
        if (size_t(s.input) >= p.inputs.size() || s.dim < 0 ||
            size_t(s.dim) >= p.views[p.inputs[size_t(s.input)].view].dims.size())
          return inconsistent("symbol '", s.name, "' is bound to a dim that does not exist");
      } else {
        KILN_TRY(checkSize(s.value));
      }
      if (s.low > s.high)
        return inconsistent("symbol '", s.name, "' has an empty range");
      defined.insert(s.name);
    }
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
      if (!b.inArena())
        continue;
      KILN_TRY(checkCount(b.bytes));
      if (b.offset.has_value() != p.arenaBytes.has_value())
        return inconsistent("arena offsets are incomplete");
      if (!b.offset)
        continue;
      if (!b.bytes.isConstant() || *b.offset < 0 || *b.offset % bufferAlignment != 0 || *b.offset > *p.arenaBytes ||
          b.bytes.constant() > *p.arenaBytes - *b.offset)
        return inconsistent("buffer lies outside the arena");
    }
    if (p.arenaBytes && *p.arenaBytes < 0)
      return inconsistent("arena has a negative size");
    return Status();
  }

  Status checkViews() {
    for (const View &v : p.views) {
      KILN_TRY(checkCount(v.offset));
      bool isStatic = v.offset.isConstant();
      std::vector<int64_t> dims;
      for (const SizeExpr &d : v.dims) {
        KILN_TRY(checkCount(d));
        isStatic &= d.isConstant();
        dims.push_back(d.isConstant() ? d.constant() : 0);
      }
      const Buffer &b = p.buffers[v.buffer];
      if (!isStatic) {
        if (b.place == Buffer::Place::Constant)
          return inconsistent("view of a constant has an unknown size");
        continue;
      }
      std::optional<int64_t> bytes = byteCount(v.dtype, dims), limit;
      if (!bytes || v.offset.constant() % dtypeBytes(v.dtype) != 0)
        return inconsistent("view has an impossible size or offset");
      if (b.place == Buffer::Place::Constant)
        limit = byteCount(p.constants[b.index].dtype, p.constants[b.index].dims);
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

  Status checkOperand(uint32_t step, ViewId view, bool written) {
    if (view >= p.views.size())
      return inconsistent("step ", step, " refers to a view that does not exist");
    const Buffer &b = p.buffers[p.views[view].buffer];
    if (written && (b.place == Buffer::Place::Input || b.place == Buffer::Place::Constant))
      return inconsistent("step ", step, " ('", p.steps[step].node, "') writes read-only memory");
    return Status();
  }

  Status checkStep(uint32_t index) {
    const Step &step = p.steps[index];
    for (const Condition &guard : step.guards) {
      KILN_TRY(checkSize(guard.lhs));
      KILN_TRY(checkSize(guard.rhs));
    }
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      if (launch->kernel >= p.kernels.size())
        return inconsistent("step ", index, " launches a kernel that does not exist");
      const KernelInterface &interface = p.kernels[launch->kernel].interface;
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
      for (ViewId view : call->inputs)
        if (view != noView)
          KILN_TRY(checkOperand(index, view, false));
      for (ViewId view : call->outputs)
        KILN_TRY(checkOperand(index, view, true));
      return Status();
    }
    const CopyStep &copy = std::get<CopyStep>(step.action);
    KILN_TRY(checkOperand(index, copy.source, false));
    return checkOperand(index, copy.target, true);
  }

  const Program &p;
  uint64_t codeBytes;
  std::set<std::string> defined;
};

} // namespace

SizeExpr View::bytes() const { return SizeExpr::product(dims) * SizeExpr(dtypeBytes(dtype)); }

std::vector<std::string> Program::symbolNames() const {
  std::vector<std::string> names;
  for (const ProgramSymbol &s : symbols)
    names.push_back(s.name);
  return names;
}

Status checkProgram(const Program &program, uint64_t codeBytes) { return Checker(program, codeBytes).run(); }

StepWork workOf(const Program &program, const Step &step) {
  if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
    const KernelInterface &interface = program.kernels[launch->kernel].interface;
    std::map<std::string, SizeExpr> sizes;
    for (size_t i = 0; i < interface.symbols.size(); ++i)
      sizes.emplace(interface.symbols[i], launch->sizes[i]);
    return {interface.flops().substitute(sizes), interface.bytes().substitute(sizes)};
  }
  if (auto *call = std::get_if<HostCallStep>(&step.action))
    return {call->flops, call->bytes};
  return {0, SizeExpr(2) * program.views[std::get<CopyStep>(step.action).source].bytes()};
}

Result<WorkCount> countWork(const Program &program, const std::map<std::string, int64_t> &symbols) {
  WorkCount work;
  for (const Step &step : program.steps) {
    bool runs = true;
    for (const Condition &guard : step.guards) {
      KILN_ASSIGN(int64_t lhs, guard.lhs.evaluate(symbols));
      KILN_ASSIGN(int64_t rhs, guard.rhs.evaluate(symbols));
      runs &= guard.holds(lhs, rhs);
    }
    if (!runs)
      continue;
    StepWork size = workOf(program, step);
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
