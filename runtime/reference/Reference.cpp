#include "runtime/reference/Kernels.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace kiln::ref {
namespace {

constexpr std::string_view mnemonics[] = {
#define KILN_REFERENCE_OP(name, inPlace) #name,
#include "runtime/reference/ReferenceOps.inc"
#undef KILN_REFERENCE_OP
};
constexpr Kernel kernels[] = {
#define KILN_REFERENCE_OP(name, inPlace) op_##name,
#include "runtime/reference/ReferenceOps.inc"
#undef KILN_REFERENCE_OP
};
constexpr bool updating[] = {
#define KILN_REFERENCE_OP(name, inPlace) inPlace,
#include "runtime/reference/ReferenceOps.inc"
#undef KILN_REFERENCE_OP
};
static_assert(std::ranges::is_sorted(mnemonics), "the list of ops must be sorted by name");

/// Where in the tables an op is.
std::optional<size_t> indexOf(std::string_view op) {
  const auto *it = std::ranges::lower_bound(mnemonics, op);
  return it != std::end(mnemonics) && *it == op ? std::optional<size_t>(it - mnemonics) : std::nullopt;
}

} // namespace

Kernel find(std::string_view op) {
  std::optional<size_t> index = indexOf(op);
  return index ? kernels[*index] : nullptr;
}

bool updatesInPlace(std::string_view op) {
  std::optional<size_t> index = indexOf(op);
  return index && updating[*index];
}

std::span<const std::string_view> names() { return mnemonics; }

} // namespace kiln::ref
