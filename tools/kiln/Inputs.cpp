// Sizes and values of a run's inputs: from files, from --shape, or made up.

#include "runtime/base/SizeExpr.h"
#include "tools/kiln/Cli.h"
#include "tools/kiln/Npy.h"

#include <algorithm>
#include <cstdio>

namespace kiln::tools {

kiln_value Value::view() const {
  kiln_value value = {};
  if (absent)
    return value;
  value.kind = KILN_TENSOR;
  value.u.tensor = {
      const_cast<std::byte *>(data.data()), dims.data(), static_cast<int32_t>(dims.size()), dtype, KILN_HOST, 0};
  return value;
}

std::string Value::type() const {
  if (absent)
    return "absent";
  std::string text = std::string(kiln_dtype_name(dtype)) + "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

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

/// Reads one --shape. What is no number named a size or gave it a range while compiling, and leaves it open here.
void InputSizes::read(const std::string &shape, const std::string &model, bool artifact) {
  size_t equals = shape.rfind('=');
  if (equals == std::string::npos || equals == 0)
    fail(Usage, "shape \"" + shape + "\" is not of the form NAME=1x3x224x224 [KILN-E0701]");
  const Port &input = findInput(inputs, shape.substr(0, equals), "--shape");
  std::string text = shape.substr(equals + 1), quoted = "--shape \"" + shape + "\": ";
  char separator = text.find(',') != std::string::npos ? ',' : 'x';
  std::vector<int64_t> dims;
  for (size_t start = 0; start <= text.size() && !text.empty();) {
    size_t end = std::min(text.find(separator, start), text.size());
    std::string dim = text.substr(start, end - start);
    bool digits = !dim.empty() && dim.size() < 16 && dim.find_first_not_of("0123456789") == std::string::npos;
    if (!digits && artifact)
      fail(Usage, quoted + "\"" + dim + "\" is no number; names and ranges of sizes are given when compiling, and " +
                      model + " is compiled already [KILN-E0703]");
    dims.push_back(digits ? std::stoll(dim) : -1);
    start = end + 1;
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

static uint64_t next(uint64_t &state) { // splitmix64
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Made-up data: reals in -1..1, small integers that are valid indices almost everywhere, bools.
static void fill(Value &value, uint64_t seed) {
  auto put = [&](auto make) {
    using T = decltype(make(uint64_t()));
    auto *items = reinterpret_cast<T *>(value.data.data());
    for (size_t i = 0; i < value.data.size() / sizeof(T); ++i)
      items[i] = make(next(seed));
  };
  auto real = [](uint64_t bits) { return static_cast<double>(static_cast<int64_t>(bits)) / 9223372036854775808.0; };
  switch (value.dtype) {
  case KILN_F32: return put([&](uint64_t bits) { return static_cast<float>(real(bits)); });
  case KILN_F64: return put(real);
  case KILN_F16: // sign, an exponent of 2^-1 .. 2^-4, any mantissa
    return put([](uint64_t bits) { return static_cast<uint16_t>((bits & 0x83ff) | ((11 + (bits >> 20) % 4) << 10)); });
  case KILN_BF16:
    return put([](uint64_t bits) { return static_cast<uint16_t>((bits & 0x807f) | ((123 + (bits >> 20) % 4) << 7)); });
  case KILN_BOOL: return put([](uint64_t bits) { return static_cast<uint8_t>(bits & 1); });
  case KILN_I8:
  case KILN_U8: return put([](uint64_t bits) { return static_cast<uint8_t>(bits % 10); });
  case KILN_I16:
  case KILN_U16: return put([](uint64_t bits) { return static_cast<uint16_t>(bits % 10); });
  case KILN_I32:
  case KILN_U32: return put([](uint64_t bits) { return static_cast<uint32_t>(bits % 10); });
  default: return put([](uint64_t bits) { return bits % 10; });
  }
}

/// The value that a file holds.
static Value readValue(const Port &input, const std::string &path) {
  Value value;
  value.name = input.name;
  Array array;
  if (std::string error = readNpy(path, array); !error.empty())
    fail(Failed, path + ": " + error);
  value.dims = array.dims;
  value.data = std::move(array.data);
  for (int32_t dtype = KILN_F32; dtype <= KILN_BOOL; ++dtype)
    if (array.dtype == kiln_dtype_name(dtype))
      value.dtype = dtype;
  return value;
}

static Value makeUp(const Port &input, std::vector<int64_t> dims) {
  Value value{input.name, true, std::move(dims), {}, input.dtype};
  size_t bytes = kiln_dtype_bytes(input.dtype);
  for (int64_t dim : value.dims)
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(dim), &bytes) || bytes > (size_t(1) << 40))
      fail(Failed, "input \"" + input.name + "\" is too large [KILN-E0510]");
  value.data.resize(bytes);
  uint64_t seed = 1469598103934665603;
  for (char c : input.name)
    seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211;
  fill(value, seed);
  return value;
}

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
      if (state.dims[d].value < 0)
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

Inputs makeInputs(kiln_model *model, size_t entry, const CompileArguments &arguments,
                  const std::vector<std::string> &files) {
  std::vector<Port> inputs = inputsOf(model, entry), ports = inputs;
  std::vector<EntryState> states = statesOf(model, entry);
  for (const Port &input : inputs)
    if (input.kind == KILN_PORT_SEQUENCE)
      fail(Failed, "input \"" + input.name + "\" is a sequence, which no file holds; run the model from Python or C " +
                       "[KILN-E0511]");
  ports.insert(ports.end(), states.begin(), states.end());
  std::map<std::string, Value> read;
  std::map<std::string, std::vector<int64_t>> readDims;
  for (const std::string &file : files) {
    size_t at = file.find("=@"); // names may hold '='
    if (at == std::string::npos || at == 0)
      fail(Usage, "\"" + file + "\" is not of the form NAME=@FILE.npy [KILN-E0701]");
    const Port &input = findInput(ports, file.substr(0, at), "--input");
    auto [known, added] = read.emplace(input.name, Value());
    if (!added)
      fail(Usage, "--input: \"" + input.name + "\" is given twice [KILN-E0703]");
    known->second = readValue(input, file.substr(at + 2));
    readDims[input.name] = known->second.dims;
  }
  InputSizes sizes(arguments, ports, symbolsOf(model, entry), readDims);
  Inputs made;
  for (const Port &port : inputs) {
    auto found = read.find(port.name);
    if (found == read.end() && port.kind != KILN_PORT_TENSOR)
      made.values.push_back({port.name, true, {}, {}, port.dtype, true});
    else
      made.values.push_back(found != read.end() ? std::move(found->second) : makeUp(port, sizes.dims(port)));
  }
  made.state = makeState(model, states, sizes);
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
