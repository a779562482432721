#include "runtime/api/Handles.h"

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
