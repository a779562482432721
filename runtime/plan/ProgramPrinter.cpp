#include "runtime/base/Hash.h"
#include "runtime/plan/Arena.h"
#include "runtime/plan/Program.h"

namespace kiln {
namespace {

class Printer {
public:
  explicit Printer(const Program &p) : p(p) {}

  std::string run() {
    os << "program " << printAttribute(p.name) << " for " << p.target << ", precision " << p.precision;
    if (!p.producer.empty())
      os << ", by " << p.producer;
    os << "\n";
    for (const ProgramSymbol &s : p.symbols)
      printSymbol(s);
    for (const Condition &check : p.checks)
      os << "check " << check.print() << "\n";
    for (const Port &port : p.inputs)
      os << "input " << printAttribute(port.name) << " " << type(port.view) << "\n";
    for (const Port &port : p.outputs)
      os << "output " << printAttribute(port.name) << " " << type(port.view) << "\n";
    printMemory();
    for (size_t i = 0; i < p.kernels.size(); ++i) {
      const Kernel &k = p.kernels[i];
      os << "kernel @" << i << " " << k.family << " " << k.config << " " << k.codeBytes << " bytes: " << k.problem
         << "\n  " << k.interface.print() << "\n";
    }
    for (size_t i = 0; i < p.steps.size(); ++i)
      printStep(i);
    return std::move(os).str();
  }

private:
  void printSymbol(const ProgramSymbol &s) {
    os << "symbol " << s.name << " = ";
    if (s.isBound())
      os << "dim " << s.dim << " of " << printAttribute(p.inputs[size_t(s.input)].name);
    else
      os << s.value.print();
    if (s.low != 0 || s.high != INT64_MAX) {
      os << " in " << s.low << "..";
      if (s.high != INT64_MAX)
        os << s.high;
    }
    os << "\n";
  }

  void printMemory() {
    int64_t weights = 0;
    for (const Constant &c : p.constants) {
      int64_t count = dtypeBytes(c.dtype);
      for (int64_t d : c.dims)
        count *= d;
      weights += count;
    }
    os << "constants " << p.constants.size() << ", " << weights << " bytes\n";
    if (p.arenaBytes)
      os << "arena " << *p.arenaBytes << " bytes\n";
    else
      os << "arena packed when inputs are bound\n";
    std::vector<LiveInterval> live = liveIntervals(p);
    for (size_t i = 0; i < p.buffers.size(); ++i) {
      const Buffer &b = p.buffers[i];
      if (!b.inArena())
        continue;
      os << "buffer %" << i << (b.place == Buffer::Place::Workspace ? " workspace " : " ") << b.bytes.print()
         << " bytes, moments " << live[i].first << ".." << live[i].last;
      if (b.offset)
        os << ", at " << *b.offset;
      os << "\n";
    }
  }

  std::string type(ViewId id) const {
    const View &v = p.views[id];
    return std::string(dtypeName(v.dtype)) + printSizes(v.dims);
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
      out = "const:" + (p.constants[b.index].name.empty() ? std::to_string(b.index) : p.constants[b.index].name);
      break;
    case Buffer::Place::Arena:
    case Buffer::Place::Workspace: out = "%" + std::to_string(v.buffer); break;
    }
    if (!v.offset.isConstant(0))
      out += "+" + v.offset.print();
    return out + " " + type(id);
  }

  template <typename List> void printViews(const List &views) {
    for (size_t i = 0; i < views.size(); ++i)
      os << (i ? ", " : "") << view(views[i]);
  }

  void printStep(size_t index) {
    const Step &step = p.steps[index];
    os << "step " << index << " " << printAttribute(step.node) << " ";
    for (const Condition &guard : step.guards)
      os << (&guard == &step.guards[0] ? "if " : "and ") << guard.print() << " ";
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      std::vector<KernelOperand> operands = p.kernels[launch->kernel].interface.operands();
      os << "launch @" << launch->kernel << "(";
      for (size_t i = 0; i < operands.size(); ++i)
        os << (i ? ", " : "") << operands[i].print() << "=" << view(launch->operands[i]);
      os << ")";
      if (!launch->sizes.empty())
        os << " sizes " << printSizes(launch->sizes);
    } else if (auto *call = std::get_if<HostCallStep>(&step.action)) {
      os << "call " << call->callee << "(";
      printViews(call->inputs);
      os << ") " << call->attributes.print() << " -> (";
      printViews(call->outputs);
      os << ")";
    } else {
      const CopyStep &copy = std::get<CopyStep>(step.action);
      os << "copy " << view(copy.source) << " -> " << view(copy.target);
    }
    StepWork work = workOf(p, step);
    os << " flops " << work.flops.print() << " bytes " << work.bytes.print() << "\n";
  }

  const Program &p;
  std::ostringstream os;
};

} // namespace

std::string Condition::print() const {
  static constexpr const char *signs[] = {" == ", " != ", " <= ", " > ", " ~ ", " % "};
  return lhs.print() + signs[size_t(relation)] + rhs.print();
}

std::string printProgram(const Program &program) { return Printer(program).run(); }

} // namespace kiln
