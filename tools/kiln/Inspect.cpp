// kiln inspect: what an artifact holds, without running it; so it also shows artifacts for other
// machines.

#include "runtime/host/HostKernels.h"
#include "runtime/plan/Arena.h"
#include "runtime/plan/Artifact.h"
#include "runtime/plan/Packing.h"
#include "runtime/plan/ProgramStates.h"
#include "tools/kiln/CalledFunctions.h"
#include "tools/kiln/Cli.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

namespace kiln::tools {
namespace {

using Json = nlohmann::ordered_json;

Failure failure(const Status &status) { return {Failed, formatError(status)}; }

template <typename T> T take(Result<T> result) {
  if (!result.ok())
    throw failure(result.status());
  return std::move(*result);
}

/// A view of a state in the model's order of axes.
std::string typeText(const Program &program, const Function &function, const StatePort &port, ViewId id) {
  const View &view = function.views[id];
  return std::string(dtypeName(view.dtype)) +
         printSizes(program.states[port.state].inModelOrder(std::span<const SizeExpr>(view.dims)));
}

/// An input or output as the host knows it, and the types of the tensors that it is made of.
struct ValueTypes {
  PortValue value;
  std::vector<std::string> types;

  const char *kind() const {
    static constexpr const char *kinds[] = {"tensor", "sequence", "optional", "optional sequence"};
    return kinds[static_cast<size_t>(value.kind)];
  }
  /// "f32[N]", "sequence of f32[N]", "sequence of 2: f32[2], f32[1]"
  std::string print() const {
    std::string text = value.kind == PortValue::Kind::Tensor     ? ""
                       : value.kind == PortValue::Kind::Optional ? "optional "
                                                                 : std::string(kind()) + " of ";
    text += value.items > 0 ? std::to_string(value.items) + ": " : "";
    for (const std::string &type : types)
      text += (&type == &types[0] ? "" : ", ") + type;
    return text;
  }
};

std::vector<ValueTypes> typesOf(const Function &function, const std::vector<PortValue> &values,
                                const std::vector<kiln::Port> &ports) {
  std::vector<ValueTypes> types;
  auto port = ports.begin();
  for (const PortValue &value : values) {
    ValueTypes &own = types.emplace_back(ValueTypes{value, {}});
    for (size_t i = 0; i < value.portCount(); ++i, ++port) {
      const View &view = function.views[port->view];
      own.types.push_back(
          std::string(dtypeName(view.dtype)) +
          printSizes({view.dims.begin() + static_cast<ptrdiff_t>(value.leadingDims()), view.dims.end()}));
    }
  }
  return types;
}

std::vector<ValueTypes> inputTypes(const Function &f) { return typesOf(f, f.hostInputs(), f.inputs); }
std::vector<ValueTypes> outputTypes(const Function &f) { return typesOf(f, f.hostOutputs(), f.outputs); }

/// The sizes at which figures are shown.
std::map<std::string, int64_t> sizesOf(const Program &all, const Function &program, const CompileArguments &arguments) {
  std::vector<Port> inputs;
  std::vector<size_t> leading; // dims that are none of an item, by port
  for (const PortValue &value : program.hostInputs())
    leading.insert(leading.end(), value.portCount(), value.leadingDims());
  leading.resize(program.takenCount());
  for (size_t i = 0; i < program.takenCount(); ++i) {
    std::string name = i < program.inputs.size() ? program.inputs[i].name
                                                 : all.states[program.states[i - program.inputs.size()].state].name;
    Port &port = inputs.emplace_back(Port{name, 0, {}, {}});
    const View &view = program.views[program.takenView(i)];
    const kiln::State *state = all.stateTaken(program, i);
    std::vector<SizeExpr> dims = state ? state->inModelOrder(std::span<const SizeExpr>(view.dims)) : view.dims;
    for (int32_t dtype = KILN_F32; dtype <= KILN_BOOL; ++dtype)
      if (dtypeName(view.dtype) == kiln_dtype_name(dtype))
        port.dtype = dtype;
    for (size_t d = leading[i]; d < dims.size(); ++d) { // --shape is about items
      port.dims.push_back(dims[d].asConstant().value_or(-1));
      port.texts.push_back(dims[d].print());
    }
  }
  std::vector<SizeSymbol> symbols;
  for (const ProgramSymbol &symbol : program.symbols)
    symbols.push_back({symbol.name, symbol.isBound() ? "" : symbol.value.print(), symbol.low,
                       symbol.isBound() && size_t(symbol.dim) < leading[size_t(symbol.input)]});
  return InputSizes(arguments, std::move(inputs), symbols).symbols();
}

size_t stepCount(const Program &program) { return program.firstStep(FunctionId(program.functions.size())); }

/// As `kiln bench` has it (kiln_step_kind).
const char *kindOf(const Program &program, const Step &step) {
  if (auto *call = std::get_if<HostCallStep>(&step.action))
    return !program.isInterpreted() && host::find(call->callee) ? "host" : "reference";
  const char *kinds[] = {"kernel", "reference", "copy", "function", "function", "function"};
  return kinds[step.action.index()];
}

size_t referenceSteps(const Program &program) {
  size_t count = 0;
  for (const Function &function : program.functions)
    for (const Step &step : function.steps)
      count += kindOf(program, step) == std::string_view("reference");
  return count;
}

struct Memory {
  int64_t arena = 0, lowerBound = 0, workspace = 0, states = 0;
};

Memory memoryOf(const Program &all, const Function &program, const std::map<std::string, int64_t> &symbols) {
  Memory memory;
  std::vector<PackInterval> intervals;
  std::vector<LiveInterval> live = liveIntervals(all, program);
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const Buffer &buffer = program.buffers[i];
    if (!buffer.inArena() || buffer.space == Buffer::Space::Device)
      continue;
    int64_t bytes = take(buffer.bytes.evaluate(symbols));
    intervals.push_back({bytes, live[i].first, live[i].last});
    if (buffer.place == Buffer::Place::Workspace)
      memory.workspace = std::max(memory.workspace, bytes);
  }
  for (const auto &port : program.states)
    memory.states += take(program.bytesOf(port).evaluate(symbols));
  memory.arena = program.arenaBytes.value_or(packOffsets(intervals).total);
  memory.lowerBound = packingLowerBound(intervals);
  return memory;
}

/// "conv" of a launch or call, for the table of operations.
std::string operationOf(const Program &program, const Step &step) {
  if (auto *launch = std::get_if<LaunchStep>(&step.action))
    return program.kernels[launch->kernel].family;
  if (auto *call = std::get_if<HostCallStep>(&step.action))
    return call->callee;
  if (std::holds_alternative<CopyStep>(step.action))
    return "copy";
  return std::holds_alternative<LoopStep>(step.action) ? "loop"
         : std::holds_alternative<IfStep>(step.action) ? "if"
                                                       : "call";
}

size_t findEntry(const Program &program, const std::string &name) {
  std::string names;
  for (size_t i = 0; i < program.entries.size(); ++i) {
    if (name.empty() || program.entries[i].name == name)
      return i;
    names += (names.empty() ? "" : ", ") + program.entries[i].name;
  }
  fail(Usage, "--entry: the model has no entry \"" + name + "\"; it has " + names + " [KILN-E0501]");
}

int64_t bytesOf(const Constant &constant) { return byteCount(constant.dtype, constant.dims).value_or(0); }

/// Constants that have a source of one kind, and their bytes.
template <typename Source> std::pair<size_t, int64_t> countConstants(const Program &program) {
  std::pair<size_t, int64_t> count;
  for (const Constant &constant : program.constants)
    if (std::holds_alternative<Source>(constant.source)) {
      ++count.first;
      count.second += bytesOf(constant);
    }
  return count;
}

Json constantOf(const Program &program, const Constant &constant) {
  Json json = {
      {"name", constant.name}, {"type", printTensorType(constant.dtype, constant.dims)}, {"bytes", bytesOf(constant)}};
  if (auto *section = std::get_if<SectionSource>(&constant.source)) {
    json["source"] = "artifact";
    json["offset"] = section->offset;
  } else if (auto *range = std::get_if<FileSource>(&constant.source)) {
    json["source"] = "file";
    json["file"] = program.files[range->file].path;
    json["offset"] = range->offset;
  } else if (const BoundSource *bound = constant.bound()) {
    json["source"] = "bound";
    json["name"] = bound->name;
  } else {
    const DerivedSource &derived = std::get<DerivedSource>(constant.source);
    json["source"] = "derived";
    json["from"] = derived.constant;
    json["recipe"] = derived.recipe.print();
  }
  return json;
}

/// "past f32[1,4,N,16], read and written"; of one that grows "past f32[1,4,P,16], read, written as f32[1,4,P+1,16];
/// grows along axis 2, at first in room for 2048"
std::string describeState(const Program &program, const Function &function, const StatePort &port) {
  const kiln::State &state = program.states[port.state];
  std::string text = state.name + " ";
  if (port.read || !state.growing)
    text += typeText(program, function, port, port.view) + (port.read ? ", read" : "");
  if (port.written && state.growing)
    text += (port.read ? ", written as " : "") + typeText(program, function, port, port.grown) +
            (port.read ? "" : ", written");
  else if (port.written)
    text += port.read ? " and written" : ", written";
  if (!state.growing)
    return text;
  int64_t room = firstCapacity(program, port.state);
  return text + "; grows along axis " + std::to_string(*state.growing) +
         (room > 0 ? ", at first in room for " + std::to_string(room) : "");
}

/// Inputs, outputs, states and sizes of an entry.
Json signatureOf(const Program &program, const Entry &named) {
  const Function &entry = program.functions[named.function];
  Json json = {{"name", named.name}};
  for (const auto &[key, values] : {std::pair("inputs", inputTypes(entry)), {"outputs", outputTypes(entry)}}) {
    json[key] = Json::array();
    for (const ValueTypes &own : values) {
      Json fields = {{"name", own.value.name}};
      if (own.value.kind != PortValue::Kind::Tensor)
        fields["kind"] = own.kind();
      if (own.value.items > 0)
        fields["items"] = own.types;
      else
        fields["type"] = own.types[0];
      json[key].push_back(fields);
    }
  }
  json["states"] = Json::array();
  for (const auto &port : entry.states) {
    Json fields = {{"name", program.states[port.state].name},
                   {"type", typeText(program, entry, port, port.read || port.grown == noView ? port.view : port.grown)},
                   {"reads", port.read},
                   {"writes", port.written}};
    if (program.states[port.state].growing) {
      fields["grows_along"] = *program.states[port.state].growing;
      fields["capacity"] = firstCapacity(program, port.state);
    }
    if (port.grown != noView)
      fields["becomes"] = typeText(program, entry, port, port.grown);
    json["states"].push_back(fields);
  }
  json["symbols"] = Json::array();
  const std::vector<PortValue> inputs = entry.hostInputs();
  for (const ProgramSymbol &symbol : entry.symbols) {
    Json fields = {{"name", symbol.name}};
    if (!symbol.isBound()) {
      fields["value"] = symbol.value.print();
    } else {
      auto [input, dim] = entry.hostPlace(program, symbol);
      if (auto place = static_cast<size_t>(input); place < inputs.size())
        fields["input"] = inputs[place].name;
      else
        fields["state"] = program.states[entry.states[place - inputs.size()].state].name;
      fields["dim"] = dim;
      fields["low"] = symbol.low;
      if (symbol.high != INT64_MAX)
        fields["high"] = symbol.high;
    }
    json["symbols"].push_back(fields);
  }
  return json;
}

Json toJson(const Artifact &artifact, size_t number, const std::map<std::string, int64_t> &symbols) {
  const Program &program = artifact.program();
  const Function &entry = program.entry(number);
  Memory memory = memoryOf(program, entry, symbols);
  WorkCount work = take(countWork(program, entry, symbols));
  Json json;
  json["name"] = program.entries[number].name;
  json["producer"] = program.producer;
  json["target"] = program.target;
  json["precision"] = program.precision;
  json["format_version"] = artifact.version();
  json.update(signatureOf(program, program.entries[number]));
  json["entries"] = Json::array();
  for (const Entry &other : program.entries)
    json["entries"].push_back(signatureOf(program, other));
  json["at"] = symbols;
  json["memory"] = {{"arena_bytes", memory.arena},
                    {"arena_lower_bound_bytes", memory.lowerBound},
                    {"workspace_bytes", memory.workspace},
                    {"state_bytes", memory.states},
                    {"weights_bytes", artifact.weights().size()},
                    {"code_bytes", artifact.code().size()},
                    {"artifact_bytes", artifact.bytes().size()}};
  json["constants"] = Json::array();
  for (const Constant &constant : program.constants)
    json["constants"].push_back(constantOf(program, constant));
  json["flops"] = work.flops;
  json["generated_flops"] = work.generatedFlops;
  json["generated_share"] = work.flops > 0 ? Json(work.generatedShare()) : Json();
  json["reference_steps"] = referenceSteps(program);
  json["kernels"] = Json::array();
  for (const Kernel &kernel : program.kernels)
    json["kernels"].push_back({{"family", kernel.family},
                               {"config", kernel.config},
                               {"problem", kernel.problem},
                               {"source", kernel.source},
                               {"price_us", double(kernel.price) * 1e-3},
                               {"code_bytes", kernel.codeBytes}});
  std::vector<CalledFunction> called = calledFunctions(program, program.entries[number].function, symbols);
  json["functions"] = Json::array();
  for (const CalledFunction &each : called) {
    const Function &function = program.functions[each.function];
    Result<WorkCount> own = countWork(program, function, each.symbols);
    json["functions"].push_back({{"name", function.name},
                                 {"node", each.node},
                                 {"flops", own.ok() ? Json(own->flops) : Json()},
                                 {"generated_flops", own.ok() ? Json(own->generatedFlops) : Json()},
                                 {"bytes", own.ok() ? Json(own->bytes) : Json()}});
  }
  called.push_back({program.entries[number].function, "", symbols});
  json["steps"] = Json::array();
  for (const Function &function : program.functions)
    for (const Step &step : function.steps) {
      Json fields = {{"kind", kindOf(program, step)}, {"operation", operationOf(program, step)}, {"node", step.node}};
      if (auto *launch = std::get_if<LaunchStep>(&step.action))
        fields["kernel"] = launch->kernel;
      fields["function"] = function.name;
      auto sizes =
          std::ranges::find(called, FunctionId(&function - program.functions.data()), &CalledFunction::function);
      if (sizes != called.end()) {
        StepWork own = workOf(program, function, step);
        Result<int64_t> flops = own.flops.evaluate(sizes->symbols), bytes = own.bytes.evaluate(sizes->symbols);
        if (flops.ok() && bytes.ok()) { // else only data tells the sizes
          fields["flops"] = *flops;
          fields["bytes"] = *bytes;
        }
      }
      json["steps"].push_back(fields);
    }
  return json;
}

/// The dearest steps of an entry by the prices that the compiler chose by, which hold for nominal sizes.
void printKernels(const Program &program, const Function &entry) {
  struct Row {
    const Kernel *kernel;
    const Step *step;
  };
  std::vector<Row> rows;
  double total = 0;
  for (const Step &step : entry.steps)
    if (auto *launch = std::get_if<LaunchStep>(&step.action); launch && program.kernels[launch->kernel].price > 0) {
      rows.push_back({&program.kernels[launch->kernel], &step});
      total += double(rows.back().kernel->price);
    }
  if (rows.empty())
    return;
  std::ranges::stable_sort(rows, std::ranges::greater(), [](const Row &row) { return row.kernel->price; });
  constexpr size_t most = 20;
  printf("\nkernels by price, an estimate for one core; kiln bench shows what they take\n");
  printf("  price us   share  %-12s %-40s chosen by\n", "family", "node");
  double rest = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto &[kernel, step] = rows[i];
    double price = double(kernel->price);
    if (i < most)
      printf("%10.1f  %5.1f %%  %-12s %-40s %s\n", price * 1e-3, 100 * price / total, kernel->family.c_str(),
             step->node.c_str(), kernel->source.c_str());
    else
      rest += price;
  }
  if (rows.size() > most)
    printf("%10.1f  %5.1f %%  %s\n", rest * 1e-3, 100 * rest / total, counted(rows.size() - most, "more step").c_str());
}

