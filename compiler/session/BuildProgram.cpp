#include "compiler/session/BuildProgram.h"

#include "compiler/session/Diagnostics.h"
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/ValuePart.h"
#include "dialects/kiln/WeightStore.h"
#include "runtime/plan/Arena.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"

#include <set>

using namespace mlir;
using namespace kiln;
using namespace kiln::plan_ir;

namespace {

class ProgramBuilder {
public:
  ProgramBuilder(ModuleOp module, std::span<const KernelFamily *const> families, bool weightsInFiles)
      : module(module), families(families), weightsInFiles(weightsInFiles) {}

  Result<BuiltProgram> run() {
    for (auto kernel : module.getOps<plan_ir::KernelOp>())
      KILN_TRY(addKernel(kernel));
    for (auto program : module.getOps<ProgramOp>())
      functions[program.getSymName()] = static_cast<FunctionId>(functions.size());
    for (auto program : module.getOps<ProgramOp>()) {
      auto id = static_cast<FunctionId>(built.program.functions.size());
      built.program.functions.emplace_back().name = program.getSymName().str();
      function().sharesMemory = !program->hasAttr(noReuseAttrName);
      if (program.isPublic())
        built.program.entries.push_back({program.getSymName().str(), id});
      for (Operation &op : program.getBody().front())
        KILN_TRY(add(&op));
      markOpen();
      dropTensors(function().inputValues);
      dropTensors(function().outputValues);
      for (ProgramSymbol &symbol : function().symbols)
        if (boundByStates.count(symbol.name))
          symbol.input += static_cast<int32_t>(function().inputs.size());
      boundByStates.clear();
    }
    if (built.program.entries.empty())
      return makeError(ErrorCode::E0313, "the module holds no plan.program");
    assignArenas(built.program);
    return std::move(built);
  }

private:
  Status addKernel(plan_ir::KernelOp op) {
    kernels[op.getSymName()] = static_cast<KernelId>(built.kernels.size());
    KernelJob job;
    job.family = findFamily(families, std::string_view(op.getFamily()));
    if (!job.family)
      return makeError(ErrorCode::E0806, "kernel @", op.getSymName().str(), ": there is no family ",
                       op.getFamily().str());
    KILN_ASSIGN(job.problem, Problem::parse(std::string_view(op.getProblem())));
    KILN_ASSIGN(job.config, Attributes::parse(std::string_view(op.getConfig())));
    if (!job.family->claims(job.problem))
      return makeError(ErrorCode::E0806, "kernel @", op.getSymName().str(), ": family ", op.getFamily().str(),
                       " does not implement its problem");
    if (auto code = module.lookupSymbol<ModuleOp>(kernelCodeName(op)))
      llvm::raw_string_ostream(job.code) << code;
    built.kernels.push_back(std::move(job));
    built.program.kernels.push_back({op.getFamily().str(),
                                     op.getConfig().str(),
                                     op.getProblem().str(),
                                     op.readInterface(),
                                     0,
                                     0,
                                     {},
                                     op.getSource().str(),
                                     op.getPrice()});
    return Status::success();
  }

  Function &function() { return built.program.functions.back(); }

  BufferId addBuffer(Buffer buffer) {
    function().buffers.push_back(std::move(buffer));
    return static_cast<BufferId>(function().buffers.size() - 1);
  }

  ViewId addView(Value value, BufferId buffer, SizeExpr offset) {
    auto type = cast<ViewType>(value.getType());
    function().views.push_back({buffer, offset, type.getDType(), type.getDims()});
    return views[value] = static_cast<ViewId>(function().views.size() - 1);
  }

