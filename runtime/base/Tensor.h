// Dense row-major tensors: TensorView (borrowed; what reference kernels and the executor pass
// around) and Tensor (owned, 64-byte aligned), with the checked arithmetic that every size
// computation goes through.
#pragma once

#include "runtime/base/DType.h"
#include "runtime/base/Status.h"

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln {

/// Alignment of every buffer that Kiln allocates, and of weights in artifacts.
inline constexpr int64_t bufferAlignment = 64;

inline std::optional<int64_t> checkedMul(int64_t a, int64_t b) {
  int64_t r;
  return __builtin_mul_overflow(a, b, &r) ? std::nullopt : std::optional<int64_t>(r);
}
inline std::optional<int64_t> checkedAdd(int64_t a, int64_t b) {
  int64_t r;
  return __builtin_add_overflow(a, b, &r) ? std::nullopt : std::optional<int64_t>(r);
}
inline std::optional<int64_t> checkedSub(int64_t a, int64_t b) {
  int64_t r;
  return __builtin_sub_overflow(a, b, &r) ? std::nullopt : std::optional<int64_t>(r);
}
/// Rounds up to a multiple of a power of two.
inline constexpr int64_t alignUp(int64_t v, int64_t alignment) { return (v + alignment - 1) & -alignment; }

/// Product of dims, nullopt when a dim is negative or the product overflows. A zero anywhere gives
/// 0, even where the others would overflow.
std::optional<int64_t> elementCount(std::span<const int64_t> dims);
/// Bytes of a dense tensor, nullopt as above.
std::optional<int64_t> byteCount(DType dtype, std::span<const int64_t> dims);
/// Row-major strides in elements (dims must have an elementCount).
std::vector<int64_t> denseStrides(std::span<const int64_t> dims);
/// "f32[1,3,224,224]"
std::string printTensorType(DType dtype, std::span<const int64_t> dims);

/// A borrowed dense tensor. Rank 0 is a scalar. data == nullptr with dims of non-zero count means
/// an absent operand.
struct TensorView {
  void *data = nullptr;
  DType dtype = DType::F32;
  std::span<const int64_t> dims;

  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  /// Elements; the dims of an existing view are valid, so this cannot fail.
  int64_t size() const;
  int64_t bytes() const { return size() * dtypeBytes(dtype); }
  bool present() const { return data != nullptr; }
  template <typename T> T *as() const { return static_cast<T *>(data); }
};

/// An owned dense tensor. Its data pointer is never null, even with no elements.
class Tensor {
public:
  Tensor() = default; // empty: no type, no data
  Tensor(Tensor &&) noexcept = default;
  Tensor &operator=(Tensor &&) noexcept = default;

  /// Uninitialised storage. Negative or overflowing dims are E0308, no memory E0510.
  static Result<Tensor> create(DType dtype, std::span<const int64_t> dims);
  static Result<Tensor> create(DType dtype, std::initializer_list<int64_t> dims) {
    return create(dtype, std::span<const int64_t>(dims.begin(), dims.size()));
  }
  static Result<Tensor> zeros(DType dtype, std::span<const int64_t> dims);
  /// A copy of what `view` shows.
  static Result<Tensor> copyOf(const TensorView &view);
  /// From values; T must have the size of the dtype.
  template <typename T> static Result<Tensor> of(DType dtype, std::vector<int64_t> dims, std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    KILN_ASSIGN(Tensor t, create(dtype, dims));
    if (dtypeBytes(dtype) != int(sizeof(T)) || t.view().size() != int64_t(values.size()))
      return makeError(ErrorCode::E0901, "values do not match ", printTensorType(dtype, dims));
    std::copy(values.begin(), values.end(), t.as<T>());
    return t;
  }

  bool valid() const { return storage != nullptr; }
  DType dtype() const { return theDtype; }
  std::span<const int64_t> dims() const { return theDims; }
  void *data() const { return storage.get(); }
  template <typename T> T *as() const { return static_cast<T *>(data()); }
  TensorView view() const { return {data(), theDtype, theDims}; }
  int64_t size() const { return view().size(); }
  int64_t bytes() const { return view().bytes(); }

private:
  struct Free {
    void operator()(void *p) const;
  };
  std::unique_ptr<void, Free> storage;
  DType theDtype = DType::F32;
  std::vector<int64_t> theDims;
};

/// Bytes of 64-byte aligned memory, null when there is none. Freed with freeAligned.
void *allocateAligned(int64_t bytes);
void freeAligned(void *p);

/// For vectors whose elements start at the alignment of buffers.
template <typename T> struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <typename U> AlignedAllocator(const AlignedAllocator<U> &) {}
  T *allocate(size_t n) {
    void *p = n <= size_t(INT64_MAX) / sizeof(T) ? allocateAligned(int64_t(n * sizeof(T))) : nullptr;
    if (!p)
      throw std::bad_alloc();
    return static_cast<T *>(p);
  }
  void deallocate(T *p, size_t) { freeAligned(p); }
  bool operator==(const AlignedAllocator &) const { return true; }
};
using AlignedBytes = std::vector<std::byte, AlignedAllocator<std::byte>>;

} // namespace kiln
