// The extension module kiln._kiln: the C API as Python objects. Knows of memory and threads; names, checks and
// conversions of arguments are Python (kiln/_model.py).
#include "kiln/compiler.h"
#include "kiln/runtime.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace nb = nanobind;

namespace {

struct Status : kiln_status {
  Status() : kiln_status(KILN_STATUS_INIT) {}
  ~Status() { kiln_status_clear(this); }
  Status(const Status &) = delete;
};

/// Raises the Python exception for a failed call.
void check(int failed, const Status &status) {
  if (!failed)
    return;
  nb::object make = nb::module_::import_("kiln._errors").attr("make");
  nb::object error = make(status.code, status.message ? status.message : "unknown error");
  PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error.ptr())), error.ptr());
  throw nb::python_error();
}

/// Element types by their numpy names.
const std::map<std::string, int32_t> &dtypes() {
  static const std::map<std::string, int32_t> table = {
      {"float32", KILN_F32}, {"float64", KILN_F64}, {"float16", KILN_F16}, {"bfloat16", KILN_BF16},
      {"int8", KILN_I8},     {"int16", KILN_I16},   {"int32", KILN_I32},   {"int64", KILN_I64},
      {"uint8", KILN_U8},    {"uint16", KILN_U16},  {"uint32", KILN_U32},  {"uint64", KILN_U64},
      {"bool", KILN_BOOL}};
  return table;
}

const char *numpyName(int32_t dtype) {
  for (const auto &[name, number] : dtypes())
    if (number == dtype)
      return name.c_str();
  return "void";
}

using Port = std::tuple<std::string, std::string, nb::list>;

class Model {
public:
  explicit Model(kiln_model *model = nullptr) : model(model) {}
  ~Model() { kiln_model_release(model); }
  Model(const Model &) = delete;

  std::vector<Port> ports(bool inputs) const {
    Status status;
    kiln_model_info info = {};
    info.size = sizeof info;
    check(kiln_model_get_info(model, &info, &status), status);
    std::vector<Port> ports;
    for (size_t i = 0; i < (inputs ? info.input_count : info.output_count); ++i) {
      kiln_port_info port = {};
      port.size = sizeof port;
      check((inputs ? kiln_model_get_input : kiln_model_get_output)(model, i, &port, &status), status);
      nb::list dims;
      for (int32_t d = 0; d < port.rank; ++d) {
        if (port.dims[d].value >= 0)
          dims.append(port.dims[d].value);
        else
          dims.append(port.dims[d].text);
      }
      ports.emplace_back(port.name, numpyName(port.dtype), dims);
    }
    return ports;
  }

  void save(const nb::bytes &path) const {
    Status status;
    int failed = 0;
    {
      nb::gil_scoped_release unlocked;
      failed = kiln_model_save(model, path.c_str(), &status);
    }
    check(failed, status);
  }

  kiln_model *model;
};

/// Runs a model with a number of threads; holds as many contexts as there were concurrent runs.
class Runner {
public:
  Runner(std::shared_ptr<Model> handle, int32_t threads, bool guardPages)
      : model(std::move(handle)), threads(threads), guardPages(guardPages), outputCount(model->ports(false).size()) {}
  ~Runner() {
    for (kiln_context *context : idle)
      kiln_context_release(context);
  }

  using Input = std::tuple<uintptr_t, std::string, std::vector<int64_t>>;
  using Bytes = nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>>;

