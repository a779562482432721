// Relocator: turns one relocatable x86-64 ELF object into a position-independent image without any outside reference.
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace kiln::cpu {

struct LinkedImage {
  std::vector<uint8_t> bytes;
  std::map<std::string, uint64_t> symbols; // global functions by offset
};

// Lays the allocated read-only sections of `object` out one after another (code first, each as aligned as it asks, the
// whole a multiple of 64 bytes) and applies their PC-relative relocations. An undefined symbol, a writable section or
// an absolute relocation is an internal compiler error that names it.
Result<LinkedImage> linkImage(std::span<const char> object);

} // namespace kiln::cpu
