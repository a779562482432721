#include "runtime/api/Handles.h"

using namespace kiln;
using namespace kiln::api;

/// The number of the constant that is bound under a name.
static Result<uint32_t> findBound(const Program &program, std::string_view name) {
  std::string names;
  for (uint32_t i = 0; i < program.constants.size(); ++i)
    if (const BoundSource *source = program.constants[i].bound()) {
      if (source->name == name)
        return i;
      names += (names.empty() ? "\"" : ", \"") + source->name + "\"";
    }
  return makeError(ErrorCode::E0501, "the model has no constant \"", name, "\" to bind; it has ",
                   names.empty() ? "none" : names);
}

/// Takes the owner of a value's bytes over, when the call that it is for is known to succeed.
struct TakenValue {
  kiln_value value = KILN_VALUE_INIT;
  ~TakenValue() { kiln_value_release(&value); }
};

extern "C" {

int kiln_model_bind_constants(kiln_model *model, kiln_named_value *values, size_t count, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model || (!values && count > 0))
      return nullArgument(model ? "values" : "model");
    std::vector<ConstantSet::Binding> bindings;
    std::vector<std::shared_ptr<TakenValue>> taken;
    for (size_t i = 0; i < count; ++i) {
      if (!values[i].name)
        return nullArgument("values[i].name");
      ConstantSet::Binding binding;
      KILN_ASSIGN(binding.constant, findBound(model->model->program(), values[i].name));
      KILN_ASSIGN(binding.value, denseViewOf(values[i].value, "constant \"" + std::string(values[i].name) + "\""));
      taken.push_back(values[i].value.release ? std::make_shared<TakenValue>() : nullptr);
      binding.owner = taken.back();
      bindings.push_back(std::move(binding));
    }
    KILN_TRY(model->model->bindConstants(bindings));
    for (size_t i = 0; i < count; ++i)
      if (taken[i])
        std::swap(taken[i]->value, values[i].value);
    return Status();
  });
}

int kiln_model_get_constant(const kiln_model *model, size_t index, kiln_constant_info *info, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model)
      return nullArgument("model");
    const Program &program = model->model->program();
    if (index >= program.constants.size())
      return makeError(ErrorCode::E0704, "there is no constant number ", index);
    const Constant &c = program.constants[index];
    kiln_constant_info full = KILN_CONSTANT_INFO_INIT;
    full.name = c.name.c_str();
    full.dtype = int32_t(c.dtype);
    full.rank = int32_t(c.dims.size());
    full.dims = c.dims.data();
    full.source = int32_t(c.source.index());
    full.is_bound = 1;
    if (auto *section = std::get_if<SectionSource>(&c.source)) {
      full.offset = section->offset;
    } else if (auto *range = std::get_if<FileSource>(&c.source)) {
      full.path = program.files[range->file].path.c_str();
      full.offset = range->offset;
    } else {
      if (const BoundSource *bound = c.bound())
        full.name = bound->name.c_str();
      else
        full.from = int32_t(std::get<DerivedSource>(c.source).constant);
      full.is_bound = model->model->constants()->isBound(uint32_t(index));
    }
    return giveSized(info, full, sizeof full);
  });
}

} // extern "C"
