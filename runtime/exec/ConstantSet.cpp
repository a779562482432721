#include "runtime/exec/ConstantSet.h"

#include "runtime/exec/GrowingMemory.h"
#include "runtime/exec/WaitScope.h"

#include <algorithm>

namespace kiln {

struct ConstantSet::DeviceCopy {
  explicit DeviceCopy(Device &device) : memory(device) {}
  GrowingMemory memory;
};

static bool isAligned(const TensorView &view) {
  return view.size() == 0 || reinterpret_cast<uintptr_t>(view.data) % uintptr_t(dtypeBytes(view.dtype)) == 0;
}

TensorView ConstantSet::viewOf(uint32_t constant) const {
  const Constant &c = program.constants[constant];
  return {values[constant].data, c.dtype, c.dims};
}

char *ConstantSet::data(uint32_t constant, Buffer::Space space) const {
  const Value &value = values[constant];
  return space == Buffer::Space::Device ? value.copy->memory.data() : static_cast<char *>(value.data);
}

Result<std::shared_ptr<const ConstantSet>> ConstantSet::load(const Artifact &artifact, const Artifact::Files &files,
                                                             Device &device, const DeviceConstants &placed) {
  std::shared_ptr<ConstantSet> set(new ConstantSet(artifact, device, placed));
  const std::vector<Constant> &constants = artifact.program().constants;
  std::vector<bool> read(constants.size());
  for (const Constant &c : constants)
    if (auto *derived = std::get_if<DerivedSource>(&c.source))
      read[derived->constant] = true;
  set->values.resize(constants.size());
  for (uint32_t i = 0; i < constants.size(); ++i) {
    Value &value = set->values[i];
    auto *range = std::get_if<FileSource>(&constants[i].source);
    std::span<const std::byte> bytes;
    if (range) {
      if (read[i])
        KILN_TRY(artifact.verifyRange(files, i));
      bytes = files[range->file]->bytes().subspan(range->offset);
      value.owner = files[range->file];
    } else if (constants[i].inSection()) {
      bytes = artifact.constant(i);
    } else {
      continue;
    }
    value.ready = true;
    value.data = const_cast<std::byte *>(bytes.data());
    if (isAligned(set->viewOf(i)))
      continue;
    KILN_ASSIGN(Tensor copy, Tensor::copyOf(set->viewOf(i)));
    value.data = copy.data();
    value.owner = std::make_shared<Tensor>(std::move(copy));
  }
  KILN_TRY(set->update(std::vector<bool>(constants.size(), true)));
  return std::shared_ptr<const ConstantSet>(std::move(set));
}

Result<std::shared_ptr<const ConstantSet>> ConstantSet::bind(std::span<const Binding> bindings) const {
  std::shared_ptr<ConstantSet> set(new ConstantSet(*this));
  std::vector<bool> changed(values.size());
  for (const Binding &binding : bindings) {
    const Constant &c = program.constants[binding.constant];
    const std::string &name = c.bound()->name;
    const TensorView &given = binding.value;
    if (changed[binding.constant])
      return makeError(ErrorCode::E0704, "constant \"", name, "\" is given twice");
    if (given.dtype != c.dtype || !std::ranges::equal(given.dims, c.dims))
      return makeError(ErrorCode::E0525, "constant \"", name, "\": expected ", printTensorType(c.dtype, c.dims),
                       ", got ", printTensorType(given.dtype, given.dims));
    if (!given.data && given.size() > 0)
      return makeError(ErrorCode::E0704, "constant \"", name, "\" has no data");
    if (!isAligned(given))
      return makeError(ErrorCode::E0515, "constant \"", name, "\": its data is not aligned to ", dtypeBytes(c.dtype),
                       " bytes");
    set->values[binding.constant] = {true, given.data, binding.owner, nullptr};
    changed[binding.constant] = true;
  }
  KILN_TRY(set->update(std::move(changed)));
  return std::shared_ptr<const ConstantSet>(std::move(set));
}

Status ConstantSet::update(std::vector<bool> changed) {
  missing.clear();
  for (uint32_t i = 0; i < values.size(); ++i)
    if (const BoundSource *source = program.constants[i].bound(); source && !values[i].ready)
      missing += (missing.empty() ? "\"" : ", \"") + source->name + "\"";
  std::unique_ptr<Queue> queue = device.makeQueue();
  WaitScope scope(*queue); // the memory of both sides may go after it
  for (uint32_t i = 0; i < values.size(); ++i) {
    Value &value = values[i];
    if (auto *derived = std::get_if<DerivedSource>(&program.constants[i].source)) {
      const Value &from = values[derived->constant];
      changed[i] = changed[derived->constant] && from.ready;
      if (!changed[i])
        continue;
      bool sameBytes = std::ranges::all_of(derived->recipe.steps,
                                           [](const RecipeStep &s) { return s.kind == RecipeStep::Kind::Reshape; });
      // Kernels may rely on the alignment of what was made for them (kernel_abi.h).
      if (sameBytes && reinterpret_cast<uintptr_t>(from.data) % uintptr_t(bufferAlignment) == 0) {
        value = {true, from.data, from.owner, nullptr};
      } else {
        KILN_ASSIGN(Tensor made, applyRecipe(viewOf(derived->constant), derived->recipe));
        void *data = made.data();
        value = {true, data, std::make_shared<Tensor>(std::move(made)), nullptr};
      }
    }
    if (!changed[i] || !value.ready || !placed.used[i] || program.constants[i].inSection())
      continue;
    auto copy = std::make_shared<DeviceCopy>(device);
    value.copy = copy;
    int64_t bytes = viewOf(i).bytes();
    KILN_TRY(copy->memory.reserve(bytes));
    if (bytes > 0)
      KILN_TRY(queue->copyToDevice(copy->memory.data(), value.data, bytes));
  }
  return queue->wait();
}

Status ConstantSet::checkBound() const {
  return missing.empty() ? Status() : makeError(ErrorCode::E0524, "constants are not bound: ", missing);
}

} // namespace kiln
