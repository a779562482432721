// A value that a loop scans: the results of its iterations, stacked along a new first dim. It grows by doubling.
#pragma once

#include "runtime/base/Tensor.h"

#include <functional>
#include <vector>

namespace kiln {

using Allocate = std::function<Result<Tensor>(DType, std::span<const int64_t> dims)>;

class ScanBuffer {
public:
  /// Adds an iteration's value. All have the dims of the first one (E0517).
  Status append(const TensorView &value, const Allocate &allocate);
  /// The stacked tensor, [iterations, dims of a value]. Without iterations a dim of `elementDims` that is unknown (-1)
  /// is 0.
  Result<Tensor> finish(DType dtype, std::span<const int64_t> elementDims, const Allocate &allocate) &&;

  int64_t bytes() const { return storage.valid() ? storage.bytes() : 0; }

private:
  std::vector<int64_t> dims(int64_t count) const;

  Tensor storage; // room for `capacity` values
  std::vector<int64_t> elementDims;
  int64_t count = 0, capacity = 0;
};

} // namespace kiln
