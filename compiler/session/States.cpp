#include "compiler/session/States.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/GrowingStates.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/kiln/ValuePart.h"
#include "passes/plan/Tensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <algorithm>
#include <map>

using namespace mlir;
using namespace kiln;

Result<StateOption> kiln::readState(std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size())
    return makeError(ErrorCode::E0701, "state \"", text, "\" is not of the form INPUT=OUTPUT");
  return StateOption{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

namespace {

/// An input or output that a state may be.
struct Port {
  mutable func::FuncOp function;
  unsigned index;
  bool isResult;

  StringAttr attribute(StringRef name) const {
    return isResult ? function.getResultAttrOfType<StringAttr>(index, name)
                    : function.getArgAttrOfType<StringAttr>(index, name);
  }
  /// Whether it is part of a value that is no tensor to the host.
  bool isPart() const {
    return isResult ? function.getResultAttr(index, valueAttrName) != nullptr
                    : function.getArgAttr(index, valueAttrName) != nullptr;
  }
  void setState(StringAttr state) {
    if (isResult)
      function.setResultAttr(index, stateAttrName, state);
    else
      function.setArgAttr(index, stateAttrName, state);
  }
  RankedTensorType type() const {
    return cast<RankedTensorType>(isResult ? function.getResultTypes()[index] : function.getArgumentTypes()[index]);
  }
  Value value() const {
    Block &block = function.getBody().front();
    return isResult ? block.getTerminator()->getOperand(index) : block.getArgument(index);
  }
  /// The axis of the model's dims along which it is known to grow: that axis is the first one of the type.
  std::optional<unsigned> growing() const {
    auto axis = isResult ? function.getResultAttrOfType<IntegerAttr>(index, growingAttrName)
                         : function.getArgAttrOfType<IntegerAttr>(index, growingAttrName);
    return axis ? std::optional(unsigned(axis.getInt())) : std::nullopt;
  }
  /// `input "past" of entry decode`
  std::string describe() const {
    StringAttr name = attribute(nameAttrName);
    return std::string(isResult ? "output" : "input") + " \"" + (name ? name.getValue().str() : "") + "\" of entry " +
           function.getSymName().str();
  }
};

std::vector<Port> portsOf(ModuleOp module) {
  std::vector<Port> ports;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function.isPublic())
      continue;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      ports.push_back({function, i, false});
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      ports.push_back({function, i, true});
  }
  return ports;
}

std::string typeText(const Port &port) {
  Result<SizeTable> sizes = SizeTable::read(port.function);
  std::string text;
  Dims dims = getDims(port.type());
  if (auto axis = port.growing())
    std::rotate(dims.begin(), dims.begin() + 1, dims.begin() + *axis + 1);
  for (const SizeExpr &dim : dims)
    text += (text.empty() ? "" : ",") + (dim.isInvalid() ? "?" : (sizes.ok() ? sizes->expand(dim) : dim).print());
  std::optional<DType> dtype = dtypeOf(port.type().getElementType());
  return (dtype ? std::string(dtypeName(*dtype)) : "?") + "[" + text + "]";
}

/// The dim in which values of a state may differ: that along which it grows, as an entry that reads and writes it
/// shows.
Result<std::optional<unsigned>> growingDim(const std::vector<Port> &ports) {
  for (const Port &before : ports) {
    if (before.growing())
      return std::optional(0u);
    for (const Port &after : ports) {
      if (before.isResult || !after.isResult || before.function != after.function)
        continue;
      KILN_ASSIGN(SizeTable sizes, SizeTable::read(before.function));
      if (auto axis = growingAxis(before.value(), after.value(), sizes))
        return axis;
    }
  }
  return std::optional<unsigned>();
}

/// Whether two values of a state, which may grow in a dim, surely differ in their types. Sizes of two functions are
/// comparable only where both are numbers.
Status compare(const Port &a, const Port &b, std::optional<unsigned> growing) {
  auto refuse = [&](ErrorCode code, const std::string &what) {
    return makeError(code, "state \"", a.attribute(stateAttrName).getValue().str(), "\": ", a.describe(), " is ",
                     typeText(a), ", ", b.describe(), " is ", typeText(b), "; ", what);
  };
  if (a.type().getElementType() != b.type().getElementType())
    return refuse(ErrorCode::E0305, "a state keeps its element type");
  Dims left = getDims(a.type()), right = getDims(b.type());
  if (left.size() != right.size())
    return refuse(ErrorCode::E0304, "a state keeps its dims");
  SizeTable sizes;
  if (a.function == b.function) {
    KILN_ASSIGN(sizes, SizeTable::read(a.function));
  }
  for (size_t d = 0; d < left.size(); ++d) {
    if (d == growing || (a.function != b.function && (!left[d].isConstant() || !right[d].isConstant())))
      continue;
    if (!sizes.mayBeEqual(left[d], right[d]).ok())
      return refuse(ErrorCode::E0304,
                    "a state keeps its dims, or grows along one whose size is open; a cache of a fixed capacity is "
                    "written at positions, by ScatterND, ScatterElements or TensorScatter");
  }
  return Status();
}

} // namespace

Status kiln::declareStates(ModuleOp module, std::span<const StateOption> states) {
  std::vector<Port> ports = portsOf(module);
  for (const StateOption &state : states) {
    auto name = StringAttr::get(module.getContext(), state.input);
    bool found[] = {false, false};
    for (Port &port : ports) {
      StringAttr own = port.attribute(nameAttrName);
      if (!own || own.getValue() != (port.isResult ? state.output : state.input))
        continue;
      if (port.isPart())
        return makeError(ErrorCode::E0204, port.describe(), " is a sequence or an optional; a state is a tensor");
      if (StringAttr other = port.attribute(stateAttrName))
        return makeError(ErrorCode::E0703, port.describe(), " belongs to two states, \"", other.getValue().str(),
                         "\" and \"", state.input, "\"");
      port.setState(name);
      found[port.isResult] = true;
    }
    for (bool isResult : {false, true})
      if (!found[isResult])
        return makeError(ErrorCode::E0501, "state ", state.input, "=", state.output, ": no model has an ",
                         isResult ? "output" : "input", " \"", isResult ? state.output : state.input, "\"");
  }
  return checkStates(module);
}

Status kiln::checkStates(ModuleOp module) {
  std::map<std::string, std::vector<Port>> all, states;
  std::map<std::string, std::optional<unsigned>> growing;
  for (const Port &port : portsOf(module))
    if (StringAttr name = port.attribute(stateAttrName))
      all[name.getValue().str()].push_back(port);
  for (const auto &[name, ports] : all) {
    KILN_ASSIGN(growing[name], growingDim(ports));
  }
  for (const Port &port : portsOf(module))
    if (StringAttr name = port.attribute(stateAttrName)) {
      std::vector<Port> &known = states[name.getValue().str()];
      for (const Port &other : known) {
        if (other.function == port.function && other.isResult == port.isResult)
          return makeError(ErrorCode::E0703, "state \"", name.getValue().str(), "\" is ", other.describe(), " and ",
                           port.describe());
        KILN_TRY(compare(other, port, growing[name.getValue().str()]));
      }
      known.push_back(port);
    }
  return Status();
}
