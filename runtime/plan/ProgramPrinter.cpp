#include "runtime/base/Hash.h"
#include "runtime/plan/Arena.h"
#include "runtime/plan/Program.h"
#include "runtime/plan/Transfers.h"

namespace kiln {
namespace {

/// Of one function.
class Printer {
public:
  Printer(std::ostream &os, const Program &program, FunctionId id)
      : os(os), program(program), p(program.functions[id]), firstStep(program.firstStep(id)) {}

  void run() {
    for (const ProgramSymbol &s : p.symbols)
      printSymbol(s);
    for (const Condition &check : p.checks)
      os << "check " << check.print() << "\n";
    for (const Port &port : p.inputs)
      os << "input " << printAttribute(port.name) << " " << type(port.view) << "\n";
    for (const Port &port : p.outputs)
      os << "output " << printAttribute(port.name) << " " << type(port.view) << "\n";
    printValues("input", p.inputValues);
    printValues("output", p.outputValues);
    for (const StatePort &port : p.states)
      os << "state " << printAttribute(program.states[port.state].name) << " " << type(port.view)
         << (port.read ? " read" : "") << (port.written ? " written" : "")
         << (port.grown == noView ? "" : " to " + type(port.grown)) << "\n";
    printMemory();
    for (size_t i = 0; i < p.steps.size(); ++i)
      printStep(i);
  }

private:
  void printSymbol(const ProgramSymbol &s) {
    os << "symbol " << s.name << " = ";
    if (s.isBound())
      os << "dim " << s.dim << " of "
         << (size_t(s.input) < p.inputs.size() ? printAttribute(p.inputs[size_t(s.input)].name)
                                               : program.nameTaken(p, size_t(s.input)));
    else if (s.parameter >= 0)
      os << "size " << s.parameter << " of the call";
    else
      os << s.value.print();
    if (s.low != 0 || s.high != INT64_MAX) {
      os << " in " << s.low << "..";
      if (s.high != INT64_MAX)
        os << s.high;
    }
    os << "\n";
  }

  /// What ports are to the host.
  void printValues(const char *what, const std::vector<PortValue> &values) {
    static constexpr const char *kinds[] = {"tensor", "sequence", "optional", "optional sequence"};
    for (const PortValue &value : values) {
      os << what << " value " << printAttribute(value.name) << " " << kinds[size_t(value.kind)];
      if (value.items > 0)
        os << " of " << value.items << (value.items == 1 ? " port" : " ports");
      os << "\n";
    }
  }

  void printMemory() {
    if (p.arenaBytes)
      os << "arena " << *p.arenaBytes << " bytes\n";
    if (p.arenaBytes && !program.device.empty())
      os << "device arena " << p.deviceArenaBytes << " bytes\n";
    if (!program.device.empty()) {
      TransferBytes bytes = transfersOf(p);
      os << "transfers " << bytes.toDevice.print() << " bytes to the device, " << bytes.toHost.print()
         << " to the host\n";
    }
    if (!p.arenaBytes)
      os << "arena packed when inputs are bound\n";
    std::vector<LiveInterval> live = liveIntervals(program, p);
    for (size_t i = 0; i < p.buffers.size(); ++i) {
      const Buffer &b = p.buffers[i];
      if (!b.inArena())
        continue;
      os << "buffer %" << i << (b.space == Buffer::Space::Device ? " device" : "")
         << (b.place == Buffer::Place::Workspace ? " workspace " : " ") << b.bytes.print() << " bytes, moments "
         << live[i].first << ".." << live[i].last;
      if (b.offset)
        os << ", at " << *b.offset;
      os << "\n";
    }
  }

  std::string type(ViewId id) const {
    const View &v = p.views[id];
    return std::string(dtypeName(v.dtype)) + printSizes(v.dims) + (v.open ? "?" : "");
  }

  std::string view(ViewId id) const {
    if (id == noView)
      return "none";
    const View &v = p.views[id];
    const Buffer &b = p.buffers[v.buffer];
    std::string out;
    switch (b.place) {
    case Buffer::Place::Input: out = "in:" + p.inputs[b.index].name; break;
    case Buffer::Place::Output: out = "out:" + p.outputs[b.index].name; break;
    case Buffer::Place::Constant:
      out = "const:" +
            (program.constants[b.index].name.empty() ? std::to_string(b.index) : program.constants[b.index].name);
      break;
    case Buffer::Place::Arena:
    case Buffer::Place::Workspace:
    case Buffer::Place::Returned: out = "%" + std::to_string(v.buffer); break;
    case Buffer::Place::State: out = "state:" + program.states[p.states[b.index].state].name; break;
    }
    if (!v.offset.isConstant(0))
      out += "+" + v.offset.print();
    if (b.space == Buffer::Space::Device)
      out += "@device";
    return out + " " + type(id);
  }

  void printViews(const std::vector<ViewId> &views) {
    for (size_t i = 0; i < views.size(); ++i)
      os << (i ? ", " : "") << view(views[i]);
  }

  void printCall(const Call &call) {
    os << "@" << program.functions[call.function].name << "(";
    printViews(call.inputs);
    os << ")";
    for (size_t i = 0; i < call.sizes.size(); ++i) {
      const SizeArgument &size = call.sizes[i];
      os << (i ? ", " : " sizes [");
      if (size.view == noView)
        os << size.value.print();
      else
        os << "element " << size.element << " of " << view(size.view);
    }
    os << (call.sizes.empty() ? "" : "]");
  }

  void printOutputs(const std::vector<ViewId> &outputs) {
    os << " -> (";
    printViews(outputs);
    os << ")";
  }

