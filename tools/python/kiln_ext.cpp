// The extension module kiln._kiln: the C API as Python objects. Knows of memory and threads; names, checks and
// conversions of arguments are Python (kiln/_model.py).
#include "kiln/compiler.h"
#include "kiln/runtime.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
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

/// Name, element type, dims (none where the items of a sequence differ in rank), a kiln_port_kind, the length of a
/// sequence that has a known one (else -1), and the axis that a state grows along (else -1).
using Port = std::tuple<std::string, std::string, nb::object, int32_t, int32_t, int32_t>;

/// The library's structures, empty, as functions that fill them want them.
template <typename T> T sized() {
  T value = {};
  value.size = sizeof value;
  return value;
}

Port describe(const kiln_port_info &port) {
  nb::list dims;
  for (int32_t d = 0; d < port.rank; ++d) {
    if (port.dims[d].value >= 0)
      dims.append(port.dims[d].value);
    else
      dims.append(port.dims[d].text);
  }
  return {port.name, numpyName(port.dtype), port.rank < 0 ? nb::object(nb::none()) : dims,
          port.kind, port.length,           port.growing};
}

/// An array as the library takes it: address, type, dims. The caller keeps it alive.
using Array = std::tuple<uintptr_t, std::string, std::vector<int64_t>>;

class Model {
public:
  explicit Model(kiln_model *model = nullptr) : model(model) {}
  ~Model() { kiln_model_release(model); }
  Model(const Model &) = delete;

  /// Name, inputs, outputs, and the numbers of the states that it reads or writes.
  using Entry = std::tuple<std::string, std::vector<Port>, std::vector<Port>, std::vector<uint32_t>>;

  std::vector<Entry> entries() const {
    Status status;
    auto info = sized<kiln_model_info>();
    check(kiln_model_get_info(model, &info, &status), status);
    std::vector<Entry> entries;
    for (size_t e = 0; e < info.entry_count; ++e) {
      auto entry = sized<kiln_entry_info>();
      check(kiln_model_get_entry(model, e, &entry, &status), status);
      std::vector<Port> inputs, outputs;
      std::vector<uint32_t> states;
      auto port = sized<kiln_port_info>();
      for (size_t i = 0; i < entry.input_count; ++i) {
        check(kiln_model_get_entry_input(model, e, i, &port, &status), status);
        inputs.push_back(describe(port));
      }
      for (size_t i = 0; i < entry.output_count; ++i) {
        check(kiln_model_get_entry_output(model, e, i, &port, &status), status);
        outputs.push_back(describe(port));
      }
      for (size_t i = 0; i < entry.state_count; ++i) {
        auto state = sized<kiln_entry_state_info>();
        check(kiln_model_get_entry_state(model, e, i, &state, &status), status);
        states.push_back(state.state);
      }
      entries.emplace_back(entry.name, std::move(inputs), std::move(outputs), std::move(states));
    }
    return entries;
  }

  std::vector<Port> states() const {
    Status status;
    auto info = sized<kiln_model_info>();
    check(kiln_model_get_info(model, &info, &status), status);
    std::vector<Port> states;
    for (size_t i = 0; i < info.state_count; ++i) {
      auto port = sized<kiln_port_info>();
      check(kiln_model_get_state(model, i, &port, &status), status);
      states.push_back(describe(port));
    }
    return states;
  }

  /// What the host binds: name, type and dims, and whether it is bound.
  std::vector<std::pair<Port, bool>> constants() const {
    Status status;
    auto info = sized<kiln_model_info>();
    check(kiln_model_get_info(model, &info, &status), status);
    std::vector<std::pair<Port, bool>> constants;
    for (size_t i = 0; i < info.constant_count; ++i) {
      auto constant = sized<kiln_constant_info>();
      check(kiln_model_get_constant(model, i, &constant, &status), status);
      if (constant.source != KILN_CONSTANT_BOUND)
        continue;
      nb::list dims;
      for (int32_t d = 0; d < constant.rank; ++d)
        dims.append(constant.dims[d]);
      constants.emplace_back(Port{constant.name, numpyName(constant.dtype), dims, KILN_PORT_TENSOR, -1, -1},
                             constant.is_bound != 0);
    }
    return constants;
  }

