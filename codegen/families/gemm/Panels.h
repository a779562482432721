// Packing of B into panels of 16 columns (the layout of RegisterTile.h): by a recipe where B is constant, else by a
// launch of its own.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/families/gemm/ElementTypes.h"
#include "runtime/base/Recipe.h"

namespace kiln::gemm {

/// [batch][panel][depth / kPack][16][kPack], the depth filled up with zeros to a multiple of kPack, from a dense
/// [batch, depth, columns], or [batch, columns, depth] when `transposed`. With `sums`, each panel's are behind it
/// (Recipe::sums).
Recipe packMatrix(int64_t batch, int64_t depth, int64_t columns, bool transposed, int kPack, bool sums = false);
/// [group][panel][tap][channel / kPack][16][kPack], the channels filled up likewise, from a dense filter [groups *
/// outputs, channels, taps].
Recipe packFilter(int64_t groups, int64_t outputs, int64_t channels, int64_t taps, int kPack, bool sums = false);

/// The vector of B that starts at `at`, in the accumulators' type: of step `step` of its k-pack; of both, as i16 side
/// by side in every lane, where a tile multiplies pairs.
emit::Value loadPanelVector(emit::Emitter &e, const ElementTypes &types, emit::Value at, int step);
/// Copies `steps` steps of floating-point panels that lie behind one another, widened: with k-pack 1, and aligned.
void emitWidenPanels(emit::Emitter &e, const ElementTypes &types, emit::Value from, emit::Value steps, emit::Value to);

/// One panel of B: element (k, n), k = tap * inner + i, at source + tap * tapBytes + i * innerBytes + n * columnBytes.
/// Only `columns` of the 16 columns exist (or more than 16); the others are filled with zeros.
struct PanelSource {
  emit::Value source;
  emit::Value columnBytes, tapBytes, innerBytes;
  emit::Value taps, inner, columns;
};
/// Copies it to `to`, in the accumulators' type.
void emitPackPanel(emit::Emitter &e, const ElementTypes &types, const PanelSource &from, emit::Value to);

/// The body of a packing kernel for a batch of matrices, one workgroup per panel: workgroup = batch * panels + panel.
/// `from` is the first panel with all columns; matrices lie batchBytes apart.
void emitPackMatrices(emit::Emitter &e, const ElementTypes &types, PanelSource from, emit::Value batchBytes,
                      emit::Value to);

} // namespace kiln::gemm
