#include "runtime/plan/Transfers.h"

#include "runtime/base/Tensor.h"
#include "runtime/plan/Arena.h"

#include <array>
#include <map>

namespace kiln {
namespace {

using Place = Buffer::Place;
using Space = Buffer::Space;

Space otherThan(Space space) { return space == Space::Host ? Space::Device : Space::Host; }

/// Of one function.
class Mover {
public:
  Mover(const Program &program, Function &function) : program(program), f(function) {}

  void run() {
    values.resize(f.buffers.size());
    for (BufferId b = 0; b < f.buffers.size(); ++b) {
      Place place = f.buffers[b].place;
      if (place == Place::Constant)
        values[b].valid = {true, true};
      else if (!f.buffers[b].inArena())
        values[b].at[size_t(Space::Host)] = b;
    }
    for (const View &view : f.views)
      bufferOf.push_back(view.buffer);
    for (const Port &port : f.inputs)
      valueOf(port.view).valid[size_t(Space::Host)] = true;
    for (const StatePort &port : f.states)
      valueOf(port.view).valid[size_t(Space::Host)] = port.read;

    std::vector<Step> old;
    old.swap(f.steps);
    for (Step &step : old) {
      node = step.node;
      bool surely = step.guards.empty();
      if (auto *launch = std::get_if<LaunchStep>(&step.action))
        place(*launch, surely);
      else if (auto *copy = std::get_if<CopyStep>(&step.action))
        place(*copy, surely);
      else
        placeOnHost(step, surely);
      f.steps.push_back(std::move(step));
    }
    for (const Port &port : f.outputs)
      bringBack(port.view, port.name);
    for (const StatePort &port : f.states)
      if (port.written)
        bringBack(port.grown == noView ? port.view : port.grown, program.states[port.state].name);
  }

private:
  static constexpr BufferId nowhere = UINT32_MAX;

  /// What a buffer holds, in one memory or both.
  struct Value {
    std::array<BufferId, 2> at = {nowhere, nowhere}; // by Space
    std::array<bool, 2> valid = {false, false};      // whether it is the last one written
  };
  Value &valueOf(ViewId view) { return values[bufferOf[view]]; }
  bool isOpen(ViewId view) const { return f.views[view].open; }
  Place placeOf(ViewId view) const { return f.buffers[bufferOf[view]].place; }
  /// The caller's memory, where the value has to be in the end.
  bool isGiven(ViewId view) const { return placeOf(view) == Place::Output || placeOf(view) == Place::State; }

  SizeExpr bytesOf(BufferId buffer) const {
    const Buffer &b = f.buffers[buffer];
    switch (b.place) {
    case Place::Input: return f.views[f.inputs[b.index].view].bytes();
    case Place::Output: return f.views[f.outputs[b.index].view].bytes();
    case Place::State: return f.bytesOf(f.states[b.index]);
    case Place::Constant: {
      const Constant &c = program.constants[b.index];
      return SizeExpr(byteCount(c.dtype, c.dims).value_or(0));
    }
    case Place::Arena:
    case Place::Workspace:
    case Place::Returned: break;
    }
    return b.bytes;
  }

  /// The buffer as it is in a memory. The first memory in which it is used has it as it was.
  BufferId in(Space space, BufferId buffer) {
    Value &value = values[buffer];
    BufferId &there = value.at[size_t(space)];
    if (there != nowhere)
      return there;
    if (value.at[size_t(otherThan(space))] == nowhere) {
      f.buffers[buffer].space = space;
      return there = buffer;
    }
    Buffer twin = f.buffers[buffer];
    if (twin.place != Place::Constant) {
      twin.bytes = bytesOf(buffer);
      twin.place = Place::Arena;
      twin.index = 0;
    }
    twin.space = space;
    f.buffers.push_back(std::move(twin));
    return there = BufferId(f.buffers.size() - 1);
  }
  /// The view in a memory; one of them it is in as it was.
  ViewId viewIn(Space space, ViewId id) {
    BufferId buffer = in(space, bufferOf[id]);
    if (buffer == f.views[id].buffer)
      return id;
    auto [it, isNew] = twins.try_emplace(id, ViewId(f.views.size()));
    if (isNew) {
      View twin = f.views[id];
      twin.buffer = buffer;
      f.views.push_back(std::move(twin));
    }
    return it->second;
  }

  bool isWhole(ViewId id) const {
    const View &view = f.views[id];
    return view.offset.isConstant(0) && view.bytes() == bytesOf(bufferOf[id]);
  }

  void addCopy(ViewId source, ViewId target) {
    Step &step = f.steps.emplace_back();
    step.action = CopyStep{source, target};
    step.node = node;
  }