  Status add(Operation *op) {
    Function &program = function();
    return llvm::TypeSwitch<Operation *, Status>(op)
        .Case([&](BindShapeOp bind) {
          std::string name = bind.getSymbol().str();
          const Buffer &buffer = program.buffers[program.views[views[bind.getInput()]].buffer];
          auto input = static_cast<int32_t>(buffer.index);
          if (buffer.place == Buffer::Place::State) // after all inputs, of which more may come
            boundByStates.insert(name);
          return addSymbol(bind, {name, input, static_cast<int32_t>(bind.getDim()), -1, SizeExpr()});
        })
        .Case([&](ParameterOp parameter) {
          return addSymbol(
              parameter, {parameter.getSymbol().str(), -1, -1, static_cast<int32_t>(parameter.getIndex()), SizeExpr()});
        })
        .Case([&](DefineOp define) {
          return addSymbol(define, {define.getSymbol().str(), -1, -1, -1, sizeOf(define.getValue())});
        })
        .Case([&](CheckOp check) {
          using Relation = Condition::Relation;
          program.checks.push_back({sizeOf(check.getLhs()), sizeOf(check.getRhs()),
                                    check.getKind() == "equal"       ? Relation::Equal
                                    : check.getKind() == "broadcast" ? Relation::Broadcast
                                                                     : Relation::AtMost});
          return Status::success();
        })
        .Case([&](InputOp input) {
          ViewId view = addView(
              input, addBuffer({Buffer::Place::Input, static_cast<uint32_t>(program.inputs.size()), SizeExpr(), {}}),
              0);
          program.inputs.push_back({input.getName().str(), view});
          addToValues(program.inputValues, input, input.getName());
          return Status::success();
        })
        .Case([&](OutputOp output) {
          ViewId view = addView(
              output, addBuffer({Buffer::Place::Output, static_cast<uint32_t>(program.outputs.size()), SizeExpr(), {}}),
              0);
          program.outputs.push_back({output.getName().str(), view});
          addToValues(program.outputValues, output, output.getName());
          return Status::success();
        })
        .Case([&](StateOp state) { return addState(state); })
        .Case([&](plan_ir::ConstantOp constant) { return addConstant(constant); })
        .Case([&](AllocOp alloc) {
          Buffer buffer;
          if (alloc.getPlace() == "returned") {
            buffer.place = Buffer::Place::Returned;
            for (const Buffer &other : program.buffers)
              buffer.index += other.place == Buffer::Place::Returned;
          } else {
            buffer.place = alloc.getPlace() == "workspace" ? Buffer::Place::Workspace : Buffer::Place::Arena;
            buffer.bytes = alloc.getView().getType().getBytes();
          }
          addView(alloc, addBuffer(buffer), 0);
          return Status::success();
        })
        .Case([&](AliasOp alias) {
          View base = program.views[views[alias.getBase()]];
          addView(alias, base.buffer, base.offset + sizeOf(alias.getOffset()));
          return Status::success();
        })
        .Case([&](LaunchOp launch) { return addLaunch(launch); })
        .Case([&](HostCallOp call) { return addHostCall(call); })
        .Case([&](plan_ir::CallOp call) -> Status {
          CallStep step;
          KILN_ASSIGN(step.callee, callOf(call.getCallee(), call.getInputs()));
          for (auto size : call.getSizes().getAsRange<StringAttr>())
            step.callee.sizes.push_back({sizeOf(size), noView, 0});
          step.outputs = viewsOf(call.getOutputs());
          addStep(op, std::move(step));
          return Status::success();
        })
        .Case([&](plan_ir::IfOp branch) -> Status {
          IfStep step;
          step.condition = views[branch.getCondition()];
          KILN_ASSIGN(step.then, callOf(branch.getThenProgram(), branch.getThenInputs()));
          KILN_ASSIGN(step.otherwise, callOf(branch.getElseProgram(), branch.getElseInputs()));
          step.outputs = viewsOf(branch.getOutputs());
          addStep(op, std::move(step));
          return Status::success();
        })
        .Case([&](plan_ir::LoopOp loop) -> Status {
          LoopStep step;
          KILN_ASSIGN(step.body, callOf(loop.getBody(), loop.getInputs()));
          step.count = loop.getCount() ? views[loop.getCount()] : noView;
          step.condition = loop.getCondition() ? views[loop.getCondition()] : noView;
          step.initial = viewsOf(loop.getInitial());
          step.outputs = viewsOf(loop.getOutputs());
          addStep(op, std::move(step));
          return Status::success();
        })
        .Case([&](CopyOp copy) {
          addStep(op, CopyStep{views[copy.getSource()], views[copy.getTarget()]});
          return Status::success();
        })
        .Default([&](Operation *other) {
          return makeError(ErrorCode::E0313, "unexpected ", other->getName().getStringRef().str(),
                           " in a plan.program");
        });
  }

