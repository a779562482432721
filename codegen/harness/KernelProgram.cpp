#include "codegen/harness/KernelProgram.h"

#include "runtime/plan/Transfers.h"

#include <map>

namespace kiln {
namespace {

class ProgramOfKernel {
public:
  ProgramOfKernel(const LooseKernel &loose, std::span<const TensorView> inputs, const SymbolValues &symbols)
      : interface(loose.kernel.interface), inputs(inputs), symbols(symbols) {
    program.producer = "kiln harness";
    program.target = loose.target;
    program.precision = "default";
    program.kernels = {loose.kernel};
    program.entries = {{"main", 0}};
    function.name = "main";
  }

  Status build(std::optional<Problem::InPlace> shared) {
    std::map<KernelOperand, ViewId> views;
    for (size_t i = 0; i < inputs.size(); ++i) {
      ViewId view = addView(Buffer::Place::Input, i, inputs[i].dtype, inputs[i].dims);
      function.inputs.push_back({"in" + std::to_string(i), view});
      views[KernelOperand::input(i)] = view;
    }
    for (size_t i = 0; i < interface.outputs.size(); ++i) {
      std::vector<int64_t> dims;
      for (const SizeExpr &dim : interface.outputs[i].dims) {
        KILN_ASSIGN(dims.emplace_back(), dim.evaluate(symbols));
      }
      ViewId view = addView(Buffer::Place::Output, i, interface.outputs[i].dtype, dims);
      function.outputs.push_back({"out" + std::to_string(i), view});
      views[KernelOperand::output(i)] = view;
    }
    for (size_t i = 0; i < interface.packed.size(); ++i) {
      KILN_ASSIGN(Tensor packed, applyRecipe(inputs[interface.packed[i].input], interface.packed[i].recipe));
      views[KernelOperand::packed(i)] = addView(Buffer::Place::Constant, i, packed.dtype(), packed.dims());
      program.constants.push_back(
          {"packed" + std::to_string(i), packed.dtype(), {packed.dims().begin(), packed.dims().end()}});
      constants.push_back(std::move(packed));
    }
    KILN_ASSIGN(int64_t workspace, interface.workspaceBytes.evaluate(symbols));
    views[KernelOperand::workspace()] = addMemory(Buffer::Place::Workspace, DType::U8, std::span(&workspace, 1));
    addSteps(std::move(views), shared);
    return Status();
  }

  Program finish(const Device &device) {
    program.functions.push_back(std::move(function));
    if (!device.isHost())
      moveToDevice(program, std::string(device.name()));
    return std::move(program);
  }
  std::span<const std::byte> constant(size_t i) const {
    return {static_cast<const std::byte *>(constants[i].data()), size_t(constants[i].bytes())};
  }

private:
  ViewId addView(Buffer::Place place, size_t index, DType dtype, std::span<const int64_t> dims) {
    Buffer buffer;
    buffer.place = place;
    buffer.index = uint32_t(index);
    function.buffers.push_back(buffer);
    function.views.push_back({BufferId(function.buffers.size() - 1), 0, dtype, {dims.begin(), dims.end()}});
    return ViewId(function.views.size() - 1);
  }
  ViewId addMemory(Buffer::Place place, DType dtype, std::span<const int64_t> dims) {
    ViewId view = addView(place, 0, dtype, dims);
    function.buffers.back().bytes = function.views[view].bytes();
    return view;
  }
  void addStep(decltype(Step::action) action) {
    Step &step = function.steps.emplace_back();
    step.action = std::move(action);
    step.node = "kernel";
  }

  void addSteps(std::map<KernelOperand, ViewId> views, std::optional<Problem::InPlace> shared) {
    ViewId output = noView, both = noView;
    if (shared) {
      ViewId &input = views[KernelOperand::input(size_t(shared->input))];
      both = addMemory(Buffer::Place::Arena, inputs[size_t(shared->input)].dtype, inputs[size_t(shared->input)].dims);
      addStep(CopyStep{input, both});
      output = std::exchange(views[KernelOperand::output(size_t(shared->output))], both);
      input = both;
    }
    LaunchStep launch;
    for (const KernelOperand &operand : interface.operands())
      launch.operands.push_back(views.at(operand));
    for (const std::string &symbol : interface.symbols)
      launch.sizes.push_back(symbols.at(symbol));
    addStep(std::move(launch));
    if (shared)
      addStep(CopyStep{both, output});
  }

  const KernelInterface &interface;
  std::span<const TensorView> inputs;
  const SymbolValues &symbols;
  Program program;
  Function function;
  std::vector<Tensor> constants;
};

} // namespace

Result<std::shared_ptr<const LoadedModel>> loadKernel(const LooseKernel &kernel, std::span<const TensorView> inputs,
                                                      const SymbolValues &symbols,
                                                      std::optional<Problem::InPlace> shared, Device &device) {
  ProgramOfKernel builder(kernel, inputs, symbols);
  KILN_TRY(builder.build(shared));
  Program program = builder.finish(device);
  auto bytes = std::make_shared<MemorySink>();
  auto constants = [&](size_t i) -> Result<std::span<const std::byte>> { return builder.constant(i); };
  KILN_TRY(writeArtifact(program, kernel.code, constants, *bytes));
  KILN_ASSIGN(std::shared_ptr<const Artifact> artifact, Artifact::fromBytes(bytes->bytes, bytes));
  return LoadedModel::create(std::move(artifact), device);
}

} // namespace kiln