  /// Copies the value that a view shows, all of it, where it is not in the memory yet.
  void require(Space space, ViewId id) {
    Value &value = valueOf(id);
    if (value.valid[size_t(space)] || !value.valid[size_t(otherThan(space))])
      return;
    value.valid[size_t(space)] = true;
    if (isWhole(id))
      return addCopy(viewIn(otherThan(space), id), viewIn(space, id));
    SizeExpr bytes = bytesOf(bufferOf[id]);
    ViewId whole[2];
    for (Space at : {Space::Host, Space::Device}) {
      whole[size_t(at)] = ViewId(f.views.size());
      f.views.push_back({in(at, bufferOf[id]), 0, DType::U8, {bytes}, false});
    }
    addCopy(whole[size_t(otherThan(space))], whole[size_t(space)]);
  }

  ViewId read(Space space, ViewId id) {
    if (id == noView || isOpen(id))
      return id;
    require(space, id);
    return viewIn(space, id);
  }

  /// `surely`: whatever the sizes are. What a write leaves as it was must be there.
  ViewId write(Space space, ViewId id, bool surely) {
    if (id == noView || isOpen(id))
      return id;
    if (!surely || !isWhole(id))
      require(space, id);
    Value &value = valueOf(id);
    value.valid[size_t(space)] = true;
    value.valid[size_t(otherThan(space))] = false;
    return viewIn(space, id);
  }

  void bringBack(ViewId id, const std::string &name) {
    node = name;
    read(Space::Host, id);
  }

  void place(LaunchStep &launch, bool surely) {
    std::vector<KernelOperand> operands = program.kernels[launch.kernel].interface.operands();
    std::vector<ViewId> given = launch.operands;
    for (size_t i = 0; i < operands.size(); ++i)
      if (!operands[i].isWritten())
        launch.operands[i] = read(Space::Device, given[i]);
    for (size_t i = 0; i < operands.size(); ++i)
      if (operands[i].isWritten())
        launch.operands[i] = write(Space::Device, given[i], surely);
  }

  void placeOnHost(Step &step, bool surely) {
    step.forEachView([&](ViewId &id, bool written) { id = written ? id : read(Space::Host, id); });
    step.forEachView([&](ViewId &id, bool written) { id = written ? write(Space::Host, id, surely) : id; });
  }

  void place(CopyStep &step, bool surely) {
    Value &source = valueOf(step.source), &target = valueOf(step.target);
    bool onHost = source.valid[size_t(Space::Host)], onDevice = source.valid[size_t(Space::Device)];
    // What has to be on the host goes there without a detour.
    if (onDevice && !onHost && isGiven(step.target) && !isGiven(step.source) && surely && isWhole(step.target)) {
      step.source = viewIn(Space::Device, step.source);
      step.target = write(Space::Host, step.target, surely);
      return;
    }
    bool stays = onDevice && !isGiven(step.target) && (!onHost || target.at[size_t(Space::Device)] != nowhere);
    Space space = stays ? Space::Device : Space::Host;
    step.source = read(space, step.source);
    step.target = write(space, step.target, surely);
  }

  const Program &program;
  Function &f;
  std::vector<Value> values;      // of the buffers of the function as it was
  std::vector<BufferId> bufferOf; // of the views of the function as it was
  std::map<ViewId, ViewId> twins; // in the memory that the view itself is not in
  std::string node;               // of the step under way
};

} // namespace

void moveToDevice(Program &program, const std::string &device) {
  program.device = device;
  for (Function &function : program.functions)
    Mover(program, function).run();
  assignArenas(program);
}

Direction directionOf(const Function &function, const CopyStep &copy) {
  auto onDevice = [&](ViewId view) { return function.buffers[function.views[view].buffer].space == Space::Device; };
  if (onDevice(copy.source))
    return onDevice(copy.target) ? Direction::OnDevice : Direction::ToHost;
  return onDevice(copy.target) ? Direction::ToDevice : Direction::OnHost;
}

TransferBytes transfersOf(const Function &function) {
  TransferBytes bytes{0, 0};
  for (const Step &step : function.steps)
    if (auto *copy = std::get_if<CopyStep>(&step.action)) {
      Direction direction = directionOf(function, *copy);
      SizeExpr size = function.views[copy->source].bytes();
      if (direction == Direction::ToDevice)
        bytes.toDevice = bytes.toDevice + size;
      else if (direction == Direction::ToHost)
        bytes.toHost = bytes.toHost + size;
    }
  return bytes;
}

DeviceConstants deviceConstants(const Program &program) {
  DeviceConstants placed;
  placed.used.assign(program.constants.size(), false);
  placed.offsets.assign(program.constants.size(), -1);
  for (const Function &function : program.functions)
    for (const Buffer &buffer : function.buffers)
      if (buffer.place == Place::Constant && buffer.space == Space::Device && !placed.used[buffer.index]) {
        const Constant &c = program.constants[buffer.index];
        placed.used[buffer.index] = true;
        if (!c.inSection())
          continue;
        placed.offsets[buffer.index] = placed.bytes;
        placed.bytes = alignUp(placed.bytes + byteCount(c.dtype, c.dims).value_or(0), bufferAlignment);
      }
  return placed;
}

} // namespace kiln
