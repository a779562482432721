// Host kernels: the ops of which no generated kernel would be better than a good loop on the host, since what they do
// next depends on what they found (top-k, non-maximum suppression, scatters ...) or they move few elements.
//
// A host kernel computes what the op's reference kernel defines, for every call that that one takes: bit by bit, but
// for the order of sums. What it has no fast way for, bad data above all, it hands to the reference kernel, so errors
// are told in one place. Compiled programs use them; the interpreter, the constant folder and tests use the reference.
#pragma once

#include "runtime/reference/Reference.h"

namespace kiln::host {

/// The host kernel of an op by its mnemonic, or nullptr when it has none.
ref::Kernel find(std::string_view op);

} // namespace kiln::host
