// Walking over several tensors at once, row by row, each with its own strides (0 where it is
// broadcast).
#pragma once

#include "runtime/reference/Operands.h"

#include <array>

namespace kiln::ref {

/// Strides in elements with which a dense tensor of `dims` is read at the indices of a space of
/// dims `space`, of which it is a numpy broadcast (the caller has checked that): 0 along broadcast
/// axes.
inline Dims broadcastStrides(std::span<const int64_t> dims, std::span<const int64_t> space) {
  Dims strides(space.size(), 0);
  int64_t step = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    const size_t axis = i + space.size() - dims.size();
    strides[axis] = dims[i] == 1 ? 0 : step;
    step *= dims[i];
  }
  return strides;
}

/// An index space and N tensors' strides over it. Adjacent axes that every tensor walks as one are
/// joined, so that rows are long. Offsets and strides are in elements.
template <size_t N> class Walk {
public:
  Walk(std::span<const int64_t> space, const std::array<Dims, N> &strideOf) {
    for (size_t axis = 0; axis < space.size(); ++axis) {
      empty |= space[axis] == 0;
      if (space[axis] == 1)
        continue;
      std::array<int64_t, N> stride;
      bool joins = !dims.empty();
      for (size_t k = 0; k < N; ++k) {
        stride[k] = strideOf[k][axis];
        joins = joins && strides.back()[k] == stride[k] * space[axis];
      }
      if (joins) {
        dims.back() *= space[axis];
        strides.back() = stride;
      } else {
        dims.push_back(space[axis]);
        strides.push_back(stride);
      }
    }
    if (dims.empty()) {
      dims.push_back(1);
      strides.push_back({});
    }
  }

  /// Strides within a row.
  const std::array<int64_t, N> &inner() const { return strides.back(); }

  /// Calls row(offsets, n) for every row, in row-major order of the space.
  template <typename F> void rows(F &&row) const {
    if (empty)
      return;
    const size_t outer = dims.size() - 1;
    Dims index(outer, 0);
    std::array<int64_t, N> offsets{};
    for (;;) {
      row(offsets, dims.back());
      size_t axis = outer;
      for (;; --axis) {
        if (axis == 0)
          return;
        const auto &stride = strides[axis - 1];
        if (++index[axis - 1] < dims[axis - 1]) {
          for (size_t k = 0; k < N; ++k)
            offsets[k] += stride[k];
          break;
        }
        index[axis - 1] = 0;
        for (size_t k = 0; k < N; ++k)
          offsets[k] -= stride[k] * (dims[axis - 1] - 1);
      }
    }
  }

private:
  bool empty = false;
  Dims dims;
  std::vector<std::array<int64_t, N>> strides;
};

/// Copies elements between strided places: out[offset + walk] = in[offset + walk], for any element
/// type of whole bytes.
void copyStrided(DType dtype, std::span<const int64_t> space, const TensorView &in, int64_t inOffset,
                 const Dims &inStrides, const TensorView &out, int64_t outOffset, const Dims &outStrides);

} // namespace kiln::ref
