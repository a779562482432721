// What an error says of the sizes of a function, in the words of the model. Names that the compiler made up, and
// numbers of what a step hands to a function, mean nothing to a reader: they are traced to the node that made the
// value.
#pragma once

#include "runtime/plan/Program.h"

namespace kiln {

class SizeWords {
public:
  SizeWords(const Program &program, const Function &function) : program(program), function(function) {}

  /// What the function takes as number `i`: `input "x"`, `state "past"`, `output 0 of node "grow"`.
  std::string taken(size_t i) const;
  /// The same, an input of the model by its name alone.
  std::string nameOf(size_t taken) const;
  /// "f32[N,3]" of the same; a size without a name of the model's is "?".
  std::string typeTaken(size_t i) const;
  /// The number of an axis of the same, as the model has it.
  std::string axisTaken(size_t i, size_t axis) const;
  /// The symbol that a size is, where a reader knows it by its name.
  const ProgramSymbol *named(const SizeExpr &size) const;
  /// Which dim of what the size is; nothing where it is computed.
  std::optional<std::string> place(const SizeExpr &size) const;
  /// An expression and what its made-up names stand for: {"n-1", ", where n is dim 0 of output 0 of node \"grow\""}.
  std::pair<std::string, std::string> expression(const SizeExpr &size) const;

private:
  struct Site {
    const Function *caller;
    const Step *step;
    const Call *call;
    size_t leading; // what the function takes before Call::inputs
  };
  std::optional<Site> callSite() const;
  const ProgramSymbol *symbolOf(const SizeExpr &size) const;
  /// The value that a view of the function shows.
  std::string value(ViewId view) const;
  std::string result(BufferId buffer) const;

  const Program &program;
  const Function &function;
};

} // namespace kiln
