// The host program of a compiled model, in memory: what the compiler's plan passes produce, what an
// artifact stores and what the executor runs. Plain data; checkProgram states what holds for every
// program that may be written or run.
//
// A program is a module of functions over shared constants and kernels. Every size of a function is known when it is
// called: an expression over its symbols, which are bound from the dims of its inputs or handed over as plain sizes.
// What is only known later (a branch's result, a size from data) is the business of another function, which a step
// calls once it is known: so call, if, loop and sizes from data are one concept.
//
// Memory is named in two levels. A Buffer is a place with a size: an input, an output, a constant
// or a part of the arena. A View is a typed window into a buffer; steps name views. Reshapes,
// in-place updates and parts of a concatenation are further views of the same buffer, so they need
// no step.
#pragma once

#include "runtime/base/Attributes.h"
#include "runtime/base/DType.h"
#include "runtime/base/KernelInterface.h"
#include "runtime/base/Recipe.h"
#include "runtime/base/SizeExpr.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace kiln {

/// Indices into the vectors of Function and Program.
using ViewId = uint32_t;
using BufferId = uint32_t;
using KernelId = uint32_t;
using FunctionId = uint32_t;
/// Most dims of a view.
inline constexpr size_t maxRank = 64;
/// An absent optional operand.
inline constexpr ViewId noView = UINT32_MAX;

/// A named size. In order of evaluation: a symbol is bound from a dim of an input or state, or handed over by the
/// caller, or defined over earlier symbols.
struct ProgramSymbol {
  std::string name;
  /// Bound: the number of the input or state (Function::takenView) and the dim; several may carry the symbol in their
  /// dims, all are compared when bound.
  int32_t input = -1, dim = -1;
  /// Handed over: the index into Call::sizes.
  int32_t parameter = -1;
  /// Defined, when neither.
  SizeExpr value;
  /// Inclusive range, checked.
  int64_t low = 0, high = INT64_MAX;

  bool isBound() const { return input >= 0; }
  bool isDefined() const { return input < 0 && parameter < 0; }
};

/// A relation between bound sizes: a check, which must hold or the run is refused, or the guard of a step.
struct Condition {
  enum class Relation : uint8_t {
    Equal,
    NotEqual,
    AtMost,
    Above,
    Broadcast, ///< equal, or one of them 1
    MultipleOf ///< of a positive rhs
  };
  SizeExpr lhs, rhs;
  Relation relation = Relation::Equal;

  bool holds(int64_t l, int64_t r) const {
    switch (relation) {
    case Relation::Equal: return l == r;
    case Relation::NotEqual: return l != r;
    case Relation::AtMost: return l <= r;
    case Relation::Above: return l > r;
    case Relation::Broadcast: return l == r || l == 1 || r == 1;
    case Relation::MultipleOf: return r > 0 && l % r == 0;
    }
    return false;
  }
  /// "N == M"; a broadcast is "N ~ M", a multiple "N % 8".
  std::string print() const;
};

struct Buffer {
  enum class Place : uint8_t {
    Input,     ///< bound by the caller; read-only; `index` into inputs
    Output,    ///< bound by the caller or allocated; `index` into outputs
    Constant,  ///< read-only; `index` into constants
    Arena,     ///< intermediate result, packed with others by live interval
    Workspace, ///< like Arena; used within the launches of one kernel call
    Returned,  ///< made by the step that computes it, of dims that only the step knows
    State      ///< outlives the run; `index` into Function::states, which says whether it is written
  };
  /// Which memory it lies in. Inputs, outputs, states and values that steps return are the host's.
  enum class Space : uint8_t {
    Host,
    Device ///< of Program::device
  };
  Place place = Place::Arena;
  uint32_t index = 0;
  /// Bytes; of Arena and Workspace only (the others follow from their types).
  SizeExpr bytes;
  /// Byte offset in the arena when it was packed at compile time; else the runtime packs once per
  /// distinct sizes. All arena buffers have one, or none has. A multiple of 64.
  std::optional<int64_t> offset;
  Space space = Space::Host;

  bool inArena() const { return place == Place::Arena || place == Place::Workspace; }
};

/// A dense row-major window of a buffer.
struct View {
  BufferId buffer = 0;
  SizeExpr offset; ///< bytes
  DType dtype = DType::F32;
  std::vector<SizeExpr> dims;
  /// The dims are not known in this function: of a Returned buffer, or of an output that a called function makes. They
  /// are names for people then. Only calls and host calls that return their outputs take or make such a view.
  bool open = false;