  /// What the host knows the port as; an item other than the first one belongs to a value that is there.
  static void addToValues(std::vector<PortValue> &values, Operation *port, StringRef name) {
    std::optional<ValuePart> part = ValuePart::read(port->getAttr(valueAttrName));
    if (!part)
      values.push_back({name.str()});
    else if (part->item == 0)
      values.push_back({part->value,
                        !part->isOptional  ? PortValue::Kind::Sequence
                        : part->isSequence ? PortValue::Kind::OptionalSequence
                                           : PortValue::Kind::Optional,
                        static_cast<uint32_t>(part->items)});
  }
  /// Where all are tensors, ports say all there is.
  static void dropTensors(std::vector<PortValue> &values) {
    if (llvm::all_of(values, [](const PortValue &value) { return value.kind == PortValue::Kind::Tensor; }))
      values.clear();
  }

  std::vector<ViewId> viewsOf(ValueRange values) {
    std::vector<ViewId> ids;
    for (Value value : values)
      ids.push_back(views[value]);
    return ids;
  }

  Result<Call> callOf(StringRef callee, ValueRange inputs) {
    auto found = functions.find(callee);
    if (found == functions.end())
      return makeError(ErrorCode::E0313, "a call names the unknown program @", callee.str());
    return Call{found->second, viewsOf(inputs), {}};
  }

  /// Views whose dims name sizes that this function does not have.
  void markOpen() {
    std::set<std::string> known;
    for (const ProgramSymbol &symbol : function().symbols)
      known.insert(symbol.name);
    for (View &view : function().views) {
      std::set<std::string> used;
      for (const SizeExpr &dim : view.dims)
        dim.collectSymbols(used);
      Buffer::Place place = function().buffers[view.buffer].place;
      view.open = place == Buffer::Place::Returned ||
                  (place == Buffer::Place::Output &&
                   llvm::any_of(used, [&](const std::string &name) { return !known.count(name); }));
    }
  }

  /// With the range and divisor that the op states.
  template <typename OpT> Status addSymbol(OpT op, ProgramSymbol symbol) {
    symbol.low = static_cast<int64_t>(op.getLow());
    symbol.high = static_cast<int64_t>(op.getHigh().value_or(INT64_MAX));
    if (auto divisor = static_cast<int64_t>(op.getDivisor()); divisor != 1)
      function().checks.push_back({SizeExpr::symbol(symbol.name), divisor, Condition::Relation::MultipleOf});
    function().symbols.push_back(std::move(symbol));
    return Status::success();
  }

  /// Of entries that say of a dim what it is, one with a number tells it, else the first. The length of a state that
  /// grows is its own, so there an open size tells more than a number.
  Status addState(StateOp op) {
    Program &program = built.program;
    auto type = op.getView().getType();
    auto [known, isNew] = states.try_emplace(op.getName(), static_cast<uint32_t>(program.states.size()));
    std::optional<uint32_t> growing;
    if (auto axis = op.getGrowing())
      growing = static_cast<uint32_t>(*axis);
    if (isNew)
      program.states.push_back({op.getName().str(), type.getDType(), type.getDims(), growing});
    State &state = program.states[known->second];
    std::vector<SizeExpr> dims = type.getDims();
    auto refuse = [&] {
      return makeError(ErrorCode::E0304, "state \"", state.name, "\" is ", dtypeName(state.dtype),
                       printSizes(state.dims), " in one entry and ", type.getText().str(), " in another");
    };
    if (state.dtype != type.getDType() || state.dims.size() != dims.size() || state.growing != growing)
      return refuse();
    if (growing && !state.dims[0].asSymbol())
      state.dims[0] = dims[0];
    for (size_t d = growing ? 1 : 0; d < dims.size(); ++d) {
      if (state.dims[d].isConstant() && dims[d].isConstant() && state.dims[d] != dims[d])
        return refuse();
      if (dims[d].isConstant() || (dims[d].asSymbol() && !state.dims[d].asSymbol() && !state.dims[d].isConstant()))
        state.dims[d] = dims[d];
    }
    BufferId buffer =
        addBuffer({Buffer::Place::State, static_cast<uint32_t>(function().states.size()), SizeExpr(), {}});
    StatePort port{known->second, addView(op, buffer, 0), op.getReads(), op.getWrites()};
    if (auto grown = op.getGrown()) {
      auto after = cast<ViewType>(*grown);
      port.grown = static_cast<ViewId>(function().views.size());
      function().views.push_back({buffer, 0, after.getDType(), after.getDims()});
    }
    function().states.push_back(port);
    return Status();
  }

