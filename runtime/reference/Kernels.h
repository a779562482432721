// Declares op_NAME for every op of the dialect, so that an op without a reference kernel does not
// link.
#pragma once

#include "runtime/reference/Reference.h"

namespace kiln::ref {

#define KILN_REFERENCE_OP(name, inPlace) Status op_##name(const OpCall &call);
#include "runtime/reference/ReferenceOps.inc"
#undef KILN_REFERENCE_OP

} // namespace kiln::ref
