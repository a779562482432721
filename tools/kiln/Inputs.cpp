// Sizes and values of a run's inputs: from files, from --shape, or made up.

#include "runtime/base/SizeExpr.h"
#include "runtime/base/SizeList.h"
#include "tools/kiln/Cli.h"
#include "tools/kiln/Npy.h"

#include <algorithm>
#include <cstdio>

namespace kiln::tools {

// ---- sizes

static std::string namesOf(const std::vector<Port> &ports) {
  std::string names;
  for (const Port &port : ports)
    names += (names.empty() ? "" : ", ") + port.name;
  return names.empty() ? "none" : names;
}

static const Port &findInput(const std::vector<Port> &inputs, const std::string &name, const char *option) {
  for (const Port &input : inputs)
    if (input.name == name)
      return input;
  fail(Usage, std::string(option) + ": the model has no input \"" + name + "\"; its inputs are " + namesOf(inputs) +
                  " [KILN-E0501]");
}

/// Whether a name is that of an item of a sequence, such as "s[0]".
bool InputSizes::isItem(const std::string &name) const {
  return std::ranges::any_of(inputs, [&](const Port &port) {
    return port.kind == KILN_PORT_SEQUENCE && name.starts_with(port.name + "[") && name.ends_with("]");
  });
}

/// Reads one --shape. What is no number named a size or gave it a range while compiling, and leaves it open here.
void InputSizes::read(const std::string &shape, const std::string &model, bool artifact) {
  size_t equals = shape.rfind('=');
  if (equals == std::string::npos || equals == 0)
    fail(Usage, "shape \"" + shape + "\" is not of the form NAME=1x3x224x224 [KILN-E0701]");
  if (!artifact && isItem(shape.substr(0, equals))) // of which the compiler knows
    return;
  const Port &input = findInput(inputs, shape.substr(0, equals), "--shape");
  std::string quoted = "--shape \"" + shape + "\": ";
  std::vector<int64_t> dims;
  for (std::string_view size : splitSizes(std::string_view(shape).substr(equals + 1))) {
    std::string dim(size);
    bool digits = !dim.empty() && dim.size() < 16 && dim.find_first_not_of("0123456789") == std::string::npos;
    if (!digits && artifact)
      fail(Usage, quoted + "\"" + dim + "\" is no number; names and ranges of sizes are given when compiling, and " +
                      model + " is compiled already [KILN-E0703]");
    dims.push_back(digits ? std::stoll(dim) : -1);
  }
  if (dims.size() != input.dims.size())
    fail(Usage, quoted + counted(dims.size(), "size") + " for an input of type " + input.type() + " [KILN-E0504]");
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] >= 0 && input.dims[i] >= 0 && dims[i] != input.dims[i])
      fail(Usage,
           quoted + "dim " + std::to_string(i) + " is " + input.texts[i] + ", fixed when compiling [KILN-E0505]");
  if (!given.emplace(input.name, std::move(dims)).second)
    fail(Usage, "--shape: two shapes for the input \"" + input.name + "\" [KILN-E0703]");
}

InputSizes::InputSizes(const CompileArguments &arguments, std::vector<Port> ports,
                       const std::vector<SizeSymbol> &symbols, const std::map<std::string, std::vector<int64_t>> &files)
    : inputs(std::move(ports)) {
  bool artifact = isArtifact(arguments);
  for (const std::string &shape : arguments.shapes)
    read(shape, arguments.model, artifact);
  for (const auto &[name, dims] : files) {
    if (artifact && given.count(name))
      fail(Usage, "--shape: input \"" + name + "\" comes from a file, which has its sizes [KILN-E0703]");
    given[name] = dims;
  }
  for (const Port &input : inputs)
    if (auto sizes = given.find(input.name); sizes != given.end())
      for (size_t i = 0; i < input.dims.size() && i < sizes->second.size(); ++i)
        if (input.dims[i] < 0 && sizes->second[i] >= 0)
          values.emplace(input.texts[i], sizes->second[i]);
  std::string chosen;
  bool ones = true;
  for (const SizeSymbol &symbol : symbols) {
    if (!symbol.expression.empty()) {
      Result<SizeExpr> expression = SizeExpr::parse(symbol.expression);
      if (Result<int64_t> value = expression.ok() ? expression->evaluate(values) : expression.status(); value.ok())
        values[symbol.name] = *value;
    } else if (symbol.isCount) { // --shape is about items
      values[symbol.name] = 1;
    } else if (!values.count(symbol.name)) {
      int64_t least = values[symbol.name] = std::max<int64_t>(symbol.low, 1);
      chosen += " " + symbol.name + "=" + std::to_string(least);
      ones &= least == 1;
    }
  }
  if (!chosen.empty())
    fprintf(stderr, "warning: sizes not given are %s:%s; set them with --shape\n", ones ? "1" : "the least allowed",
            chosen.c_str());
}

std::vector<int64_t> InputSizes::dims(const Port &input) const {
  std::vector<int64_t> dims = input.dims;
  auto sizes = given.find(input.name);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] >= 0)
      continue;
    if (sizes != given.end() && i < sizes->second.size() && sizes->second[i] >= 0) {
      dims[i] = sizes->second[i];
      continue;
    }
    Result<SizeExpr> expression = SizeExpr::parse(input.texts[i]);
    Result<int64_t> value = expression.ok() ? expression->evaluate(values) : expression.status();
    dims[i] = value.ok() ? *value : 1;
  }
  return dims;
}

