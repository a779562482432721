#include "runtime/api/Handles.h"
#include "runtime/base/AtomicFile.h"
#include "runtime/host/HostKernels.h"

#include <cstddef>

using namespace kiln;
using namespace kiln::api;

namespace {

kiln_model::PortText describeDims(const std::vector<SizeExpr> &dims) {
  kiln_model::PortText text;
  for (const SizeExpr &d : dims)
    text.texts.push_back(d.isInvalid() ? "?" : d.print());
  for (size_t i = 0; i < text.texts.size(); ++i)
    text.dims.push_back({dims[i].asConstant().value_or(-1), text.texts[i].c_str()});
  return text;
}

/// Type and dims of the items of a sequence that a port each carries; a dim that is not the same for all is unknown.
void describeItems(const Function &p, std::span<const Port> ports, kiln_model::ValueText &text) {
  std::vector<SizeExpr> dims = p.views[ports[0].view].dims;
  for (const Port &port : ports) {
    const std::vector<SizeExpr> &other = p.views[port.view].dims;
    text.hasRank &= other.size() == dims.size();
    for (size_t d = 0; text.hasRank && d < dims.size(); ++d)
      if (dims[d] != other[d])
        dims[d] = SizeExpr::invalid();
  }
  text.text = describeDims(text.hasRank ? dims : std::vector<SizeExpr>());
}

std::vector<kiln_model::ValueText> describeValues(const Function &p, std::vector<PortValue> values,
                                                  const std::vector<Port> &ports) {
  std::vector<kiln_model::ValueText> texts;
  size_t port = 0;
  for (PortValue &value : values) {
    kiln_model::ValueText &text = texts.emplace_back();
    const View &first = p.views[ports[port].view];
    text.value = std::move(value);
    text.firstPort = port;
    text.dtype = first.dtype;
    if (text.value.isStacked())
      text.text = describeDims({first.dims.begin() + ptrdiff_t(text.value.leadingDims()), first.dims.end()});
    else
      describeItems(p, std::span(ports).subspan(port, text.value.portCount()), text);
    port += text.value.portCount();
  }
  return texts;
}

/// In the model's order of axes.
kiln_model::PortText describeState(const State &state, const std::vector<SizeExpr> &dims) {
  return describeDims(state.inModelOrder(std::span<const SizeExpr>(dims)));
}

kiln_model::EntryText describeEntry(const Program &program, const Function &p) {
  kiln_model::EntryText text;
  text.inputs = describeValues(p, p.hostInputs(), p.inputs);
  text.outputs = describeValues(p, p.hostOutputs(), p.outputs);
  for (const StatePort &port : p.states)
    text.states.push_back(describeState(program.states[port.state],
                                        p.views[port.read || port.grown == noView ? port.view : port.grown].dims));
  for (const ProgramSymbol &s : p.symbols)
    text.symbolExpressions.push_back(s.isBound() ? "" : s.value.print());
  return text;
}

Status wrap(Result<std::shared_ptr<const Artifact>> artifact, kiln_model **out) {
  KILN_ASSIGN(std::shared_ptr<const Artifact> loaded, std::move(artifact));
  auto handle = std::make_unique<kiln_model>();
  KILN_ASSIGN(handle->model, LoadedModel::create(std::move(loaded)));
  const Program &p = handle->model->program();
  for (size_t i = 0; i < p.entries.size(); ++i)
    handle->entries.push_back(describeEntry(p, p.entry(i)));
  for (const State &state : p.states)
    handle->states.push_back(describeState(state, state.dims));
  *out = handle.release();
  return Status();
}

/// The least size of kiln_port_info that is accepted: that of API version 5.
constexpr size_t firstPortInfo = offsetof(kiln_port_info, kind);

Status givePort(const std::vector<kiln_model::ValueText> &values, size_t index, kiln_port_info *info) {
  if (index >= values.size())
    return makeError(ErrorCode::E0501, "there is no input or output number ", index);
  const kiln_model::ValueText &text = values[index];
  kiln_port_info full = {sizeof full,
                         text.value.name.c_str(),
                         int32_t(text.dtype),
                         text.hasRank ? int32_t(text.text.dims.size()) : -1,
                         text.text.dims.data(),
                         int32_t(text.value.kind),
                         text.value.items > 0 ? int32_t(text.value.items) : -1,
                         -1,
                         0};
  return giveSized(info, full, firstPortInfo);
}

/// Runs the body of a function about an entry of the model.
template <typename F> int ofEntry(const kiln_model *model, size_t entry, kiln_status *status, F &&body) {
  return guarded(status, [&]() -> Status {
    if (!model)
      return nullArgument("model");
    KILN_TRY(checkEntry(model->model->program(), entry));
    return body(model->model->program().entry(entry));
  });
}

struct BytesOwner {
  kiln_bytes bytes;
  ~BytesOwner() { kiln_bytes_release(&bytes); }
};

} // namespace