  std::vector<std::pair<Bytes, nb::tuple>> run(const std::vector<Input> &inputs) {
    std::vector<kiln_value> values(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto &[address, dtype, dims] = inputs[i];
      auto known = dtypes().find(dtype);
      values[i] = {};
      values[i].kind = KILN_TENSOR;
      values[i].u.tensor = {reinterpret_cast<void *>(address),           dims.data(), int32_t(dims.size()),
                            known == dtypes().end() ? 0 : known->second, KILN_HOST,   0};
    }
    std::vector<kiln_value> results(outputCount);
    Status status;
    int failed = 0;
    {
      nb::gil_scoped_release unlocked;
      kiln_context *context = acquire(failed, status);
      if (!failed) {
        failed =
            kiln_context_run(context, values.data(), values.size(), results.data(), results.size(), nullptr, &status);
        std::lock_guard lock(mutex);
        idle.push_back(context);
      }
    }
    check(failed, status);
    std::vector<std::pair<Bytes, nb::tuple>> arrays;
    for (kiln_value &result : results)
      arrays.push_back(take(result));
    return arrays;
  }

private:
  kiln_context *acquire(int &failed, Status &status) {
    {
      std::lock_guard lock(mutex);
      if (!idle.empty()) {
        kiln_context *context = idle.back();
        idle.pop_back();
        return context;
      }
    }
    kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    options.guard_pages = guardPages;
    kiln_context *context = nullptr;
    failed = kiln_context_create(model->model, &options, &context, &status);
    return context;
  }

  /// The bytes of a result as an array that frees them, and the dims.
  static std::pair<Bytes, nb::tuple> take(kiln_value &result) {
    auto *owned = new kiln_value(result);
    nb::capsule owner(owned, [](void *p) noexcept {
      kiln_value_release(static_cast<kiln_value *>(p));
      delete static_cast<kiln_value *>(p);
    });
    const kiln_tensor &tensor = owned->u.tensor;
    size_t bytes = kiln_dtype_bytes(tensor.dtype);
    nb::list dims;
    for (int32_t d = 0; d < tensor.rank; ++d) {
      dims.append(tensor.dims[d]);
      bytes *= size_t(tensor.dims[d]);
    }
    static uint8_t nothing;
    void *data = bytes ? tensor.data : &nothing;
    return {Bytes(data, {bytes}, owner), nb::tuple(dims)};
  }

  std::shared_ptr<Model> model;
  int32_t threads;
  bool guardPages;
  size_t outputCount;
  std::mutex mutex;
  std::vector<kiln_context *> idle;
};

std::shared_ptr<Model> loadFile(const nb::bytes &path, bool verify) {
  Status status;
  kiln_model *model = nullptr;
  int failed = 0;
  {
    nb::gil_scoped_release unlocked;
    failed = kiln_model_load_file(path.c_str(), &model, &status);
  }
  check(failed, status);
  auto loaded = std::make_shared<Model>(model);
  if (verify) {
    nb::gil_scoped_release unlocked;
    failed = kiln_model_verify(model, &status);
  }
  check(failed, status);
  return loaded;
}

/// Calls `work(stop)` without the GIL. It runs on a thread of its own while this one looks out for signals, whose
/// handlers Python runs on its main thread: what one raises (KeyboardInterrupt) sets `stop`, and is raised when `work`
/// has ended.
template <typename Work> void interruptible(Work work) {
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::thread worker;
  try {
    worker = std::thread([&] {
      work(stop);
      std::lock_guard lock(mutex);
      done = true;
      changed.notify_all();
    });
  } catch (const std::system_error &) { // no thread to be had
    nb::gil_scoped_release unlocked;
    return work(stop);
  }
  auto finished = [&] {
    nb::gil_scoped_release unlocked;
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::milliseconds(20), [&] { return done; });
  };
  while (!finished())
    if (!stop && PyErr_CheckSignals() != 0)
      stop = true;
  worker.join();
  if (stop)
    throw nb::python_error();
}

/// A compiler's warning becomes a Python warning once the GIL is back.
void collectWarning(void *context, kiln_severity severity, const char *message) {
  if (severity >= KILN_WARNING)
    static_cast<std::vector<std::string> *>(context)->push_back(message);
}

std::vector<const char *> pointersOf(const std::vector<std::string> &texts) {
  std::vector<const char *> pointers;
  for (const std::string &text : texts)
    pointers.push_back(text.c_str());
  return pointers;
}

