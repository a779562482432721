// A model of one op, as IR text at stage `imported`, from a case.
#pragma once

#include "test/ops/Cases.h"

#include <optional>

namespace kiln::test {

enum class Mode {
  Static,    ///< sizes are numbers; operands are inputs
  Dynamic,   ///< the letters of the case are symbols; operands are inputs
  Weights,   ///< sizes are numbers; all operands but the first are constants
  Constants, ///< all operands are constants
  Data,      ///< sizes are numbers, but of the result only where it does not depend on data: all operands are inputs
};
std::string_view modeName(Mode mode);

/// Whether the values of an operand say the result's dims.
bool saysDims(const Case &c, size_t operand);

struct OneOpModel {
  std::string text;
  std::vector<size_t> inputs; ///< the operands that are the model's inputs, in its order
};

/// `sizes` are those of the round; in mode Dynamic they are not used. Operands that say the
/// result's dims (the shape of a reshape ...) are constants in every mode, made from the sizes of
/// other operands where they have letters. The error E0201 says that the case cannot be written in
/// the mode.
Result<OneOpModel> makeModel(const Case &c, const Sizes &sizes, const std::vector<Tensor> &operands, Mode mode);

} // namespace kiln::test