  void printStep(size_t index) {
    const Step &step = p.steps[index];
    os << "step " << firstStep + index << " " << printAttribute(step.node) << " ";
    for (const Condition &guard : step.guards)
      os << (&guard == &step.guards[0] ? "if " : "and ") << guard.print() << " ";
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      std::vector<KernelOperand> operands = program.kernels[launch->kernel].interface.operands();
      os << "launch @" << launch->kernel << "(";
      for (size_t i = 0; i < operands.size(); ++i)
        os << (i ? ", " : "") << operands[i].print() << "=" << view(launch->operands[i]);
      os << ")";
      if (!launch->sizes.empty())
        os << " sizes " << printSizes(launch->sizes);
    } else if (auto *host = std::get_if<HostCallStep>(&step.action)) {
      os << "call " << host->callee << "(";
      printViews(host->inputs);
      os << ") " << host->attributes.print();
      printOutputs(host->outputs);
    } else if (auto *copy = std::get_if<CopyStep>(&step.action)) {
      static constexpr const char *ways[] = {"copy ", "copy to device ", "copy to host ", "copy on device "};
      os << ways[size_t(directionOf(p, *copy))] << view(copy->source) << " -> " << view(copy->target);
    } else if (auto *call = std::get_if<CallStep>(&step.action)) {
      printCall(call->callee);
      printOutputs(call->outputs);
    } else if (auto *branch = std::get_if<IfStep>(&step.action)) {
      os << "if " << view(branch->condition) << " then ";
      printCall(branch->then);
      os << " else ";
      printCall(branch->otherwise);
      printOutputs(branch->outputs);
    } else {
      const LoopStep &loop = std::get<LoopStep>(step.action);
      os << "loop count " << view(loop.count) << " while " << view(loop.condition) << " carry (";
      printViews(loop.initial);
      os << ") ";
      printCall(loop.body);
      printOutputs(loop.outputs);
    }
    StepWork work = workOf(program, p, step);
    os << " flops " << work.flops.print() << " bytes " << work.bytes.print() << "\n";
  }

  std::ostream &os;
  const Program &program;
  const Function &p;
  size_t firstStep;
};

/// "W" f32[4,2] derived from 3 by permute[1,0]
void printConstant(std::ostream &os, const Program &p, const Constant &c) {
  os << printAttribute(c.name) << " " << printTensorType(c.dtype, c.dims);
  if (auto *section = std::get_if<SectionSource>(&c.source))
    os << " at " << section->offset;
  else if (auto *range = std::get_if<FileSource>(&c.source))
    os << " at " << range->offset << " of " << printAttribute(p.files[range->file].path);
  else if (const BoundSource *bound = c.bound())
    os << " bound as " << printAttribute(bound->name);
  else if (auto *derived = std::get_if<DerivedSource>(&c.source))
    os << " derived from " << derived->constant << " by " << derived->recipe.print();
}

/// constants 4, 64 bytes in the artifact, 24 bound, 96 derived
void printConstantBytes(std::ostream &os, const Program &p) {
  static constexpr const char *places[] = {" in the artifact", " in files", " bound", " derived"};
  int64_t bytes[std::variant_size_v<decltype(Constant::source)>] = {};
  static_assert(std::size(places) == std::size(bytes));
  for (const Constant &c : p.constants)
    bytes[c.source.index()] += byteCount(c.dtype, c.dims).value_or(0);
  os << "constants " << p.constants.size() << ", " << bytes[0] << " bytes" << places[0];
  for (size_t i = 1; i < std::size(bytes); ++i)
    if (bytes[i] > 0)
      os << ", " << bytes[i] << places[i];
  os << "\n";
}

void printHead(std::ostream &os, const Program &p) {
  os << "program for " << p.target << (p.device.empty() ? "" : ", on device " + p.device) << ", precision "
     << p.precision;
  if (!p.producer.empty())
    os << ", by " << p.producer;
  os << "\n";
  printConstantBytes(os, p);
  for (const WeightFile &file : p.files)
    os << "file " << printAttribute(file.path) << " " << file.bytes << " bytes\n";
  for (size_t i = 0; i < p.constants.size(); ++i)
    if (!p.constants[i].inSection()) {
      os << "constant " << i << " ";
      printConstant(os, p, p.constants[i]);
      os << "\n";
    }
  for (const State &state : p.states)
    os << "state " << printAttribute(state.name) << " " << dtypeName(state.dtype) << printSizes(state.dims)
       << (state.growing ? " along " + std::to_string(*state.growing) : "") << "\n";
  for (size_t i = 0; i < p.kernels.size(); ++i) {
    const Kernel &k = p.kernels[i];
    os << "kernel @" << i << " " << k.family << " " << k.config << " " << k.codeBytes << " bytes: " << k.problem
       << "\n  " << k.interface.print() << "\n";
    if (!k.source.empty())
      os << "  price " << k.price << " ns, " << k.source << "\n";
  }
}

} // namespace

std::string Condition::print() const {
  static constexpr const char *signs[] = {" == ", " != ", " <= ", " > ", " ~ ", " % "};
  return lhs.print() + signs[size_t(relation)] + rhs.print();
}

std::string printProgram(const Program &program) {
  std::ostringstream os;
  printHead(os, program);
  for (FunctionId f = 0; f < program.functions.size(); ++f) {
    std::string names;
    for (const Entry &entry : program.entries)
      if (entry.function == f)
        names += "entry " + printAttribute(entry.name) + " ";
    os << "\n" << names << "function @" << program.functions[f].name << "\n";
    Printer(os, program, f).run();
  }
  return std::move(os).str();
}

} // namespace kiln
