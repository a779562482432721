// kiln run: one run, a summary of the outputs, and their values as .npy files.

#include "runtime/base/Float16.h"
#include "tools/kiln/Cli.h"
#include "tools/kiln/Npy.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>

namespace kiln::tools {

static double element(const kiln_tensor &tensor, size_t i) {
  switch (tensor.dtype) {
  case KILN_F32: return static_cast<const float *>(tensor.data)[i];
  case KILN_F64: return static_cast<const double *>(tensor.data)[i];
  case KILN_F16: return f16ToFloat(static_cast<const uint16_t *>(tensor.data)[i]);
  case KILN_BF16: return bf16ToFloat(static_cast<const uint16_t *>(tensor.data)[i]);
  case KILN_I8: return static_cast<const int8_t *>(tensor.data)[i];
  case KILN_U8:
  case KILN_BOOL: return static_cast<const uint8_t *>(tensor.data)[i];
  case KILN_I16: return static_cast<const int16_t *>(tensor.data)[i];
  case KILN_U16: return static_cast<const uint16_t *>(tensor.data)[i];
  case KILN_I32: return static_cast<const int32_t *>(tensor.data)[i];
  case KILN_U32: return static_cast<const uint32_t *>(tensor.data)[i];
  case KILN_I64: return static_cast<double>(static_cast<const int64_t *>(tensor.data)[i]);
  default: return static_cast<double>(static_cast<const uint64_t *>(tensor.data)[i]);
  }
}

/// "y f32[1,10]  min -3.1 max 9.2 mean 0.4  [1.5, 2.25, ...]"
static void summarize(const std::string &name, const kiln_tensor &tensor) {
  size_t count = 1;
  std::string dims;
  for (int32_t i = 0; i < tensor.rank; ++i) {
    count *= static_cast<size_t>(tensor.dims[i]);
    dims += (i ? "," : "") + std::to_string(tensor.dims[i]);
  }
  printf("%s %s[%s]", name.c_str(), kiln_dtype_name(tensor.dtype), dims.c_str());
  double low = INFINITY, high = -INFINITY, sum = 0;
  size_t nans = 0;
  for (size_t i = 0; i < count; ++i) {
    double value = element(tensor, i);
    if (std::isnan(value)) {
      ++nans;
      continue;
    }
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
  }
  if (count > nans)
    printf("  min %.6g  max %.6g  mean %.6g", low, high, sum / static_cast<double>(count - nans));
  if (nans)
    printf("  NaN %zu", nans);
  printf("  [");
  for (size_t i = 0; i < count && i < 6; ++i)
    printf("%s%.6g", i ? ", " : "", element(tensor, i));
  printf("%s]\n", count > 6 ? ", ..." : "");
}

/// A file name for an output whose name may hold anything: other characters than letters, digits and "._-" become %XX,
/// so that distinct names get distinct files.
static std::string fileName(const std::string &name) {
  if (name.empty())
    return "%";
  std::string result;
  for (char c : name) {
    bool kept = isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || (c == '.' && !result.empty());
    char code[4];
    snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    result += kept ? std::string(1, c) : code;
  }
  return result;
}

int runCommand(const RunArguments &arguments) {
  Model model = loadOrCompile(arguments.compile);
  kiln_status status = KILN_STATUS_INIT;
  if (arguments.verify)
    kiln_model_verify(model.get(), &status);
  check(status);
  if (!arguments.outputDirectory.empty() && mkdir(arguments.outputDirectory.c_str(), 0777) != 0 && errno != EEXIST)
    fail(Failed, arguments.outputDirectory + ": cannot be made: " + strerror(errno) + " [KILN-E0106]");
  std::vector<Value> inputs = makeInputs(model.get(), arguments.compile, arguments.inputs);
  std::vector<kiln_value> values;
  std::string madeUp;
  for (const Value &input : inputs) {
    values.push_back(input.view());
    if (input.madeUp)
      madeUp += (madeUp.empty() ? "" : ", ") + input.name + " " + input.type();
  }
  if (!madeUp.empty())
    fprintf(stderr, "note: made-up inputs: %s\n", madeUp.c_str());

  kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
  options.threads = arguments.compile.threads;
  kiln_context *raw = nullptr;
  kiln_context_create(model.get(), &options, &raw, &status);
  check(status);
  Context context(raw);
  std::vector<Port> ports = outputsOf(model.get());
  std::vector<kiln_value> outputs(ports.size());
  kiln_context_run(raw, values.data(), values.size(), outputs.data(), outputs.size(), nullptr, &status);
  check(status);

  std::string error;
  for (size_t i = 0; i < ports.size(); ++i) {
    const kiln_tensor &tensor = outputs[i].u.tensor;
    summarize(ports[i].name, tensor);
    if (!arguments.outputDirectory.empty() && error.empty()) {
      std::string path = arguments.outputDirectory + "/" + fileName(ports[i].name) + ".npy";
      error = formatError(
          writeNpy(path, kiln_dtype_name(tensor.dtype), {tensor.dims, tensor.dims + tensor.rank}, tensor.data));
    }
    kiln_value_release(&outputs[i]);
  }
  if (!error.empty())
    fail(Failed, error);
  return Success;
}

} // namespace kiln::tools