/// The work of functions that steps call, for each call.
void printCalled(const Program &program, const std::vector<CalledFunction> &called) {
  if (!called.empty())
    printf("\nfunctions that steps call, for each call\n");
  for (const CalledFunction &each : called) {
    const Function &function = program.functions[each.function];
    std::string of = each.node.empty() ? "goes on when a size is known" : "of node \"" + each.node + "\"";
    printf("  %-16s %s: ", function.name.c_str(), of.c_str());
    Result<WorkCount> work = countWork(program, function, each.symbols);
    if (!work.ok())
      printf("%s, of sizes that only data tells\n", counted(function.steps.size(), "step").c_str());
    else if (work->flops > 0)
      printf("%s, %.6g GFLOP, %.2f %% in generated code\n", counted(function.steps.size(), "step").c_str(),
             work->flops * 1e-9, 100 * work->generatedShare());
    else
      printf("%s, no floating-point work\n", counted(function.steps.size(), "step").c_str());
  }
}

void printText(const Artifact &artifact, size_t number, const std::map<std::string, int64_t> &symbols) {
  const Program &program = artifact.program();
  const Function &entry = program.entry(number);
  Memory memory = memoryOf(program, entry, symbols);
  WorkCount work = take(countWork(program, entry, symbols));
  printf("%s, by %s, for %s, precision %s\n", program.entries[number].name.c_str(), program.producer.c_str(),
         program.target.c_str(), program.precision.c_str());
  for (const ValueTypes &own : inputTypes(entry))
    printf("input   %s %s\n", own.value.name.c_str(), own.print().c_str());
  for (const ValueTypes &own : outputTypes(entry))
    printf("output  %s %s\n", own.value.name.c_str(), own.print().c_str());
  for (const auto &port : entry.states)
    printf("state   %s\n", describeState(program, entry, port).c_str());
  for (const ProgramSymbol &symbol : entry.symbols) {
    if (!symbol.isBound())
      printf("size    %s = %s\n", symbol.name.c_str(), symbol.value.print().c_str());
    else if (symbol.high == INT64_MAX)
      printf("size    %s, at least %ld\n", symbol.name.c_str(), static_cast<long>(symbol.low));
    else
      printf("size    %s, %ld..%ld\n", symbol.name.c_str(), static_cast<long>(symbol.low),
             static_cast<long>(symbol.high));
  }
  for (size_t i = 0; i < program.entries.size(); ++i)
    if (i != number)
      printf("entry   %s: %s, %s, %s; --entry %s shows it\n", program.entries[i].name.c_str(),
             counted(program.entry(i).hostInputs().size(), "input").c_str(),
             counted(program.entry(i).hostOutputs().size(), "output").c_str(),
             counted(program.entry(i).states.size(), "state").c_str(), program.entries[i].name.c_str());
  for (const WeightFile &file : program.files)
    printf("file    %s %llu bytes\n", file.path.c_str(), static_cast<unsigned long long>(file.bytes));
  for (const Constant &constant : program.constants)
    if (const BoundSource *bound = constant.bound())
      printf("bind    %s %s\n", bound->name.c_str(), printTensorType(constant.dtype, constant.dims).c_str());
  std::string at;
  for (const ProgramSymbol &symbol : entry.symbols)
    if (symbol.isBound())
      at += (at.empty() ? ", at " : ", ") + symbol.name + " = " + std::to_string(symbols.at(symbol.name));
  printf("\nmemory%s\n", at.c_str());
  printf("  arena      %12ld bytes, of which the largest kernel workspace: %ld; lower bound %ld\n",
         static_cast<long>(memory.arena), static_cast<long>(memory.workspace), static_cast<long>(memory.lowerBound));
  if (!entry.states.empty())
    printf("  states     %12ld bytes\n", static_cast<long>(memory.states));
  auto printConstants = [](const char *what, const std::pair<size_t, int64_t> &count, const char *where) {
    printf("  %-10s %12ld bytes in %s%s\n", what, static_cast<long>(count.second),
           counted(count.first, "constant").c_str(), where);
  };
  printConstants("weights", {countConstants<SectionSource>(program).first, int64_t(artifact.weights().size())}, "");
  if (auto count = countConstants<FileSource>(program); count.first > 0)
    printConstants("in files", count, "");
  if (auto count = countConstants<BoundSource>(program); count.first > 0)
    printConstants("bound", count, ", by the host");
  if (auto count = countConstants<DerivedSource>(program); count.first > 0)
    printConstants("derived", count, ", when their bytes are there");
  printf("  code       %12zu bytes in %s\n", artifact.code().size(), counted(program.kernels.size(), "kernel").c_str());
  printf("  artifact   %12zu bytes\n", artifact.bytes().size());
  printf("\nwork%s: ", at.c_str());
  if (work.flops > 0)
    printf("%.6g GFLOP, %.2f %% in generated code", work.flops * 1e-9, 100 * work.generatedShare());
  else
    printf("no floating-point work");
  printf("; %zu of %zu steps on reference kernels\n", referenceSteps(program), stepCount(program));

  struct Group {
    int steps = 0;
    double flops = 0;
  };
  std::map<std::pair<std::string, std::string>, Group> groups;
  for (const Step &step : entry.steps) {
    Group &group = groups[{kindOf(program, step), operationOf(program, step)}];
    ++group.steps;
    group.flops += static_cast<double>(take(workOf(program, entry, step).flops.evaluate(symbols)));
  }
  for (auto &[key, group] : groups)
    printf("  %5d %-9s %-14s %6.2f %%\n", group.steps, key.first.c_str(), key.second.c_str(),
           100 * group.flops / std::max(work.flops, 1.0));
  printCalled(program, calledFunctions(program, program.entries[number].function, symbols));
  printKernels(program, entry);
}

} // namespace

int inspectCommand(const InspectArguments &arguments) {
  std::shared_ptr<const Artifact> artifact;
  if (isArtifact(arguments.compile)) {
    artifact = take(Artifact::open(arguments.compile.model));
  } else {
    kiln_bytes bytes = compile(arguments.compile, "");
    Result<std::shared_ptr<const Artifact>> loaded =
        Artifact::fromBytes({static_cast<const std::byte *>(bytes.data), bytes.size});
    kiln_bytes_release(&bytes);
    artifact = take(std::move(loaded));
  }
  if (arguments.plan) {
    printf("%s", printProgram(artifact->program()).c_str());
    return Success;
  }
  size_t entry = findEntry(artifact->program(), arguments.entry);
  auto symbols = sizesOf(artifact->program(), artifact->program().entry(entry), arguments.compile);
  if (arguments.json)
    printf("%s\n",
           toJson(*artifact, entry, symbols).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  else
    printText(*artifact, entry, symbols);
  return Success;
}

} // namespace kiln::tools
