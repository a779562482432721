// The inner kernel where the target has tile registers (amx): a tile of 16 or 32 rows by one or two panels.
#pragma once

#include "codegen/families/gemm/RegisterTile.h"

namespace kiln::gemm {

/// The body of the local function that emitRegisterTile describes. Rows of A lie `aStep` bytes apart; 64 divides the
/// inner count, and there is one tap.
void emitTileRegisters(emit::Emitter &e, TileShape shape, const ElementTypes &types, emit::ValueRange arguments);

} // namespace kiln::gemm
