// KernelImage: an emission's machine code as one position-independent block of bytes, ready to be mapped read-execute.
#pragma once

#include "codegen/Emission.h"
#include "codegen/cpu/Lowering.h"
#include "codegen/problem/TargetInfo.h"
#include "runtime/base/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kiln {

struct KernelImage {
  std::vector<uint8_t> bytes;    // code and read-only data; wants a 64-byte aligned address, needs no relocation
  std::vector<uint64_t> entries; // offset of a kiln_kernel_fn_v1 in `bytes`, one per launch of the emission
};

// Texts of the stages below the emission, for the dump directory. Null members are not produced.
struct KernelTexts {
  std::string *llvmIr = nullptr;
  std::string *assembly = nullptr;
};

// Compiles `emission` (its module is consumed) for `target`. Deterministic; touches no global state, so any number of
// threads may compile, each with a context of its own.
Result<KernelImage> compileEmission(Emission &emission, const TargetInfo &target, const KernelTexts &texts = {},
                                    cpu::LlvmEffort effort = cpu::LlvmEffort::Normal);

// The image of an object file that holds the functions of the emission's launches.
Result<KernelImage> imageOfObject(const Emission &emission, std::span<const char> object);

} // namespace kiln