  /// Bytes the view covers.
  SizeExpr bytes() const;
};

/// An input or output of a function; its view shows the whole of its buffer.
struct Port {
  std::string name;
  ViewId view = 0;
};

/// An input or output of an entry as the host knows it: a tensor, a list of tensors, or either that may be absent. One
/// or more ports carry it, so steps know tensors only.
struct PortValue {
  enum class Kind : uint8_t { Tensor, Sequence, Optional, OptionalSequence };
  std::string name;
  Kind kind = Kind::Tensor;
  /// Of a sequence: how many ports are its items, each one; 0: one port has all of them along its first dim, so they
  /// have equal dims and only a run tells their number. An optional is such a sequence of one item or none, and an
  /// optional sequence has another such dim before.
  uint32_t items = 0;

  /// Leading dims of its port that are not those of the tensors that it holds.
  size_t leadingDims() const { return kind == Kind::Tensor || items > 0 ? 0 : kind == Kind::OptionalSequence ? 2 : 1; }
  bool isStacked() const { return leadingDims() > 0; }
  size_t portCount() const { return items > 0 ? items : 1; }
};

/// A tensor that outlives runs. Entries name it and work on it in place; who runs them makes it.
struct State {
  std::string name;
  DType dtype = DType::F32;
  std::vector<SizeExpr> dims; ///< over names of sizes that are told when the state is made
  /// Of one that grows: along which axis of the model's dims. Here, in memory and in all views that axis is the first
  /// one, so that what is added lies behind what was there; the others keep their order. Its dim is the value's own.
  std::optional<uint32_t> growing;

  /// Which axis of the model's dims number `axis` of the stored ones is.
  size_t modelAxis(size_t axis) const { return !growing || axis > *growing ? axis : axis == 0 ? *growing : axis - 1; }
  template <typename Dim> std::vector<Dim> inModelOrder(std::span<const Dim> stored) const {
    std::vector<Dim> dims(stored.size());
    for (size_t axis = 0; axis < stored.size(); ++axis)
      dims[modelAxis(axis)] = stored[axis];
    return dims;
  }
};

/// A state as a function uses it; its view shows the whole of its buffer.
struct StatePort {
  uint32_t state = 0;   ///< into Program::states
  ViewId view = 0;      ///< the value before the run; of one that grows and is not read, none of its elements
  bool read = false;    ///< its value before the run counts
  bool written = false; ///< a run leaves a new value
  /// Of one that grows and is written: the value after the run, from the start of the buffer on, which holds both.
  ViewId grown = noView;
};

/// In the artifact's weights section. Set by the writer: the byte offset there (a multiple of 64) and the hash64 of the
/// bytes.
struct SectionSource {
  uint64_t offset = 0, digest = 0;
};
/// A range of another file.
struct FileSource {
  uint32_t file = 0; ///< into Program::files
  uint64_t offset = 0, digest = 0;
};
/// What the host binds under that name, before runs.
struct BoundSource {
  std::string name; ///< of no other constant
};
/// Made of an earlier constant as soon as that has its bytes: when the model is loaded, or when the host binds it.
struct DerivedSource {
  uint32_t constant = 0; ///< into Program::constants, before this one
  Recipe recipe;
};

struct Constant {
  std::string name; ///< for people; may be empty
  DType dtype = DType::F32;
  std::vector<int64_t> dims;
  std::variant<SectionSource, FileSource, BoundSource, DerivedSource> source;

  bool inSection() const { return std::holds_alternative<SectionSource>(source); }
  const BoundSource *bound() const { return std::get_if<BoundSource>(&source); }
};

/// A file beside the artifact that constants lie in.
struct WeightFile {
  std::string path; ///< a relative one is looked up in the artifact's folder
  uint64_t bytes = 0;
};

/// A compiled kernel: machine code at `codeOffset` of the code section.
struct Kernel {
  std::string family;
  std::string config;  ///< text of Attributes
  std::string problem; ///< text of what it computes; for inspection, profiles and tuning
  KernelInterface interface;
  uint64_t codeOffset = 0, codeBytes = 0;
  std::vector<uint64_t> entries; ///< offset of each launch's entry point, from codeOffset
  std::string source;            ///< who chose the configuration, and why
  int64_t price = 0;             ///< estimated nanoseconds of a call on one core, at nominal sizes; 0: not known
};

