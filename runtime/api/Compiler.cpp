// The door to the compiler library: found beside libkiln, loaded on first need, and known to us by
// one function.
#include "kiln/compiler.h"

#include "runtime/api/Handles.h"

#include <cstddef>
#include <dlfcn.h>
#include <span>

using namespace kiln;
using namespace kiln::api;

namespace {

constexpr const char *libraryName = "libkiln-compiler.so";
constexpr const char *entryName = "kiln_compiler_compile_v2";

Result<kiln_compiler_compile_v2_fn> loadCompiler() {
  Dl_info self;
  if (!::dladdr(reinterpret_cast<const void *>(&kiln_api_version), &self) || !self.dli_fname)
    return makeError(ErrorCode::E0705, "the place of libkiln is not known");
  std::string path = self.dli_fname;
  size_t slash = path.rfind('/');
  path = (slash == std::string::npos ? std::string() : path.substr(0, slash + 1)) + libraryName;
  void *library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = ::dlerror();
    return makeError(ErrorCode::E0705, "the compiler library cannot be loaded: ", why ? why : path.c_str());
  }
  void *entry = ::dlsym(library, entryName);
  if (!entry)
    return makeError(ErrorCode::E0705, path, " has no ", entryName, ": it is of another version");
  return reinterpret_cast<kiln_compiler_compile_v2_fn>(entry);
}

/// Once per process: success and failure alike stay.
const Result<kiln_compiler_compile_v2_fn> &compiler() {
  static const Result<kiln_compiler_compile_v2_fn> loaded = loadCompiler();
  return loaded;
}

int compile(std::span<const kiln_compile_model> models, const kiln_compile_options *options, const char *output_path,
            kiln_bytes *artifact, kiln_status *status) {
  kiln_status compiled = KILN_STATUS_INIT;
  int ours = guarded(status, [&]() -> Status {
    if (!output_path == !artifact)
      return makeError(ErrorCode::E0704, "exactly one of 'output_path' and 'artifact' must be given");
    if (artifact)
      *artifact = KILN_BYTES_INIT;
    kiln_compile_options full = KILN_COMPILE_OPTIONS_INIT;
    KILN_TRY(takeSized(options, full, offsetof(kiln_compile_options, choice_seed)));
    kiln_compile_request request = {sizeof request, models.data(), models.size(), output_path, &full};
    if (!compiler().ok())
      return compiler().status();
    (*compiler())(&request, artifact, &compiled);
    return Status();
  });
  if (ours || !compiled.code)
    return ours;
  if (status) {
    status->code = compiled.code;
    status->message = compiled.message; // ours to free: both libraries share the C library
  } else {
    kiln_status_clear(&compiled);
  }
  return compiled.code;
}

} // namespace

extern "C" {

int kiln_compile_file(const char *model_path, const kiln_compile_options *options, const char *output_path,
                      kiln_bytes *artifact, kiln_status *status) {
  if (!model_path)
    return report(status, nullArgument("model_path"));
  kiln_compile_model model = KILN_COMPILE_MODEL_INIT;
  model.path = model_path;
  return compile({&model, 1}, options, output_path, artifact, status);
}

int kiln_compile_bytes(const void *data, size_t model_size, const char *base_dir, const kiln_compile_options *options,
                       const char *output_path, kiln_bytes *artifact, kiln_status *status) {
  if (!data)
    return report(status, nullArgument("model"));
  kiln_compile_model model = KILN_COMPILE_MODEL_INIT;
  model.data = data;
  model.data_size = model_size;
  model.base_dir = base_dir;
  return compile({&model, 1}, options, output_path, artifact, status);
}

int kiln_compile_models(const kiln_compile_model *models, size_t count, const kiln_compile_options *options,
                        const char *output_path, kiln_bytes *artifact, kiln_status *status) {
  if (!models && count > 0)
    return report(status, nullArgument("models"));
  return compile({models, count}, options, output_path, artifact, status);
}

int kiln_compiler_available(kiln_status *status) {
  return guarded(status, [&]() -> Status { return compiler().status(); });
}

} // extern "C"
