// softmax(q * scale @ k^T + mask) @ v in one sweep: the scores of a tile of rows never leave the cache. q, k, v and the
// result may be read and written through transposes (heads split from and joined to the model's width without copies).
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &attentionFamily();

} // namespace kiln