extern "C" {

int kiln_model_load_file(const char *path, kiln_model **model, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!path || !model)
      return nullArgument(path ? "model" : "path");
    *model = nullptr;
    return wrap(Artifact::open(path), model);
  });
}

int kiln_model_load_bytes(const void *data, size_t size, kiln_model **model, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model || (!data && size > 0))
      return nullArgument(model ? "data" : "model");
    *model = nullptr;
    return wrap(Artifact::fromBytes({static_cast<const std::byte *>(data), size}), model);
  });
}

int kiln_model_take_bytes(kiln_bytes *bytes, kiln_model **model, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!bytes || !model)
      return nullArgument(bytes ? "model" : "bytes");
    *model = nullptr;
    auto owner = std::make_shared<BytesOwner>();
    owner->bytes = *bytes;
    *bytes = KILN_BYTES_INIT;
    std::span<const std::byte> span{static_cast<const std::byte *>(owner->bytes.data), owner->bytes.size};
    return wrap(Artifact::fromBytes(span, owner), model);
  });
}

void kiln_model_retain(kiln_model *model) {
  if (model)
    model->references.fetch_add(1, std::memory_order_relaxed);
}

void kiln_model_release(kiln_model *model) {
  if (model && model->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    delete model;
}

int kiln_model_bytes(const kiln_model *model, const void **data, size_t *size, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model || !data || !size)
      return nullArgument(!model ? "model" : !data ? "data" : "size");
    *data = model->model->artifact().bytes().data();
    *size = model->model->artifact().bytes().size();
    return Status();
  });
}

int kiln_model_save(const kiln_model *model, const char *path, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model || !path)
      return nullArgument(model ? "path" : "model");
    return writeFile(path, model->model->artifact().bytes());
  });
}

int kiln_model_verify(const kiln_model *model, kiln_status *status) {
  return guarded(status, [&]() -> Status { return model ? model->model->verifyWeights() : nullArgument("model"); });
}

const char *kiln_model_text(kiln_model *model) {
  if (!model)
    return "";
  int failed = guarded(nullptr, [&]() -> Status {
    std::call_once(model->programTextOnce, [&] { model->programText = printProgram(model->model->program()); });
    return Status();
  });
  return failed ? "" : model->programText.c_str();
}

int kiln_model_get_info(const kiln_model *model, kiln_model_info *info, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model)
      return nullArgument("model");
    const Artifact &a = model->model->artifact();
    const Program &p = a.program();
    kiln_model_info full = {};
    const Function &entry = p.entry();
    full.name = p.entries[0].name.c_str();
    full.producer = p.producer.c_str();
    full.target = p.target.c_str();
    full.precision = p.precision.c_str();
    full.format_version = a.version();
    full.input_count = uint32_t(model->entries[0].inputs.size());
    full.output_count = uint32_t(model->entries[0].outputs.size());
    full.symbol_count = uint32_t(entry.symbols.size());
    full.step_count = uint32_t(p.firstStep(FunctionId(p.functions.size())));
    full.kernel_count = uint32_t(p.kernels.size());
    full.constant_count = uint32_t(p.constants.size());
    full.artifact_bytes = a.bytes().size();
    full.code_bytes = a.code().size();
    full.weights_bytes = a.weights().size();
    full.arena_bytes = entry.arenaBytes.value_or(-1);
    full.entry_count = uint32_t(p.entries.size());
    full.state_count = uint32_t(p.states.size());
    return giveSized(info, full, offsetof(kiln_model_info, entry_count));
  });
}

int kiln_model_get_input(const kiln_model *model, size_t index, kiln_port_info *info, kiln_status *status) {
  return kiln_model_get_entry_input(model, 0, index, info, status);
}

int kiln_model_get_output(const kiln_model *model, size_t index, kiln_port_info *info, kiln_status *status) {
  return kiln_model_get_entry_output(model, 0, index, info, status);
}

int kiln_model_get_symbol(const kiln_model *model, size_t index, kiln_symbol_info *info, kiln_status *status) {
  return kiln_model_get_entry_symbol(model, 0, index, info, status);
}

int kiln_model_get_entry(const kiln_model *model, size_t entry, kiln_entry_info *info, kiln_status *status) {
  return ofEntry(model, entry, status, [&](const Function &f) -> Status {
    kiln_entry_info full = {sizeof full,
                            model->model->program().entries[entry].name.c_str(),
                            uint32_t(model->entries[entry].inputs.size()),
                            uint32_t(model->entries[entry].outputs.size()),
                            uint32_t(f.symbols.size()),
                            uint32_t(f.states.size()),
                            f.arenaBytes.value_or(-1)};
    return giveSized(info, full, sizeof full);
  });
}

