// The host program of a compiled model, in memory: what the compiler's plan passes produce, what an
// artifact stores and what the executor runs. Plain data; checkProgram states what holds for every
// program that may be written or run.
//
// Memory is named in two levels. A Buffer is a place with a size: an input, an output, a constant
// or a part of the arena. A View is a typed window into a buffer; steps name views. Reshapes,
// in-place updates and parts of a concatenation are further views of the same buffer, so they need
// no step.
#pragma once

#include "runtime/base/Attributes.h"
#include "runtime/base/DType.h"
#include "runtime/base/KernelInterface.h"
#include "runtime/base/SizeExpr.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kiln {

/// Indices into the vectors of Program.
using ViewId = uint32_t;
using BufferId = uint32_t;
using KernelId = uint32_t;
/// Most dims of a view.
inline constexpr size_t maxRank = 64;
/// An absent optional operand.
inline constexpr ViewId noView = UINT32_MAX;

/// A named size. In order of evaluation: a symbol is bound from an input's dim, or defined over
/// earlier symbols.
struct ProgramSymbol {
  std::string name;
  /// Bound: the input's index and the dim; several inputs may carry the symbol in their dims, all
  /// are compared when bound.
  int32_t input = -1, dim = -1;
  /// Defined, when not bound.
  SizeExpr value;
  /// Inclusive range, checked.
  int64_t low = 0, high = INT64_MAX;

  bool isBound() const { return input >= 0; }
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
    Input,    ///< bound by the caller; read-only; `index` into inputs
    Output,   ///< bound by the caller or allocated; `index` into outputs
    Constant, ///< in the weights section; read-only; `index` into constants
    Arena,    ///< intermediate result, packed with others by live interval
    Workspace ///< like Arena; used within the launches of one kernel call
  };
  Place place = Place::Arena;
  uint32_t index = 0;
  /// Bytes; of Arena and Workspace only (the others follow from their types).
  SizeExpr bytes;
  /// Byte offset in the arena when it was packed at compile time; else the runtime packs once per
  /// distinct sizes. All arena buffers have one, or none has. A multiple of 64.
  std::optional<int64_t> offset;

  bool inArena() const { return place == Place::Arena || place == Place::Workspace; }
};

/// A dense row-major window of a buffer.
struct View {
  BufferId buffer = 0;
  SizeExpr offset; ///< bytes
  DType dtype = DType::F32;
  std::vector<SizeExpr> dims;

  /// Bytes the view covers.
  SizeExpr bytes() const;
};

/// An input or output of the model's signature; its view shows the whole of its buffer.
struct Port {
  std::string name;
  ViewId view = 0;
};

struct Constant {
  std::string name; ///< for people; may be empty
  DType dtype = DType::F32;
  std::vector<int64_t> dims;
  /// Set by the writer: byte offset in the weights section (a multiple of 64) and hash64 of the
  /// bytes.
  uint64_t offset = 0, digest = 0;
};

/// A compiled kernel: machine code at `codeOffset` of the code section.
struct Kernel {
  std::string family;
  std::string config;  ///< text of Attributes
  std::string problem; ///< text of what it computes; for inspection, profiles and tuning
  KernelInterface interface;
  uint64_t codeOffset = 0, codeBytes = 0;
  std::vector<uint64_t> entries; ///< offset of each launch's entry point, from codeOffset
};

/// Runs the launches of a kernel, in order.
struct LaunchStep {
  KernelId kernel = 0;
  std::vector<ViewId> operands; ///< of the kernel's interface, in its order
  std::vector<SizeExpr> sizes;  ///< values of the interface's symbols
};

/// Runs the reference kernel of an op (kiln::ref::find).
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

struct Step {
  std::variant<LaunchStep, HostCallStep, CopyStep> action;
  std::string node; ///< name of the model node (of the main one of a fused kernel); for errors and profiles
  /// The step runs only for sizes that satisfy all of these. A launch site with variants (M == 1, M
  /// mod 8 == 0, any) is a run of steps whose guards exclude each other; which ones run is decided
  /// once per distinct sizes.
  std::vector<Condition> guards;

  /// Calls `use` with every view that the step reads or writes; noView for absent operands.
  template <typename Use> void forEachView(Use use) const {
    if (auto *launch = std::get_if<LaunchStep>(&action)) {
      for (ViewId id : launch->operands)
        use(id);
    } else if (auto *call = std::get_if<HostCallStep>(&action)) {
      for (ViewId id : call->inputs)
        use(id);
      for (ViewId id : call->outputs)
        use(id);
    } else {
      const CopyStep &copy = std::get<CopyStep>(action);
      use(copy.source);
      use(copy.target);
    }
  }
};

struct Program {
  std::string name;      ///< of the entry
  std::string producer;  ///< compiler and its version, for people
  std::string target;    ///< "x86-64-v3" ..., or "interpreter" for programs without code
  std::string precision; ///< "default", "strict", "fast"

  std::vector<ProgramSymbol> symbols;
  std::vector<Condition> checks;
  std::vector<Buffer> buffers;
  std::vector<View> views;
  std::vector<Port> inputs, outputs;
  std::vector<Constant> constants;
  std::vector<Kernel> kernels;
  std::vector<Step> steps;
  /// Whether buffers that are never in use together may share bytes of the arena.
  bool sharesMemory = true;
  /// Bytes of the arena when its buffers carry offsets.
  std::optional<int64_t> arenaBytes;

  std::vector<std::string> symbolNames() const;
};

/// Everything the executor relies on: indices in range, symbols defined before use, arena offsets
/// within the arena, views of static size within their buffers, read-only buffers not written.
/// `codeBytes` is the size of the code section.
Status checkProgram(const Program &program, uint64_t codeBytes);

/// Work of a step, over the program's symbols: floating-point operations and least memory traffic.
struct StepWork {
  SizeExpr flops, bytes;
};
StepWork workOf(const Program &program, const Step &step);

/// Work of the program for the given symbol values, and the part of it that runs in generated code.
struct WorkCount {
  double flops = 0, generatedFlops = 0;
  double bytes = 0, generatedBytes = 0;
  /// 1 for a program without floating-point work.
  double generatedShare() const { return flops > 0 ? generatedFlops / flops : 1; }
};
Result<WorkCount> countWork(const Program &program, const std::map<std::string, int64_t> &symbols);

/// The program as text, for people (kiln inspect).
std::string printProgram(const Program &program);

} // namespace kiln
