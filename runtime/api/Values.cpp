#include "runtime/api/Handles.h"
#include "runtime/api/Strides.h"

#include "runtime/device/HostCpu.h"

#include <cstdlib>

using namespace kiln;

int kiln::api::report(kiln_status *status, const Status &result) {
  if (status && status->size >= sizeof(kiln_status)) {
    kiln_status_clear(status);
    if (!result.ok()) {
      status->code = errorNumber(result.code());
      status->message = ::strdup(formatError(result).c_str());
    }
  }
  return errorNumber(result.code());
}

Result<TensorView> kiln::api::viewOf(const kiln_value &value, const std::string &what) {
  if (value.kind != KILN_TENSOR)
    return makeError(value.kind == KILN_NONE ? ErrorCode::E0502 : ErrorCode::E0511, what,
                     value.kind == KILN_NONE ? " is missing" : " is not a tensor");
  const kiln_tensor &t = value.u.tensor;
  if (t.space != KILN_HOST)
    return makeError(ErrorCode::E0704, what, " lies in the unknown memory space ", t.space);
  if ((t.flags & ~(KILN_HAS_STRIDES | KILN_HAS_CAPACITY)) || value.reserved != 0)
    return makeError(ErrorCode::E0704, what, " has a reserved field that is not 0");
  std::optional<DType> dtype = dtypeFromCode(uint64_t(int64_t(t.dtype)));
  if (!dtype)
    return makeError(ErrorCode::E0704, what, " has the unknown element type ", t.dtype);
  if (t.rank < 0 || t.rank > int32_t(maxRank) || (t.rank > 0 && !t.dims))
    return makeError(ErrorCode::E0704, what, " has no valid dims");
  if ((t.flags & KILN_HAS_STRIDES) && t.rank > 0 && !t.strides)
    return makeError(ErrorCode::E0704, what, " has no strides");
  return TensorView{t.data, *dtype, {t.dims, size_t(t.rank)}};
}

Result<TensorView> kiln::api::denseViewOf(const kiln_value &value, const std::string &what) {
  KILN_ASSIGN(TensorView view, viewOf(value, what));
  if (value.u.tensor.flags & KILN_HAS_CAPACITY)
    return makeError(ErrorCode::E0704, what, " has a capacity, which is for outputs of a run");
  if (!isDense(value.u.tensor))
    return makeError(ErrorCode::E0704, what, " is not dense; strides are for inputs and outputs of a run");
  return view;
}

namespace {

/// A value of the library's, with what its items point to.
struct Owned {
  std::vector<Tensor> tensors;
  std::vector<kiln_value> items;
};

/// A tensor in memory that something else owns.
kiln_value tensorValue(void *data, DType dtype, std::span<const int64_t> dims) {
  kiln_value value = KILN_VALUE_INIT;
  value.kind = KILN_TENSOR;
  value.u.tensor = {data, dims.data(), int32_t(dims.size()), int32_t(dtype), KILN_HOST, 0, nullptr, 0};
  return value;
}

void own(kiln_value &value, std::unique_ptr<Owned> owned) {
  value.release = [](kiln_value *released) { delete static_cast<Owned *>(released->owner); };
  value.owner = owned.release();
}

kiln_value sequenceOf(std::unique_ptr<Owned> owned) {
  kiln_value value = KILN_VALUE_INIT;
  value.kind = KILN_SEQUENCE;
  value.u.sequence = {owned->items.data(), owned->items.size()};
  own(value, std::move(owned));
  return value;
}

std::unique_ptr<Owned> ownedOf(Tensor tensor) {
  auto owned = std::make_unique<Owned>();
  owned->tensors.push_back(std::move(tensor));
  return owned;
}

} // namespace

kiln_value kiln::api::giveTensor(Tensor tensor) {
  std::unique_ptr<Owned> owned = ownedOf(std::move(tensor));
  const Tensor &whole = owned->tensors[0];
  kiln_value value = tensorValue(whole.data(), whole.dtype(), whole.dims());
  own(value, std::move(owned));
  return value;
}

kiln_value kiln::api::giveItem(Tensor stacked) {
  std::unique_ptr<Owned> owned = ownedOf(std::move(stacked));
  const Tensor &whole = owned->tensors[0];
  kiln_value value = tensorValue(whole.data(), whole.dtype(), whole.dims().subspan(1));
  own(value, std::move(owned));
  return value;
}

kiln_value kiln::api::giveSequence(std::vector<Tensor> items) {
  auto owned = std::make_unique<Owned>();
  owned->tensors = std::move(items);
  for (const Tensor &item : owned->tensors)
    owned->items.push_back(tensorValue(item.data(), item.dtype(), item.dims()));
  return sequenceOf(std::move(owned));
}

kiln_value kiln::api::giveStacked(Tensor stacked, size_t leadingDims) {
  std::unique_ptr<Owned> owned = ownedOf(std::move(stacked));
  const Tensor &whole = owned->tensors[0];
  int64_t count = whole.dims()[leadingDims - 1], bytes = count > 0 ? whole.bytes() / count : 0;
  for (int64_t i = 0; i < count; ++i)
    owned->items.push_back(tensorValue(whole.as<char>() + i * bytes, whole.dtype(), whole.dims().subspan(leadingDims)));
  return sequenceOf(std::move(owned));
}

extern "C" {

uint32_t kiln_api_version(void) { return KILN_API_VERSION; }
const char *kiln_version(void) { return KILN_VERSION; }

void kiln_status_clear(kiln_status *status) {
  if (!status || status->size < sizeof(kiln_status))
    return;
  std::free(status->message);
  status->message = nullptr;
  status->code = 0;
}

const char *kiln_dtype_name(int32_t dtype) {
  std::optional<DType> known = dtypeFromCode(uint64_t(int64_t(dtype)));
  return known ? dtypeName(*known).data() : nullptr; // names are literals, so they end in NUL
}

size_t kiln_dtype_bytes(int32_t dtype) {
  std::optional<DType> known = dtypeFromCode(uint64_t(int64_t(dtype)));
  return known ? size_t(dtypeBytes(*known)) : 0;
}

void kiln_value_release(kiln_value *value) {
  if (!value)
    return;
  if (value->release)
    value->release(value);
  std::memset(value, 0, sizeof *value);
}

void kiln_bytes_release(kiln_bytes *bytes) {
  if (!bytes)
    return;
  if (bytes->release)
    bytes->release(bytes->owner);
  *bytes = KILN_BYTES_INIT;
}

int32_t kiln_available_cpus(void) { return availableCpus(); }

} // extern "C"