template <typename Compile> std::shared_ptr<Model> compileWith(const nb::dict &dict, Compile compile) {
  auto target = nb::cast<std::string>(dict["target"]);
  auto precision = nb::cast<std::string>(dict["precision"]);
  auto shapes = nb::cast<std::vector<std::string>>(dict["shapes"]);
  auto cache = nb::cast<std::optional<nb::bytes>>(dict["cache"]);
  auto dumpDirectory = nb::cast<std::optional<nb::bytes>>(dict["dump_dir"]);
  auto without = nb::cast<std::vector<std::string>>(dict["without"]),
       extra = nb::cast<std::vector<std::string>>(dict["dump"]);
  std::vector<const char *> shapeTexts = pointersOf(shapes), withoutTexts = pointersOf(without),
                            extraTexts = pointersOf(extra);
  std::vector<std::string> warnings;
  kiln_compile_options options = KILN_COMPILE_OPTIONS_INIT;
  options.target = target.c_str();
  options.precision = precision.c_str();
  options.shapes = shapeTexts.data();
  options.shape_count = shapeTexts.size();
  options.cache = cache ? cache->c_str() : nullptr;
  options.threads = nb::cast<int32_t>(dict["threads"]);
  options.require_compiled = nb::cast<bool>(dict["require_compiled"]);
  options.dump_dir = dumpDirectory ? dumpDirectory->c_str() : nullptr;
  auto optLimit = nb::cast<std::optional<int64_t>>(dict["opt_limit"]);
  options.has_opt_limit = optLimit.has_value();
  options.opt_limit = optLimit.value_or(0);
  options.choice_seed = nb::cast<uint64_t>(dict["choice_seed"]);
  options.without = withoutTexts.data();
  options.without_count = withoutTexts.size();
  options.extra_outputs = extraTexts.data();
  options.extra_output_count = extraTexts.size();
  options.diagnostic = collectWarning;
  options.diagnostic_context = &warnings;
  options.progress = [](void *context, const char *, uint64_t, uint64_t) {
    return int(static_cast<std::atomic<bool> *>(context)->load());
  };
  Status status;
  auto result = std::make_shared<Model>();
  int failed = 0;
  interruptible([&](std::atomic<bool> &stop) {
    options.progress_context = &stop;
    kiln_bytes artifact = KILN_BYTES_INIT;
    failed = compile(options, artifact, status);
    if (!failed)
      failed = kiln_model_take_bytes(&artifact, &result->model, &status);
  });
  check(failed, status);
  for (const std::string &warning : warnings)
    if (PyErr_WarnEx(PyExc_RuntimeWarning, warning.c_str(), 3) != 0)
      throw nb::python_error();
  return result;
}

} // namespace

NB_MODULE(_kiln, m) {
  nb::class_<Model>(m, "Handle")
      .def("inputs", [](const Model &model) { return model.ports(true); })
      .def("outputs", [](const Model &model) { return model.ports(false); })
      .def("save", &Model::save);
  nb::class_<Runner>(m, "Runner").def(nb::init<std::shared_ptr<Model>, int32_t, bool>()).def("run", &Runner::run);
  m.def("load_file", loadFile);
  m.def("compile_file", [](const nb::bytes &path, const nb::dict &options) {
    return compileWith(options, [&](const kiln_compile_options &o, kiln_bytes &artifact, Status &status) {
      return kiln_compile_file(path.c_str(), &o, nullptr, &artifact, &status);
    });
  });
  m.def("compile_bytes", [](const nb::bytes &model, const nb::dict &options) {
    return compileWith(options, [&](const kiln_compile_options &o, kiln_bytes &artifact, Status &status) {
      return kiln_compile_bytes(model.c_str(), model.size(), nullptr, &o, nullptr, &artifact, &status);
    });
  });
  m.def("version", &kiln_version);
}