  void bind(const std::vector<std::tuple<std::string, Array, nb::object>> &given) const;

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

using Bytes = nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>>;

kiln_value valueOf(const Array &array) {
  const auto &[address, dtype, dims] = array;
  auto known = dtypes().find(dtype);
  kiln_value value = {};
  value.kind = KILN_TENSOR;
  value.u.tensor = {reinterpret_cast<void *>(address),           dims.data(), int32_t(dims.size()),
                    known == dtypes().end() ? 0 : known->second, KILN_HOST,   0};
  return value;
}

/// Arrays with the objects that own them, which stay alive for as long as the library reads them.
void Model::bind(const std::vector<std::tuple<std::string, Array, nb::object>> &given) const {
  std::vector<kiln_named_value> values;
  for (const auto &[name, array, owner] : given) {
    values.push_back({name.c_str(), valueOf(array)});
    values.back().value.owner = nb::object(owner).release().ptr();
    values.back().value.release = [](kiln_value *value) { // on any thread
      if (!Py_IsInitialized())
        return;
      nb::gil_scoped_acquire locked;
      Py_DECREF(static_cast<PyObject *>(value->owner));
    };
  }
  Status status;
  int failed = 0;
  {
    nb::gil_scoped_release unlocked;
    failed = kiln_model_bind_constants(model, values.data(), values.size(), &status);
  }
  for (kiln_named_value &value : values) // what an error left here
    kiln_value_release(&value.value);
  check(failed, status);
}

/// What a run is given: an array for a tensor, a list of them for a sequence, None for an absent optional.
class Given {
public:
  explicit Given(const nb::list &inputs) {
    for (nb::handle input : inputs) {
      kiln_value &value = values.emplace_back();
      value = KILN_VALUE_INIT;
      if (nb::isinstance<nb::list>(input)) {
        std::vector<kiln_value> &items = lists.emplace_back();
        for (nb::handle item : input)
          items.push_back(tensorOf(item));
        value.kind = KILN_SEQUENCE;
        value.u.sequence = {items.data(), items.size()};
      } else if (!input.is_none()) {
        value = tensorOf(input);
      }
    }
  }
  std::vector<kiln_value> values;

private:
  kiln_value tensorOf(nb::handle array) { return valueOf(arrays.emplace_back(nb::cast<Array>(array))); }

