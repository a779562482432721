#include "runtime/exec/SizeWords.h"

#include "runtime/plan/Calls.h"

#include <algorithm>

namespace kiln {

namespace {

/// The names of a model never hold this (SizeExpr::symbolName).
bool isMadeUp(std::string_view name) { return name.find("$_") != std::string_view::npos; }

std::string atNode(const Step &step) { return " of node \"" + step.node + "\""; }

/// What a step makes one by one; not of launches, whose operands do not say.
const std::vector<ViewId> *outputsOf(const Step &step) {
  if (auto *host = std::get_if<HostCallStep>(&step.action))
    return &host->outputs;
  if (auto *call = std::get_if<CallStep>(&step.action))
    return &call->outputs;
  if (auto *branch = std::get_if<IfStep>(&step.action))
    return &branch->outputs;
  if (auto *loop = std::get_if<LoopStep>(&step.action))
    return &loop->outputs;
  return nullptr;
}

} // namespace

std::optional<SizeWords::Site> SizeWords::callSite() const {
  auto id = FunctionId(&function - program.functions.data());
  for (const Function &caller : program.functions)
    for (const Step &step : caller.steps)
      for (const Call *call : callsOf(step))
        if (call->function == id)
          return Site{&caller, &step, call, leadingInputs(step)};
  return std::nullopt;
}

std::string SizeWords::taken(size_t i) const {
  std::optional<Site> site = callSite();
  if (!site)
    return program.nameTaken(function, i);
  if (i >= site->leading)
    return SizeWords(program, *site->caller).value(site->call->inputs[i - site->leading]);
  return (i == 0   ? "the iteration"
          : i == 1 ? "the condition"
                   : "carried value " + std::to_string(i - 2)) +
         atNode(*site->step);
}

std::string SizeWords::nameOf(size_t i) const {
  return i < function.inputs.size() && !callSite() ? "\"" + function.inputs[i].name + "\"" : taken(i);
}

std::string SizeWords::value(ViewId id) const {
  const View &view = function.views[id];
  const Buffer &buffer = function.buffers[view.buffer];
  if (buffer.place == Buffer::Place::Constant)
    return "constant \"" + program.constants[buffer.index].name + "\"";
  bool isInput = buffer.place == Buffer::Place::Input;
  if (!isInput && buffer.place != Buffer::Place::State)
    return result(view.buffer);
  size_t number = buffer.index + (isInput ? 0 : function.inputs.size());
  bool isWhole = function.views[function.takenView(number)].dims == view.dims;
  return (isWhole ? "" : "a view of ") + taken(number);
}

std::string SizeWords::result(BufferId buffer) const {
  auto shows = [&](ViewId view) { return view != noView && function.views[view].buffer == buffer; };
  for (const Step &step : function.steps) {
    const std::vector<ViewId> *outputs = outputsOf(step);
    if (auto *launch = std::get_if<LaunchStep>(&step.action); launch && std::ranges::any_of(launch->operands, shows))
      return "a result" + atNode(step);
    if (auto *copy = std::get_if<CopyStep>(&step.action); copy && shows(copy->target))
      return value(copy->source);
    auto found = outputs ? std::ranges::find_if(*outputs, shows) : std::vector<ViewId>::const_iterator();
    if (!outputs || found == outputs->end())
      continue;
    auto number = size_t(found - outputs->begin());
    auto *call = std::get_if<CallStep>(&step.action);
    if (!call || !step.node.empty())
      return "output " + std::to_string(number) + atNode(step);
    const Function &rest = program.functions[call->callee.function]; // what goes on with a size from data
    return SizeWords(program, rest).value(rest.outputs[number].view);
  }
  return "a value";
}

std::string SizeWords::axisTaken(size_t i, size_t axis) const {
  const State *state = program.stateTaken(function, i);
  return std::to_string(state ? state->modelAxis(axis) : axis);
}

std::string SizeWords::typeTaken(size_t i) const {
  const View &view = function.views[function.takenView(i)];
  const State *state = program.stateTaken(function, i);
  std::vector<SizeExpr> dims = state ? state->inModelOrder(std::span<const SizeExpr>(view.dims)) : view.dims;
  for (SizeExpr &dim : dims)
    if (!dim.isConstant() && !named(dim))
      dim = SizeExpr::symbol("?");
  return std::string(dtypeName(view.dtype)) + printSizes(dims);
}

const ProgramSymbol *SizeWords::symbolOf(const SizeExpr &size) const {
  std::optional<std::string> name = size.asSymbol();
  auto found = std::ranges::find_if(function.symbols, [&](const ProgramSymbol &s) { return name == s.name; });
  return found == function.symbols.end() ? nullptr : &*found;
}

const ProgramSymbol *SizeWords::named(const SizeExpr &size) const {
  const ProgramSymbol *symbol = symbolOf(size);
  return symbol && !isMadeUp(symbol->name) ? symbol : nullptr;
}

std::optional<std::string> SizeWords::place(const SizeExpr &size) const {
  const ProgramSymbol *symbol = symbolOf(size);
  if (symbol && symbol->isBound())
    return "dim " + axisTaken(size_t(symbol->input), size_t(symbol->dim)) + " of " + nameOf(size_t(symbol->input));
  std::optional<Site> site = callSite();
  if (!symbol || symbol->isDefined() || !site)
    return std::nullopt;
  const SizeArgument &given = site->call->sizes[size_t(symbol->parameter)];
  SizeWords outside(program, *site->caller);
  return given.view == noView ? outside.place(given.value)
                              : "element " + std::to_string(given.element) + " of " + outside.value(given.view);
}

std::pair<std::string, std::string> SizeWords::expression(const SizeExpr &size) const {
  std::map<std::string, SizeExpr> definitions, letters; // of made-up names
  std::string where;
  for (const ProgramSymbol &symbol : function.symbols)
    if (symbol.isDefined() && isMadeUp(symbol.name))
      definitions.emplace(symbol.name, symbol.value.substitute(definitions));
  SizeExpr spelled = size.substitute(definitions);
  if (spelled.isInvalid()) // longer than an expression may be
    return {size.print(), ""};
  std::set<std::string> names;
  spelled.collectSymbols(names);
  for (const std::string &name : names) {
    std::optional<std::string> words = isMadeUp(name) ? place(SizeExpr::symbol(name)) : std::nullopt;
    if (!words)
      continue;
    std::string letter = "n";
    for (int number = 2; names.count(letter); ++number)
      letter = "n" + std::to_string(number);
    names.insert(letter);
    letters.emplace(name, SizeExpr::symbol(letter));
    where += (where.empty() ? ", where " : " and ") + letter + " is " + *words;
  }
  return {spelled.substitute(letters).print(), where};
}

} // namespace kiln