/// Runs the launches of a kernel, in order.
struct LaunchStep {
  KernelId kernel = 0;
  std::vector<ViewId> operands; ///< of the kernel's interface, in its order
  std::vector<SizeExpr> sizes;  ///< values of the interface's symbols
};

/// Runs the host kernel of an op (kiln::host::find), or else its reference kernel (kiln::ref::find).
struct HostCallStep {
  std::string callee;
  Attributes attributes;
  std::vector<ViewId> inputs; ///< noView: absent optional operand
  std::vector<ViewId> outputs;
  SizeExpr flops; ///< floating-point operations
  SizeExpr bytes; ///< least memory traffic: operands read and results written once
};

struct CopyStep {
  ViewId source = 0, target = 0; ///< of equal byte counts
};

/// A plain size for a function: an expression over the caller's symbols, or an element of an integer tensor, read when
/// the step runs.
struct SizeArgument {
  SizeExpr value;
  ViewId view = noView; ///< when set: element `element` of it
  int64_t element = 0;
};

/// A function with what the caller hands over.
struct Call {
  FunctionId function = 0; ///< a later one than the caller, so no function calls itself
  std::vector<ViewId> inputs;
  std::vector<SizeArgument> sizes; ///< ProgramSymbol::parameter
};

/// Calls a function. An output is computed in the memory of its view where the dims are known here, else the function
/// makes it.
struct CallStep {
  Call callee;
  std::vector<ViewId> outputs;
};

/// Calls one of two functions with equal outputs.
struct IfStep {
  ViewId condition = 0; ///< bool[]
  Call then, otherwise;
  std::vector<ViewId> outputs;
};

/// Calls a function again and again, as ONNX's Loop does. Its inputs are the iteration's number (i64[]), the condition
/// (bool[]), the carried values and Call::inputs; its outputs the next condition, the carried values and the scanned
/// values. The step's outputs are the last carried values and the scanned values, stacked along a new first dim.
struct LoopStep {
  Call body;
  ViewId count = noView;     ///< i64[]: the most iterations; without it no limit
  ViewId condition = noView; ///< bool[]: whether there is a first iteration; without it there is
  std::vector<ViewId> initial;
  std::vector<ViewId> outputs;
};

struct Step {
  std::variant<LaunchStep, HostCallStep, CopyStep, CallStep, IfStep, LoopStep> action;
  std::string node; ///< name of the model node (of the main one of a fused kernel); for errors and profiles
  /// The step runs only for sizes that satisfy all of these. A launch site with variants (M == 1, M
  /// mod 8 == 0, any) is a run of steps whose guards exclude each other; which ones run is decided
  /// once per distinct sizes.
  std::vector<Condition> guards;

  /// Calls `use(view, written)` with every view that the step reads or writes; noView for absent operands. Operands of
  /// a launch count as written; which of them are, the kernel's interface says.
  template <typename Use> void forEachView(Use use) const { visitViews(*this, use); }
  /// The same; `use` may replace the views.
  template <typename Use> void forEachView(Use use) { visitViews(*this, use); }

private:
  template <typename Self, typename Use> static void visitViews(Self &step, Use use);
};

struct Program;

/// A part of the program with symbols, buffers and steps of its own.
struct Function {
  std::string name;
  std::vector<ProgramSymbol> symbols;
  std::vector<Condition> checks;
  std::vector<Buffer> buffers;
  std::vector<View> views;
  std::vector<Port> inputs, outputs;
  std::vector<PortValue> inputValues, outputValues; ///< what they are to the host; empty: each is a tensor
  std::vector<StatePort> states;                    ///< of entries only, each once
  std::vector<Step> steps;
  /// Whether buffers that are never in use together may share bytes of the arena.
  bool sharesMemory = true;
  /// Bytes of the arena when its buffers carry offsets; of the host's part, and of the device's.
  std::optional<int64_t> arenaBytes;
  int64_t deviceArenaBytes = 0;

