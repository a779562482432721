// Packing of B into panels of 16 columns (the layout of RegisterTile.h): by a recipe where B is constant, else by a launch of its own.
#pragma once

#include "codegen/cpu/Emitter.h"
#include "runtime/base/Recipe.h"

namespace kiln::gemm {

/// [batch][panel][depth][16] from a dense [batch, depth, columns], or [batch, columns, depth] when `transposed`.
Recipe packMatrix(int64_t batch, int64_t depth, int64_t columns, bool transposed);
/// [group][panel][tap][channel][16] from a dense filter [groups * outputs, channels, taps].
Recipe packFilter(int64_t groups, int64_t outputs, int64_t channels, int64_t taps);

/// B's element (k, n) at source + batch * batchBytes + k(tap, channel) + n * columnBytes, k = tap * inner + channel at
/// tap * tapBytes + channel * innerBytes.
struct PackSource {
  cpu::Value source;
  cpu::Value columnBytes, tapBytes, innerBytes, batchBytes;
  cpu::Value taps, inner, columns;
};
/// The body of a packing kernel, one workgroup per panel: workgroup = batch * panels + panel.
void emitPackPanel(cpu::Emitter &e, const PackSource &from, cpu::Value to);

} // namespace kiln::gemm
