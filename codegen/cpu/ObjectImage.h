// The image of an object file: machine code as one position-independent block of bytes, ready to be mapped read-execute
// at a 64-byte aligned address without any relocation. Entries are offsets of functions of type kiln_kernel_fn_v1.
#pragma once

#include "codegen/Backend.h"

namespace kiln::cpu {

/// `object` holds the functions of the emission's launches.
Result<KernelImage> imageOfObject(const Emission &emission, std::span<const char> object);

} // namespace kiln::cpu