  std::vector<std::string> symbolNames() const;
  /// What the host gives and gets, in order.
  std::vector<PortValue> hostInputs() const;
  std::vector<PortValue> hostOutputs() const;
  /// Which of hostInputs(), the states counted behind them, a symbol is bound by, and which dim of it that is to the
  /// host: -1 where it is none of the tensors' that it holds. {-1, the symbol's dim} for one that is not bound.
  std::pair<int32_t, int32_t> hostPlace(const Program &program, const ProgramSymbol &symbol) const;
  /// What a call of the function is given, in its order: the inputs, then the states.
  size_t takenCount() const { return inputs.size() + states.size(); }
  /// Buffers of place Returned.
  size_t returnedCount() const;
  /// Bytes of the buffer that a state lies in.
  SizeExpr bytesOf(const StatePort &port) const;
  ViewId takenView(size_t i) const { return i < inputs.size() ? inputs[i].view : states[i - inputs.size()].view; }
};

/// A function that the host may run, under a name.
struct Entry {
  std::string name;
  FunctionId function = 0;
};

struct Program {
  std::string producer;  ///< compiler and its version, for people
  std::string target;    ///< "x86-64-v3" ..., or "interpreter" for programs without code
  std::string precision; ///< "default", "strict", "fast"
  /// What launches run on: a device with memory of its own; empty: the CPU, in the host's memory. On a device launches
  /// work in device memory and all other steps in host memory; copy steps lead from one to the other.
  std::string device;

  std::vector<WeightFile> files;
  std::vector<Constant> constants;
  std::vector<State> states;
  std::vector<Kernel> kernels;
  std::vector<Function> functions;
  std::vector<Entry> entries; ///< at least one

  /// Whether every op runs on its reference kernel.
  bool isInterpreted() const { return target == "interpreter"; }
  const Function &entry(size_t index = 0) const { return functions[entries[index].function]; }
  /// `input "x"` or `state "past"`: what a function takes, in words.
  std::string nameTaken(const Function &function, size_t i) const;
  /// The state that a function takes as number `i`; null: an input.
  const State *stateTaken(const Function &function, size_t i) const;
  /// Steps of all functions before `function`: where its own begin in a list of all steps.
  size_t firstStep(FunctionId function) const;
};

/// Everything the executor relies on: indices in range, symbols defined before use, arena offsets
/// within the arena, views of static size within their buffers, read-only buffers not written.
/// `codeBytes` is the size of the code section.
Status checkProgram(const Program &program, uint64_t codeBytes);

/// Work of a step, over its function's symbols: floating-point operations and least memory traffic. That of a call is
/// its function's.
struct StepWork {
  SizeExpr flops, bytes;
};
StepWork workOf(const Program &program, const Function &function, const Step &step);

/// Work of a function for the given symbol values, without that of functions it calls, and the part of it that runs in
/// generated code.
struct WorkCount {
  double flops = 0, generatedFlops = 0;
  double bytes = 0, generatedBytes = 0;
  /// 1 for a program without floating-point work.
  double generatedShare() const { return flops > 0 ? generatedFlops / flops : 1; }
};
Result<WorkCount> countWork(const Program &program, const Function &function,
                            const std::map<std::string, int64_t> &symbols);

/// The program as text, for people (kiln inspect).
std::string printProgram(const Program &program);

template <typename Self, typename Use> void Step::visitViews(Self &step, Use use) {
  auto all = [&](auto &views, bool written) {
    for (auto &id : views)
      use(id, written);
  };
  auto call = [&](auto &c) {
    all(c.inputs, false);
    for (auto &size : c.sizes)
      use(size.view, false);
  };
  auto &action = step.action;
  if (auto *launch = std::get_if<LaunchStep>(&action)) {
    all(launch->operands, true);
  } else if (auto *host = std::get_if<HostCallStep>(&action)) {
    all(host->inputs, false);
    all(host->outputs, true);
  } else if (auto *copy = std::get_if<CopyStep>(&action)) {
    use(copy->source, false);
    use(copy->target, true);
  } else if (auto *plain = std::get_if<CallStep>(&action)) {
    call(plain->callee);
    all(plain->outputs, true);
  } else if (auto *branch = std::get_if<IfStep>(&action)) {
    use(branch->condition, false);
    call(branch->then);
    call(branch->otherwise);
    all(branch->outputs, true);
  } else {
    auto &loop = std::get<LoopStep>(action);
    use(loop.count, false);
    use(loop.condition, false);
    all(loop.initial, false);
    call(loop.body);
    all(loop.outputs, true);
  }
}

} // namespace kiln
