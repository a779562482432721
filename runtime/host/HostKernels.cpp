#include "runtime/host/HostKernels.h"

#include "runtime/host/Kernels.h"

#include <algorithm>
#include <iterator>

namespace kiln::host {
namespace {

struct Entry {
  std::string_view op;
  ref::Kernel kernel;
};

constexpr Entry entries[] = {
    {"argmax", argmax},
    {"argmin", argmin},
    {"compress", compress},
    {"concat", concat},
    {"cumprod", cumprod},
    {"cumsum", cumsum},
    {"expand", expand},
    {"gather", gather},
    {"gather_elements", gatherElements},
    {"gather_nd", gatherNd},
    {"grid_sample", gridSample},
    {"max_pool_indices", maxPoolIndices},
    {"non_max_suppression", nonMaxSuppression},
    {"nonzero", nonzero},
    {"pad", pad},
    {"reverse_sequence", reverseSequence},
    {"roi_align", roiAlign},
    {"scatter_elements", scatterElements},
    {"scatter_nd", scatterNd},
    {"slice", slice},
    {"topk", topk},
};
static_assert(std::ranges::is_sorted(entries, {}, &Entry::op), "the list of ops must be sorted by name");

} // namespace

ref::Kernel find(std::string_view op) {
  const Entry *it = std::ranges::lower_bound(entries, op, {}, &Entry::op);
  return it != std::end(entries) && it->op == op ? it->kernel : nullptr;
}

Status reference(std::string_view op, const ref::OpCall &call) { return ref::find(op)(call); }

} // namespace kiln::host
