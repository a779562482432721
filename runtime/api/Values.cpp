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

static void releaseTensor(kiln_value *value) { delete static_cast<Tensor *>(value->owner); }

kiln_value kiln::api::giveTensor(Tensor tensor) {
  auto *owned = new Tensor(std::move(tensor));
  kiln_value value = KILN_VALUE_INIT;
  value.kind = KILN_TENSOR;
  value.u.tensor = {owned->data(),
                    owned->dims().data(),
                    int32_t(owned->dims().size()),
                    int32_t(owned->dtype()),
                    KILN_HOST,
                    0,
                    nullptr,
                    0};
  value.release = releaseTensor;
  value.owner = owned;
  return value;
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