  std::deque<Array> arrays; // whose dims the values point to
  std::deque<std::vector<kiln_value>> lists;
};

/// The bytes of a tensor as an array that keeps their owner alive, and the dims.
std::pair<Bytes, nb::tuple> arrayOf(const kiln_tensor &tensor, const nb::capsule &owner) {
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

nb::capsule ownerOf(kiln_value *owned) {
  return nb::capsule(owned, [](void *p) noexcept {
    kiln_value_release(static_cast<kiln_value *>(p));
    delete static_cast<kiln_value *>(p);
  });
}

std::pair<Bytes, nb::tuple> take(kiln_value &result) {
  auto *owned = new kiln_value(result);
  return arrayOf(owned->u.tensor, ownerOf(owned));
}

/// The same of any value: None, or a list for a sequence.
nb::object takeAny(kiln_value &result) {
  if (result.kind == KILN_NONE)
    return nb::none();
  if (result.kind == KILN_TENSOR)
    return nb::cast(take(result));
  auto *owned = new kiln_value(result);
  nb::capsule owner = ownerOf(owned);
  nb::list items;
  for (size_t i = 0; i < owned->u.sequence.count; ++i)
    items.append(arrayOf(owned->u.sequence.items[i].u.tensor, owner));
  return items;
}

/// Values of a model's states.
class State {
public:
  explicit State(kiln_state *state) : state(state) {}
  State(const Model &model, const std::map<std::string, int64_t> &values) {
    std::vector<kiln_size> sizes;
    for (const auto &[name, value] : values)
      sizes.push_back({name.c_str(), value});
    Status status;
    check(kiln_state_create(model.model, sizes.data(), sizes.size(), &state, &status), status);
  }
  ~State() { kiln_state_release(state); }
  State(const State &) = delete;

  std::pair<Bytes, nb::tuple> get(const std::string &name) const {
    Status status;
    kiln_value value = KILN_VALUE_INIT;
    check(kiln_state_get(state, name.c_str(), &value, &status), status);
    return take(value);
  }
  void set(const std::string &name, const Array &array) const {
    Status status;
    kiln_value value = valueOf(array);
    check(kiln_state_set(state, name.c_str(), &value, &status), status);
  }
  void reserve(const std::optional<std::string> &name, int64_t capacity) const {
    Status status;
    check(kiln_state_reserve(state, name ? name->c_str() : nullptr, capacity, &status), status);
  }
  void resize(const std::optional<std::string> &name, int64_t length) const {
    Status status;
    check(kiln_state_resize(state, name ? name->c_str() : nullptr, length, &status), status);
  }
  void reset(const std::optional<std::string> &name) const {
    Status status;
    check(kiln_state_reset(state, name ? name->c_str() : nullptr, &status), status);
  }
  bool valid(const std::string &name) const {
    Status status;
    int valid = 0;
    check(kiln_state_is_valid(state, name.c_str(), &valid, &status), status);
    return valid != 0;
  }
  std::shared_ptr<State> copy() const {
    Status status;
    kiln_state *other = nullptr;
    check(kiln_state_copy(state, &other, &status), status);
    return std::make_shared<State>(other);
  }

  kiln_state *state = nullptr;
  std::atomic<int64_t> bytesCopied{0}; ///< by the last run
};

/// Runs a model with a number of threads; holds as many contexts as there were concurrent runs.
class Runner {
public:
  Runner(std::shared_ptr<Model> handle, int32_t threads, bool guardPages, int64_t memoryLimit)
      : model(std::move(handle)), options(KILN_CONTEXT_OPTIONS_INIT) {
    options.threads = threads;
    options.guard_pages = guardPages;
    options.memory_limit = memoryLimit;
    for (const Model::Entry &entry : model->entries())
      outputCounts.push_back(std::get<2>(entry).size());
  }
  ~Runner() {
    for (kiln_context *context : all)
      kiln_context_release(context);
  }

  nb::list run(size_t entry, const nb::list &inputs, State *state) {
    Given given(inputs);
    const std::vector<kiln_value> &values = given.values;
    std::vector<kiln_value> results(outputCounts[entry]);
    kiln_run_options how = KILN_RUN_OPTIONS_INIT;
    how.entry = entry;
    how.state = state ? state->state : nullptr;
    Status status;
    int failed = 0;
    {
      nb::gil_scoped_release unlocked;
      kiln_context *context = acquire(failed, status);
      if (!failed) {
        failed = kiln_context_run(context, values.data(), values.size(), results.data(), results.size(), &how, &status);
        auto info = sized<kiln_context_info>();
        if (!failed && state && !kiln_context_get_info(context, &info, nullptr))
          state->bytesCopied = info.state_bytes_copied;
        std::lock_guard lock(mutex);
        idle.push_back(context);
      }
    }
    check(failed, status);
    nb::list arrays;
    for (kiln_value &result : results)
      arrays.append(takeAny(result));
    return arrays;
  }

  void cancel() {
    std::lock_guard lock(mutex);
    for (kiln_context *context : all)
      kiln_context_cancel(context);
  }

private:
  kiln_context *acquire(int &failed, Status &status) {
    std::lock_guard lock(mutex);
    kiln_context *context = nullptr;
    if (!idle.empty()) {
      context = idle.back();
      idle.pop_back();
      return context;
    }
    failed = kiln_context_create(model->model, &options, &context, &status);
    if (!failed)
      all.push_back(context);
    return context;
  }

  std::shared_ptr<Model> model;
  kiln_context_options options;
  std::vector<size_t> outputCounts; // of each entry
  std::mutex mutex;
  std::vector<kiln_context *> all, idle;
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

/// A model to compile: entry (none: ""), whether the bytes are a path, the bytes.
using Source = std::tuple<std::string, bool, nb::bytes>;

std::shared_ptr<Model> compile(const std::vector<Source> &sources, const nb::dict &dict) {
  std::vector<kiln_compile_model> models;
  for (const auto &[entry, isPath, bytes] : sources) {
    kiln_compile_model model = KILN_COMPILE_MODEL_INIT;
    model.entry = entry.empty() ? nullptr : entry.c_str();
    if (isPath) {
      model.path = bytes.c_str();
    } else {
      model.data = bytes.c_str();
      model.data_size = bytes.size();
    }
    models.push_back(model);
  }

  auto target = nb::cast<std::string>(dict["target"]);
  auto precision = nb::cast<std::string>(dict["precision"]);
  auto shapes = nb::cast<std::vector<std::string>>(dict["shapes"]);
  auto cache = nb::cast<std::optional<nb::bytes>>(dict["cache"]);
  auto dumpDirectory = nb::cast<std::optional<nb::bytes>>(dict["dump_dir"]);
  auto without = nb::cast<std::vector<std::string>>(dict["without"]),
       extra = nb::cast<std::vector<std::string>>(dict["dump"]),
       states = nb::cast<std::vector<std::string>>(dict["states"]),
       bind = nb::cast<std::vector<std::string>>(dict["bind"]);
  auto weights = nb::cast<std::string>(dict["weights"]);
  std::vector<const char *> shapeTexts = pointersOf(shapes), withoutTexts = pointersOf(without),
                            extraTexts = pointersOf(extra), stateTexts = pointersOf(states),
                            bindTexts = pointersOf(bind);
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
  options.states = stateTexts.data();
  options.state_count = stateTexts.size();
  options.bind = bindTexts.data();
  options.bind_count = bindTexts.size();
  options.weights = weights.c_str();
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
    failed = kiln_compile_models(models.data(), models.size(), &options, nullptr, &artifact, &status);
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
      .def("entries", &Model::entries)
      .def("states", &Model::states)
      .def("constants", &Model::constants)
      .def("bind", &Model::bind)
      .def("save", &Model::save);
  nb::class_<State>(m, "State")
      .def("__init__", [](State *state, const std::shared_ptr<Model> &model,
                          const std::map<std::string, int64_t> &sizes) { new (state) State(*model, sizes); })
      .def("get", &State::get)
      .def("set", &State::set)
      .def("reserve", &State::reserve, nb::arg("name").none(), nb::arg("capacity"))
      .def("resize", &State::resize, nb::arg("name").none(), nb::arg("length"))
      .def("reset", &State::reset, nb::arg("name").none())
      .def("valid", &State::valid)
      .def("copy", &State::copy)
      .def_prop_ro("bytes_copied", [](const State &state) { return state.bytesCopied.load(); });
  nb::class_<Runner>(m, "Runner")
      .def(nb::init<std::shared_ptr<Model>, int32_t, bool, int64_t>())
      .def("run", &Runner::run, nb::arg("entry"), nb::arg("inputs"), nb::arg("state").none())
      .def("cancel", &Runner::cancel);
  m.def("load_file", loadFile);
  m.def("compile", compile);
  m.def("version", &kiln_version);
}
