// kiln run: one run, a summary of the outputs, and their values as .npy files.

#include "runtime/base/Float16.h"
#include "tools/kiln/Cli.h"
#include "tools/kiln/Npy.h"

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

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

// What the signal handler says of the run under way: one line per step, ready to be written.
static kiln_context *crashingContext = nullptr;
static std::vector<std::string> crashLines;

static void reportCrash(int) {
  int64_t step = kiln_context_current_step(crashingContext);
  if (step >= 0 && static_cast<size_t>(step) < crashLines.size()) {
    const std::string &line = crashLines[static_cast<size_t>(step)];
    ssize_t ignored = write(STDERR_FILENO, line.data(), line.size());
    static_cast<void>(ignored);
  }
}

/// From now on a fault names the step that it happened in; the process still ends by its signal.
static void nameStepsOfCrashes(const kiln_model *model, kiln_context *context) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model_info info = KILN_MODEL_INFO_INIT;
  kiln_model_get_info(model, &info, &status);
  check(status);
  for (uint32_t i = 0; i < info.step_count; ++i) {
    kiln_step_info step = KILN_STEP_INFO_INIT;
    kiln_model_get_step(model, i, &step, &status);
    check(status);
    crashLines.push_back("kiln: node \"" + std::string(step.node) + "\" (step " + std::to_string(i) + ", " +
                         step.operation + ") touched memory outside its buffers [KILN-E0905]\n");
  }
  crashingContext = context;
  struct sigaction action = {};
  action.sa_handler = reportCrash;
  action.sa_flags = static_cast<int>(SA_RESETHAND); // the access is tried again, and kills
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
}

int runCommand(const RunArguments &arguments) {
  Model model = loadOrCompile(withBound(arguments.compile, arguments.constants));
  kiln_status status = KILN_STATUS_INIT;
  if (arguments.verify)
    kiln_model_verify(model.get(), &status);
  check(status);
  if (!arguments.outputDirectory.empty() && mkdir(arguments.outputDirectory.c_str(), 0777) != 0 && errno != EEXIST)
    fail(Failed, arguments.outputDirectory + ": cannot be made: " + strerror(errno) + " [KILN-E0106]");
  size_t entry = findEntry(model.get(), arguments.entry);
  std::vector<Value> constants = bindConstants(model.get(), arguments.constants);
  Inputs inputs = makeInputs(model.get(), entry, arguments.compile, arguments.inputs);
  std::vector<kiln_value> values;
  std::string madeUp;
  for (Value &input : inputs.values) {
    values.push_back(input.view());
    if (input.madeUp)
      madeUp += (madeUp.empty() ? "" : ", ") + input.name + " " + input.type();
  }
  if (!madeUp.empty())
    fprintf(stderr, "note: made-up inputs: %s\n", madeUp.c_str());

  kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
  options.threads = arguments.compile.threads;
  options.guard_pages = arguments.guardPages;
  kiln_context *raw = nullptr;
  kiln_context_create(model.get(), &options, &raw, &status);
  check(status);
  Context context(raw);
  if (arguments.guardPages)
    nameStepsOfCrashes(model.get(), raw);
  std::vector<Port> ports = outputsOf(model.get(), entry);
  std::vector<kiln_value> outputs(ports.size());
  kiln_run_options run = KILN_RUN_OPTIONS_INIT;
  run.entry = entry;
  run.state = inputs.state.get();
  kiln_context_run(raw, values.data(), values.size(), outputs.data(), outputs.size(), &run, &status);
  check(status);
  for (const EntryState &port : statesOf(model.get(), entry))
    if (port.writes) {
      kiln_state_get(inputs.state.get(), port.name.c_str(), &outputs.emplace_back(), &status);
      check(status);
      ports.push_back(port);
    }

  std::string error;
  auto show = [&](const std::string &name, const std::string &file, const kiln_tensor &tensor) {
    summarize(name, tensor);
    if (!arguments.outputDirectory.empty() && error.empty()) {
      std::string path = arguments.outputDirectory + "/" + npyFileName(file) + ".npy";
      error = formatError(
          writeNpy(path, kiln_dtype_name(tensor.dtype), {tensor.dims, tensor.dims + tensor.rank}, tensor.data));
    }
  };
  for (size_t i = 0; i < ports.size(); ++i) {
    if (outputs[i].kind == KILN_TENSOR)
      show(ports[i].name, ports[i].name, outputs[i].u.tensor);
    else if (outputs[i].kind == KILN_NONE)
      printf("%s absent\n", ports[i].name.c_str());
    else
      printf("%s sequence of %s\n", ports[i].name.c_str(), counted(outputs[i].u.sequence.count, "tensor").c_str());
    for (size_t k = 0; outputs[i].kind == KILN_SEQUENCE && k < outputs[i].u.sequence.count; ++k) {
      std::string number = std::to_string(k);
      show(ports[i].name + "[" + number + "]", ports[i].name + "." + number, outputs[i].u.sequence.items[k].u.tensor);
    }
    kiln_value_release(&outputs[i]);
  }
  if (!error.empty())
    fail(Failed, error);
  return Success;
}

} // namespace kiln::tools
