#include "runtime/api/Handles.h"
#include "runtime/base/AtomicFile.h"

using namespace kiln;
using namespace kiln::api;

namespace {

kiln_model::PortText describePort(const Function &p, const Port &port) {
  kiln_model::PortText text;
  for (const SizeExpr &d : p.views[port.view].dims)
    text.texts.push_back(d.print());
  for (size_t i = 0; i < text.texts.size(); ++i)
    text.dims.push_back({p.views[port.view].dims[i].asConstant().value_or(-1), text.texts[i].c_str()});
  return text;
}

Status wrap(Result<std::shared_ptr<const Artifact>> artifact, kiln_model **out) {
  KILN_ASSIGN(std::shared_ptr<const Artifact> loaded, std::move(artifact));
  auto handle = std::make_unique<kiln_model>();
  KILN_ASSIGN(handle->model, LoadedModel::create(std::move(loaded)));
  const Function &p = handle->model->program().entry();
  for (const Port &port : p.inputs)
    handle->inputs.push_back(describePort(p, port));
  for (const Port &port : p.outputs)
    handle->outputs.push_back(describePort(p, port));
  for (const ProgramSymbol &s : p.symbols)
    handle->symbolExpressions.push_back(s.isBound() ? "" : s.value.print());
  *out = handle.release();
  return Status();
}

Status givePort(const Function &p, const std::vector<Port> &ports, const std::vector<kiln_model::PortText> &texts,
                size_t index, kiln_port_info *info) {
  if (index >= ports.size())
    return makeError(ErrorCode::E0501, "there is no input or output number ", index);
  const View &view = p.views[ports[index].view];
  kiln_port_info full = {sizeof full, ports[index].name.c_str(), int32_t(view.dtype), int32_t(view.dims.size()),
                         texts[index].dims.data()};
  return giveSized(info, full, sizeof full);
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
  return guarded(status,
                 [&]() -> Status { return model ? model->model->artifact().verifyWeights() : nullArgument("model"); });
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
    full.input_count = uint32_t(entry.inputs.size());
    full.output_count = uint32_t(entry.outputs.size());
    full.symbol_count = uint32_t(entry.symbols.size());
    full.step_count = uint32_t(p.firstStep(FunctionId(p.functions.size())));
    full.kernel_count = uint32_t(p.kernels.size());
    full.constant_count = uint32_t(p.constants.size());
    full.artifact_bytes = a.bytes().size();
    full.code_bytes = a.code().size();
    full.weights_bytes = a.weights().size();
    full.arena_bytes = entry.arenaBytes.value_or(-1);
    return giveSized(info, full, sizeof full);
  });
}

int kiln_model_get_input(const kiln_model *model, size_t index, kiln_port_info *info, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model)
      return nullArgument("model");
    const Function &p = model->model->program().entry();
    return givePort(p, p.inputs, model->inputs, index, info);
  });
}

int kiln_model_get_output(const kiln_model *model, size_t index, kiln_port_info *info, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model)
      return nullArgument("model");
    const Function &p = model->model->program().entry();
    return givePort(p, p.outputs, model->outputs, index, info);
  });
}

int kiln_model_get_symbol(const kiln_model *model, size_t index, kiln_symbol_info *info, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model)
      return nullArgument("model");
    const Function &p = model->model->program().entry();
    if (index >= p.symbols.size())
      return makeError(ErrorCode::E0704, "there is no symbol number ", index);
    const ProgramSymbol &s = p.symbols[index];
    kiln_symbol_info full = {sizeof full,
                             s.name.c_str(),
                             s.low,
                             s.high,
                             s.input,
                             s.dim,
                             s.isBound() ? nullptr : model->symbolExpressions[index].c_str()};
    return giveSized(info, full, sizeof full);
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
    kiln_step_info full = {sizeof full, KILN_STEP_COPY, -1, step.node.c_str(), "copy", "", ""};
    if (auto *launch = std::get_if<LaunchStep>(&step.action)) {
      const Kernel &kernel = p.kernels[launch->kernel];
      full.kind = KILN_STEP_LAUNCH;
      full.kernel = int32_t(launch->kernel);
      full.operation = kernel.family.c_str();
      full.problem = kernel.problem.c_str();
      full.config = kernel.config.c_str();
    } else if (auto *call = std::get_if<HostCallStep>(&step.action)) {
      full.kind = KILN_STEP_CALL;
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