int kiln_model_find_entry(const kiln_model *model, const char *name, size_t *entry, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model || !name || !entry)
      return nullArgument(!model ? "model" : !name ? "name" : "entry");
    const std::vector<Entry> &entries = model->model->program().entries;
    std::string names;
    for (size_t i = 0; i < entries.size(); ++i) {
      names += (i ? ", " : "") + entries[i].name;
      if (entries[i].name == name) {
        *entry = i;
        return Status();
      }
    }
    return makeError(ErrorCode::E0501, "the model has no entry \"", name, "\"; it has ", names);
  });
}

int kiln_model_get_entry_input(const kiln_model *model, size_t entry, size_t index, kiln_port_info *info,
                               kiln_status *status) {
  return ofEntry(model, entry, status,
                 [&](const Function &) { return givePort(model->entries[entry].inputs, index, info); });
}

int kiln_model_get_entry_output(const kiln_model *model, size_t entry, size_t index, kiln_port_info *info,
                                kiln_status *status) {
  return ofEntry(model, entry, status,
                 [&](const Function &) { return givePort(model->entries[entry].outputs, index, info); });
}

int kiln_model_get_entry_symbol(const kiln_model *model, size_t entry, size_t index, kiln_symbol_info *info,
                                kiln_status *status) {
  return ofEntry(model, entry, status, [&](const Function &f) -> Status {
    if (index >= f.symbols.size())
      return makeError(ErrorCode::E0704, "there is no symbol number ", index);
    const ProgramSymbol &s = f.symbols[index];
    auto [input, dim] = f.hostPlace(model->model->program(), s);
    kiln_symbol_info full = {sizeof full,
                             s.name.c_str(),
                             s.low,
                             s.high,
                             input,
                             dim,
                             s.isBound() ? nullptr : model->entries[entry].symbolExpressions[index].c_str()};
    return giveSized(info, full, sizeof full);
  });
}

int kiln_model_get_entry_state(const kiln_model *model, size_t entry, size_t index, kiln_entry_state_info *info,
                               kiln_status *status) {
  return ofEntry(model, entry, status, [&](const Function &f) -> Status {
    if (index >= f.states.size())
      return makeError(ErrorCode::E0501, "the entry has no state number ", index);
    const StatePort &port = f.states[index];
    const kiln_model::PortText &text = model->entries[entry].states[index];
    kiln_entry_state_info full = {sizeof full,     port.state, port.read, port.written, int32_t(text.dims.size()),
                                  text.dims.data()};
    return giveSized(info, full, sizeof full);
  });
}

int kiln_model_get_state(const kiln_model *model, size_t index, kiln_port_info *info, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model)
      return nullArgument("model");
    const std::vector<State> &states = model->model->program().states;
    if (index >= states.size())
      return makeError(ErrorCode::E0501, "there is no state number ", index);
    kiln_port_info full = {sizeof full,
                           states[index].name.c_str(),
                           int32_t(states[index].dtype),
                           int32_t(states[index].dims.size()),
                           model->states[index].dims.data(),
                           KILN_PORT_TENSOR,
                           -1,
                           states[index].growing ? int32_t(*states[index].growing) : -1,
                           0};
    return giveSized(info, full, firstPortInfo);
  });
}

int kiln_model_get_step(const kiln_model *model, size_t index, kiln_step_info *info, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model)
      return nullArgument("model");
    const Program &p = model->model->program();
    FunctionId f = 0;
    for (size_t first = index; f < p.functions.size() && first >= p.functions[f].steps.size(); ++f)
      first -= p.functions[f].steps.size();
    if (f >= p.functions.size())
      return makeError(ErrorCode::E0704, "there is no step number ", index);
    const Step &step = p.functions[f].steps[index - p.firstStep(f)];
    kiln_step_info full = {sizeof full, KILN_STEP_COPY, -1, step.node.c_str(), "copy", "", "", "", 0};
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      const Kernel &kernel = p.kernels[launch->kernel];
      full.kind = KILN_STEP_LAUNCH;
      full.kernel = int32_t(launch->kernel);
      full.operation = kernel.family.c_str();
      full.problem = kernel.problem.c_str();
      full.config = kernel.config.c_str();
      full.source = kernel.source.c_str();
      full.price = double(kernel.price) * 1e-9;
    } else if (auto *call = std::get_if<HostCallStep>(&step.action)) {
      full.kind = !p.isInterpreted() && host::find(call->callee) ? KILN_STEP_HOST : KILN_STEP_CALL;
      full.operation = call->callee.c_str();
    } else if (!std::holds_alternative<CopyStep>(step.action)) {
      full.kind = KILN_STEP_FUNCTION;
      full.operation = std::holds_alternative<LoopStep>(step.action) ? "loop"
                       : std::holds_alternative<IfStep>(step.action) ? "if"
                                                                     : "call";
    }
    return giveSized(info, full, sizeof full);
  });
}

} // extern "C"
