#include "runtime/base/Tensor.h"

#include <cassert>
#include <cstdlib>
#include <cstring>

namespace kiln {

std::optional<int64_t> elementCount(std::span<const int64_t> dims) {
  bool empty = false;
  for (int64_t d : dims) {
    if (d < 0)
      return std::nullopt;
    empty |= d == 0;
  }
  if (empty)
    return 0;
  int64_t count = 1;
  for (int64_t d : dims)
    if (__builtin_mul_overflow(count, d, &count))
      return std::nullopt;
  return count;
}

std::optional<int64_t> byteCount(DType dtype, std::span<const int64_t> dims) {
  std::optional<int64_t> count = elementCount(dims);
  return count ? checkedMul(*count, dtypeBytes(dtype)) : std::nullopt;
}

std::vector<int64_t> denseStrides(std::span<const int64_t> dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    // With an empty dim the others may overflow; such strides are never used.
    if (__builtin_mul_overflow(stride, dims[i], &stride))
      stride = 0;
  }
  return strides;
}

std::string printTensorType(DType dtype, std::span<const int64_t> dims) {
  std::string text(dtypeName(dtype));
  text += '[';
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i)
      text += ',';
    text += std::to_string(dims[i]);
  }
  return text + ']';
}

int64_t TensorView::size() const { return elementCount(dims).value_or(0); }

void *allocateAligned(int64_t bytes) {
  // aligned_alloc wants a multiple of the alignment; leave room for kernels that read a whole last
  // vector.
  if (bytes < 0 || bytes > (int64_t(1) << 47))
    return nullptr;
  return std::aligned_alloc(size_t(bufferAlignment), size_t(alignUp(std::max<int64_t>(bytes, 1), bufferAlignment)));
}

void freeAligned(void *p) { std::free(p); }

void Tensor::Free::operator()(void *p) const { freeAligned(p); }

Result<Tensor> Tensor::create(DType dtype, std::span<const int64_t> dims) {
  std::optional<int64_t> bytes = byteCount(dtype, dims);
  if (!bytes)
    return makeError(ErrorCode::E0308, "size of ", printTensorType(dtype, dims), " is negative or overflows");
  Tensor tensor;
  tensor.storage.reset(allocateAligned(*bytes));
  if (!tensor.storage)
    return makeError(ErrorCode::E0510, "out of memory for ", printTensorType(dtype, dims));
  tensor.theDtype = dtype;
  tensor.theDims.assign(dims.begin(), dims.end());
  return tensor;
}

Result<Tensor> Tensor::zeros(DType dtype, std::span<const int64_t> dims) {
  KILN_ASSIGN(Tensor tensor, create(dtype, dims));
  std::memset(tensor.data(), 0, size_t(tensor.bytes()));
  return tensor;
}

Result<Tensor> Tensor::copyOf(const TensorView &view) {
  KILN_ASSIGN(Tensor tensor, create(view.dtype, view.dims));
  if (view.bytes() > 0) {
    assert(view.data && "copy of an absent tensor");
    std::memcpy(tensor.data(), view.data, size_t(view.bytes()));
  }
  return tensor;
}

} // namespace kiln
