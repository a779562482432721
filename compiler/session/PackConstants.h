// The bytes of constants for an artifact, in order: as they lie in the model's file, or packed by
// their recipes on several threads, a bounded amount ahead of the writer.

#pragma once

#include "compiler/session/BuildProgram.h"
#include "runtime/plan/Artifact.h"

namespace kiln {

/// Calls `use` with a source of the constants' bytes.
Status withConstants(const BuiltProgram &built, size_t threads,
                     const std::function<Status(const ConstantBytes &)> &use);

} // namespace kiln
