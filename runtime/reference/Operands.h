// Checks of a call's operands and attributes, shared by the kernels. Every message names the op.
#pragma once

#include "runtime/reference/Reference.h"

#include <string>
#include <vector>

namespace kiln::ref {

using Dims = std::vector<int64_t>;

/// The operand, or an absent view where the list is shorter.
inline TensorView operand(const OpCall &call, size_t index) {
  return index < call.inputs.size() ? call.inputs[index] : TensorView{};
}

/// At least `required` present operands, at most `allowed` in all, and exactly `results` outputs.
Status checkCounts(std::string_view op, const OpCall &call, size_t required, size_t allowed, size_t results = 1);

Status checkType(std::string_view op, std::string_view what, const TensorView &view, DType want);
Status checkRank(std::string_view op, std::string_view what, const TensorView &view, int64_t want);
Status checkDims(std::string_view op, std::string_view what, const TensorView &view, std::span<const int64_t> want);
/// The output has this type and these dims; it gets them where the caller does not know its dims. To be called before
/// the output is looked at.
Status checkOutput(std::string_view op, const OpCall &call, DType dtype, std::span<const int64_t> dims,
                   size_t index = 0);

/// "[1,3,224,224]"
std::string printDims(std::span<const int64_t> dims);

/// The axis as 0..rank-1; negative values count from the end. `rank` may be one more than the
/// operand's where a position between axes is meant.
Result<int64_t> normalizeAxis(std::string_view op, int64_t axis, int64_t rank);

/// The elements of an i64 or i32 operand of rank 0 or 1.
Result<Dims> readInts(std::string_view op, std::string_view what, const TensorView &view);

/// The operand when it is present, else the attribute, else nothing at all (empty optional via
/// `found`).
struct IntList {
  bool found = false;
  Dims values;
};
Result<IntList> intsOf(std::string_view op, const OpCall &call, size_t index, std::string_view attribute);

/// Dims of the numpy broadcast of several shapes.
Result<Dims> broadcastDims(std::string_view op, std::span<const TensorView> views);

} // namespace kiln::ref
