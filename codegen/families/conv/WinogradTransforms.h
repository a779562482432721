// The two data transforms of F(m x m, 3 x 3), on vectors (or scalars), as straight-line code.
#pragma once

#include "codegen/cpu/Emitter.h"

namespace kiln {

/// B^T d B of a (m+2) x (m+2) tile, row-major.
cpu::Values winogradInput(cpu::Emitter &e, int64_t outputs, cpu::Values tile);
/// A^T p A: the m x m results of (m+2) x (m+2) products, row-major.
cpu::Values winogradOutput(cpu::Emitter &e, int64_t outputs, cpu::Values products);

} // namespace kiln