  Status addConstant(plan_ir::ConstantOp op) {
    auto type = op.getView().getType();
    Constant constant;
    constant.name = nodeName(op.getLoc());
    constant.dtype = type.getDType();
    for (const SizeExpr &dim : type.getDims()) {
      if (!dim.isConstant())
        return makeError(ErrorCode::E0313, "a constant has the symbolic size ", dim.print());
      constant.dims.push_back(dim.constant());
    }
    KILN_ASSIGN(Recipe recipe, Recipe::parse(std::string_view(op.getRecipe())));
    // Functions share what they have in common.
    std::tuple key{op.getSource(), mlir::Attribute(op.getRecipeAttr()), Type(type)};
    auto known = constants.find(key);
    if (known == constants.end()) {
      KILN_ASSIGN(uint32_t index, placeConstant(op.getSource(), std::move(recipe), std::move(constant)));
      known = constants.try_emplace(key, index).first;
    }
    addView(op, addBuffer({Buffer::Place::Constant, known->second, SizeExpr(), {}}), 0);
    return Status::success();
  }

  /// `value` packed by `recipe`, which is of the type that `constant` says.
  Result<uint32_t> placeConstant(mlir::Attribute value, Recipe recipe, Constant constant) {
    if (auto bound = dyn_cast<BoundAttr>(value)) {
      std::string name = bound.getName().str();
      uint32_t raw = once("bound " + name, typed(name, bound.getSource(), BoundSource{name}));
      if (const Constant &known = built.program.constants[raw]; !isOfType(known, bound.getSource()))
        return makeError(ErrorCode::E0313, "constant \"", name, "\" is bound as two types");
      KILN_ASSIGN(Recipe all, Recipe::parse(std::string_view(bound.getRecipe().getValue())));
      all.steps.insert(all.steps.end(), recipe.steps.begin(), recipe.steps.end());
      return derivedConstant(raw, std::move(all), std::move(constant));
    }
    if (auto weight = dyn_cast<WeightAttr>(value); weight && weightsInFiles) {
      WeightStore &store = module.getContext()->getLoadedDialect<KilnDialect>()->weights();
      WeightStore::Place place = store.placeOf(std::string_view(weight.getFile().getValue()));
      if (!place.path.empty()) {
        FileSource range{fileOf(place), weight.getOffset(), weight.getDigest()};
        Constant raw = typed(constant.name, weight.getType(), range);
        std::string key = "file " + std::to_string(range.file) + " " + std::to_string(range.offset) + " " +
                          printTensorType(raw.dtype, raw.dims);
        return derivedConstant(once(key, std::move(raw)), std::move(recipe), std::move(constant));
      }
    }
    return keep(std::move(constant), {value, std::move(recipe)});
  }

  uint32_t derivedConstant(uint32_t raw, Recipe recipe, Constant constant) {
    if (recipe.steps.empty())
      return raw;
    std::string key = "derived " + std::to_string(raw) + " " + recipe.print();
    constant.source = DerivedSource{raw, std::move(recipe)};
    return once(key, std::move(constant));
  }

  template <typename Source> static Constant typed(const std::string &name, Type type, Source source) {
    auto tensor = cast<RankedTensorType>(type);
    return {name, *dtypeOf(tensor.getElementType()), {tensor.getShape().begin(), tensor.getShape().end()}, source};
  }
  static bool isOfType(const Constant &constant, Type type) {
    Constant other = typed("", type, SectionSource());
    return other.dtype == constant.dtype && other.dims == constant.dims;
  }

