#include "runtime/exec/ScanBuffer.h"

#include <algorithm>
#include <cstring>

namespace kiln {

std::vector<int64_t> ScanBuffer::dims(int64_t count) const {
  std::vector<int64_t> all{count};
  all.insert(all.end(), elementDims.begin(), elementDims.end());
  return all;
}

Status ScanBuffer::append(const TensorView &value, const Allocate &allocate) {
  if (count == 0)
    elementDims.assign(value.dims.begin(), value.dims.end());
  else if (!std::ranges::equal(value.dims, elementDims))
    return makeError(ErrorCode::E0517, "iteration ", count, " of a loop scans ",
                     printTensorType(value.dtype, value.dims), ", the ones before ",
                     printTensorType(value.dtype, elementDims));
  int64_t bytes = value.bytes();
  if (count == capacity) {
    int64_t wanted = std::max<int64_t>(4, 2 * capacity);
    KILN_ASSIGN(Tensor larger, allocate(value.dtype, dims(wanted)));
    if (count * bytes > 0)
      std::memcpy(larger.data(), storage.data(), size_t(count * bytes));
    storage = std::move(larger);
    capacity = wanted;
  }
  if (bytes > 0)
    std::memcpy(storage.as<char>() + count * bytes, value.data, size_t(bytes));
  ++count;
  return Status();
}

Result<Tensor> ScanBuffer::finish(DType dtype, std::span<const int64_t> known, const Allocate &allocate) && {
  if (count == 0) {
    std::vector<int64_t> none{0};
    for (int64_t dim : known)
      none.push_back(std::max<int64_t>(dim, 0));
    return allocate(dtype, none);
  }
  if (count == capacity)
    return std::move(storage);
  KILN_ASSIGN(Tensor result, allocate(dtype, dims(count)));
  std::memcpy(result.data(), storage.data(), size_t(result.bytes()));
  return result;
}

} // namespace kiln
