#include "runtime/reference/Kernels.h"

#include <algorithm>
#include <iterator>

namespace kiln::ref {
namespace {

constexpr std::string_view mnemonics[] = {
#define KILN_REFERENCE_OP(name) #name,
#include "runtime/reference/ReferenceOps.inc"
#undef KILN_REFERENCE_OP
};
constexpr Kernel kernels[] = {
#define KILN_REFERENCE_OP(name) op_##name,
#include "runtime/reference/ReferenceOps.inc"
#undef KILN_REFERENCE_OP
};
static_assert(std::ranges::is_sorted(mnemonics), "the list of ops must be sorted by name");

} // namespace

Kernel find(std::string_view op) {
  const auto *it = std::ranges::lower_bound(mnemonics, op);
  return it != std::end(mnemonics) && *it == op ? kernels[it - mnemonics] : nullptr;
}

bool updatesInPlace(std::string_view op) { return op == "scatter_elements" || op == "scatter_nd"; }

std::span<const std::string_view> names() { return mnemonics; }

} // namespace kiln::ref