static std::vector<SizeSymbol> symbolsOf(const kiln_model *model, size_t entry) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_entry_info info = KILN_ENTRY_INFO_INIT;
  kiln_model_get_entry(model, entry, &info, &status);
  check(status);
  std::vector<SizeSymbol> symbols;
  for (size_t i = 0; i < info.symbol_count; ++i) {
    kiln_symbol_info symbol = {};
    symbol.size = sizeof symbol;
    kiln_model_get_entry_symbol(model, entry, i, &symbol, &status);
    check(status);
    symbols.push_back(
        {symbol.name, symbol.expression ? symbol.expression : "", symbol.low, !symbol.expression && symbol.dim < 0});
  }
  return symbols;
}

// ---- values

/// States for the model's runs, of the sizes that the entry's states have by `sizes`; all others are 1.
static State makeState(kiln_model *model, const std::vector<EntryState> &ports, const InputSizes &sizes) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model_info info = KILN_MODEL_INFO_INIT;
  kiln_model_get_info(model, &info, &status);
  check(status);
  std::map<std::string, int64_t> values;
  for (uint32_t i = 0; i < info.state_count; ++i) {
    kiln_port_info state = KILN_PORT_INFO_INIT;
    kiln_model_get_state(model, i, &state, &status);
    check(status);
    auto port = std::ranges::find(ports, i, &EntryState::state);
    for (int32_t d = 0; d < state.rank; ++d)
      if (state.dims[d].value < 0 && d != state.growing)
        values.emplace(state.dims[d].text, port == ports.end() ? 1 : sizes.dims(*port)[static_cast<size_t>(d)]);
  }
  std::vector<kiln_size> list;
  for (const auto &[name, value] : values)
    list.push_back({name.c_str(), value});
  kiln_state *state = nullptr;
  kiln_state_create(model, list.data(), list.size(), &state, &status);
  check(status);
  return State(state);
}

void Inputs::restoreLengths() const {
  kiln_status status = KILN_STATUS_INIT;
  for (const auto &[name, length] : lengths) {
    kiln_state_resize(state.get(), name.c_str(), length, &status);
    check(status);
  }
}

/// What files hold: PATH, of a sequence PATH,@PATH,@PATH, or `none` of its items.
static Value readInput(const Port &input, bool none, const std::string &paths) {
  bool isSequence = input.kind == KILN_PORT_SEQUENCE || input.kind == KILN_PORT_OPTIONAL_SEQUENCE;
  if (!isSequence && !none)
    return readValue(input.name, paths);
  if (!isSequence)
    fail(Usage, "--input: \"" + input.name + "\" is no sequence [KILN-E0511]");
  Value value;
  value.name = input.name;
  value.kind = KILN_SEQUENCE;
  for (size_t start = 0; !none && start != std::string::npos;) {
    size_t end = paths.find(",@", start);
    value.items.push_back(readValue(input.name, paths.substr(start, end - start)));
    start = end == std::string::npos ? end : end + 2;
  }
  return value;
}

/// Of an optional nothing; of a sequence one item, or as many as the model knows that it has.
static Value makeUpInput(const Port &port, const InputSizes &sizes) {
  if (port.kind == KILN_PORT_TENSOR)
    return makeUp(port.name, port.dtype, sizes.dims(port));
  Value value;
  value.name = port.name;
  value.madeUp = true;
  value.kind = port.kind == KILN_PORT_SEQUENCE ? KILN_SEQUENCE : KILN_NONE;
  if (value.kind == KILN_NONE)
    return value;
  if (port.differ)
    fail(Failed, "the items of input \"" + port.name + "\" have dims of their own; give a file for each, as " +
                     port.name + "=@A.npy,@B.npy [KILN-E0502]");
  for (int32_t i = 0; i < std::max(port.length, 1); ++i)
    value.items.push_back(makeUp(port.name + "[" + std::to_string(i) + "]", port.dtype, sizes.dims(port)));
  return value;
}

Inputs makeInputs(kiln_model *model, size_t entry, const CompileArguments &arguments,
                  const std::vector<std::string> &files) {
  std::vector<Port> inputs = inputsOf(model, entry), ports = inputs;
  std::vector<EntryState> states = statesOf(model, entry);
  ports.insert(ports.end(), states.begin(), states.end());
  std::map<std::string, Value> read;
  std::map<std::string, std::vector<int64_t>> readDims;
  for (const std::string &file : files) {
    bool none = file.ends_with("=[]");
    auto [name, paths] = none ? std::pair(file.substr(0, file.size() - 3), std::string()) : parseFile(file);
    const Port &input = findInput(ports, name, "--input");
    auto [known, added] = read.emplace(input.name, Value());
    if (!added)
      fail(Usage, "--input: \"" + input.name + "\" is given twice [KILN-E0703]");
    known->second = readInput(input, none, paths);
    if (known->second.kind == KILN_TENSOR)
      readDims[input.name] = known->second.dims;
    else if (!known->second.items.empty())
      readDims[input.name] = known->second.items[0].dims;
  }
  InputSizes sizes(arguments, ports, symbolsOf(model, entry), readDims);
  Inputs made;
  for (const Port &port : inputs) {
    auto found = read.find(port.name);
    made.values.push_back(found != read.end() ? std::move(found->second) : makeUpInput(port, sizes));
  }
  made.state = makeState(model, states, sizes);
  for (const EntryState &port : states)
    if (port.growing >= 0)
      made.lengths.emplace_back(port.name, sizes.dims(port)[static_cast<size_t>(port.growing)]);
  made.restoreLengths();
  for (const EntryState &port : states)
    if (auto found = read.find(port.name); found != read.end()) {
      kiln_status status = KILN_STATUS_INIT;
      kiln_value value = found->second.view();
      kiln_state_set(made.state.get(), port.name.c_str(), &value, &status);
      check(status);
    }
  return made;
}

} // namespace kiln::tools
