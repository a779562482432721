// The two data transforms of F(m x m, 3 x 3), on vectors (or scalars), as straight-line code.
#pragma once

#include "codegen/emit/Emitter.h"

namespace kiln {

/// B^T d B of a (m+2) x (m+2) tile, row-major.
emit::Values winogradInput(emit::Emitter &e, int64_t outputs, emit::Values tile);
/// A^T p A: the m x m results of (m+2) x (m+2) products, row-major.
emit::Values winogradOutput(emit::Emitter &e, int64_t outputs, emit::Values products);

} // namespace kiln
