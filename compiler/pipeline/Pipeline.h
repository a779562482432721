// THE pipeline: every pass that a model goes through, in order.

#pragma once

#include "compiler/session/Compilation.h"

namespace kiln {

/// Takes the module as far as the options ask; an artifact is then to be written from it, or its
/// text printed.
Status runPipeline(Compilation &c);

} // namespace kiln