  uint32_t keep(Constant constant, PackedConstant packed) {
    built.program.constants.push_back(std::move(constant));
    built.constants.push_back(std::move(packed));
    return static_cast<uint32_t>(built.program.constants.size() - 1);
  }
  /// A constant outside of the weights section, which is there once.
  uint32_t once(const std::string &key, Constant constant) {
    auto known = outside.find(key);
    return known != outside.end() ? known->second : outside[key] = keep(std::move(constant), {});
  }

  uint32_t fileOf(const WeightStore::Place &place) {
    std::vector<WeightFile> &files = built.program.files;
    for (uint32_t i = 0; i < files.size(); ++i)
      if (files[i].path == place.path)
        return i;
    files.push_back({place.path, place.bytes});
    return static_cast<uint32_t>(files.size() - 1);
  }

  Status addLaunch(LaunchOp op) {
    auto kernel = kernels.find(op.getKernel());
    if (kernel == kernels.end())
      return makeError(ErrorCode::E0313, "a launch names the unknown kernel @", op.getKernel().str());
    const KernelInterface &interface = built.program.kernels[kernel->second].interface;
    std::vector<KernelOperand> operands = interface.operands();
    if (op.getBuffers().size() != operands.size() || op.getSizes().size() != interface.symbols.size())
      return makeError(ErrorCode::E0313, "a launch of kernel @", op.getKernel().str(), " with ", op.getBuffers().size(),
                       " operands and ", op.getSizes().size(), " sizes; its interface has ", operands.size(), " and ",
                       interface.symbols.size());
    LaunchStep step;
    step.kernel = kernel->second;
    for (auto [operand, buffer] : llvm::zip(operands, op.getBuffers())) {
      if (operand.isWritten() && isReadOnly(buffer))
        return makeError(ErrorCode::E0313, "a launch of kernel @", op.getKernel().str(),
                         " writes an input or a constant");
      step.operands.push_back(views[buffer]);
    }
    for (auto size : op.getSizes().getAsRange<StringAttr>())
      step.sizes.push_back(sizeOf(size));
    addStep(op, std::move(step));
    return Status::success();
  }

  Status addHostCall(HostCallOp op) {
    HostCallStep step;
    step.callee = op.getCallee().str();
    KILN_ASSIGN(step.attributes, Attributes::parse(std::string_view(op.getOpAttributes())));
    auto input = op.getInputs().begin();
    for (char present : op.getPresent())
      step.inputs.push_back(present == '1' ? views[*input++] : noView);
    for (Value output : op.getOutputs())
      step.outputs.push_back(views[output]);
    step.flops = sizeOf(op.getFlops());
    step.bytes = sizeOf(op.getBytes());
    addStep(op, std::move(step));
    return Status::success();
  }

  template <typename Action> void addStep(Operation *op, Action action) {
    kiln::Step &added = function().steps.emplace_back();
    added.action = std::move(action);
    added.node = nodeName(op->getLoc());
  }

  ModuleOp module;
  std::span<const KernelFamily *const> families;
  bool weightsInFiles;
  BuiltProgram built;
  llvm::StringMap<KernelId> kernels;
  llvm::StringMap<FunctionId> functions;
  llvm::StringMap<uint32_t> states;
  std::set<std::string> boundByStates;                                              // symbols of the function under way
  DenseMap<std::tuple<mlir::Attribute, mlir::Attribute, Type>, uint32_t> constants; // by source, recipe and type
  llvm::StringMap<uint32_t> outside; // constants that do not lie in the weights section, by what they are
  DenseMap<Value, ViewId> views;
};

} // namespace

std::string kiln::kernelCodeName(plan_ir::KernelOp kernel) { return kernel.getSymName().str() + "_code"; }

Result<BuiltProgram> kiln::buildProgram(ModuleOp module, std::span<const KernelFamily *const> families,
                                        bool weightsInFiles) {
  return ProgramBuilder(module, families, weightsInFiles).run();
}
