// Models, contexts and values over the C API.

#include "tools/kiln/Cli.h"
#include "tools/kiln/Npy.h"

#include <cmath>
#include <cstring>
#include <map>

namespace kiln::tools {

void fail(int exitCode, const std::string &message) { throw Failure{exitCode, message}; }

void check(kiln_status &status) {
  if (!status.code)
    return;
  Failure failure{KILN_IS_UNSUPPORTED(status.code) ? Unsupported : Failed,
                  status.message ? status.message : "unknown error"};
  // Usage errors of the library (E07xx) are usage errors of the command.
  if (status.code >= 700 && status.code < 800 && status.code != 705)
    failure.exitCode = Usage;
  kiln_status_clear(&status);
  throw failure;
}

static std::vector<Port> portsOf(const kiln_model *model, bool inputs) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model_info info = {};
  info.size = sizeof info;
  kiln_model_get_info(model, &info, &status);
  check(status);
  std::vector<Port> ports;
  for (uint32_t i = 0; i < (inputs ? info.input_count : info.output_count); ++i) {
    kiln_port_info port = {};
    port.size = sizeof port;
    (inputs ? kiln_model_get_input : kiln_model_get_output)(model, i, &port, &status);
    check(status);
    Port &out = ports.emplace_back();
    out.name = port.name;
    out.dtype = port.dtype;
    for (int32_t k = 0; k < port.rank; ++k) {
      out.dims.push_back(port.dims[k].value);
      out.texts.push_back(port.dims[k].text);
    }
  }
  return ports;
}

std::vector<Port> inputsOf(const kiln_model *model) { return portsOf(model, true); }
std::vector<Port> outputsOf(const kiln_model *model) { return portsOf(model, false); }

std::string Port::type() const {
  std::string text = kiln_dtype_name(dtype) ? kiln_dtype_name(dtype) : "?";
  text += '[';
  for (size_t i = 0; i < texts.size(); ++i)
    text += (i ? "," : "") + texts[i];
  return text + "]";
}

kiln_value Value::view() const {
  kiln_value value = {};
  value.kind = KILN_TENSOR;
  value.u.tensor = {
      const_cast<std::byte *>(data.data()), dims.data(), static_cast<int32_t>(dims.size()), dtype, KILN_HOST, 0};
  return value;
}

// ---- inputs

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

/// Splits NAME=REST at the last '=' whose rest `accept` does not refuse; names may hold '='.
static std::pair<std::string, std::string> split(const std::string &text, const char *form, char marker) {
  size_t at = marker ? text.find(std::string("=") + marker) : text.rfind('=');
  if (at == std::string::npos || at == 0)
    fail(Usage, "\"" + text + "\" is not of the form " + form + " [KILN-E0701]");
  return {text.substr(0, at), text.substr(at + (marker ? 2 : 1))};
}

static std::map<std::string, std::vector<int64_t>> readSizes(const std::vector<std::string> &shapes) {
  std::map<std::string, std::vector<int64_t>> sizes;
  for (const std::string &shape : shapes) {
    auto [name, text] = split(shape, "NAME=1x3x224x224", 0);
    std::vector<int64_t> &dims = sizes[name];
    for (size_t start = 0; start <= text.size() && !text.empty();) {
      size_t end = std::min(text.find_first_of("x,", start), text.size());
      std::string dim = text.substr(start, end - start);
      bool digits = !dim.empty() && dim.size() < 16 && dim.find_first_not_of("0123456789") == std::string::npos;
      dims.push_back(digits ? std::stoll(dim) : -1);
      start = end + 1;
    }
  }
  return sizes;
}

/// The least value of a symbol, at least 1; sizes that are computed get no guess.
static int64_t leastSize(const kiln_model *model, const std::string &text) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_symbol_info symbol = {};
  symbol.size = sizeof symbol;
  for (size_t i = 0; kiln_model_get_symbol(model, i, &symbol, &status) == 0; ++i)
    if (text == symbol.name)
      return std::max<int64_t>(symbol.low, 1);
  kiln_status_clear(&status);
  return 1;
}

std::vector<Value> makeInputs(const kiln_model *model, const std::vector<std::string> &given,
                              const std::vector<std::string> &shapes) {
  std::vector<Port> ports = inputsOf(model);
  std::map<std::string, std::string> files;
  for (const std::string &input : given) {
    auto [name, path] = split(input, "NAME=@FILE.npy", '@');
    bool known = false;
    std::string names;
    for (const Port &port : ports) {
      known |= port.name == name;
      names += (names.empty() ? "" : ", ") + port.name;
    }
    if (!known)
      fail(Usage, "--input: the model has no input \"" + name + "\"; its inputs are " +
                      (names.empty() ? "none" : names) + " [KILN-E0501]");
    if (!files.emplace(name, path).second)
      fail(Usage, "--input: \"" + name + "\" is given twice [KILN-E0703]");
  }
  auto sizes = readSizes(shapes);
  std::vector<Value> values;
  for (const Port &port : ports) {
    Value &value = values.emplace_back();
    value.dtype = port.dtype;
    if (auto file = files.find(port.name); file != files.end()) {
      Array array;
      if (std::string error = readNpy(file->second, array); !error.empty())
        fail(Failed, file->second + ": " + error + " [KILN-E0101]");
      value.dims = array.dims;
      value.data = std::move(array.data);
      for (int32_t dtype = KILN_F32; dtype <= KILN_BOOL; ++dtype)
        if (array.dtype == kiln_dtype_name(dtype))
          value.dtype = dtype;
      continue;
    }
    auto size = sizes.find(port.name);
    size_t bytes = kiln_dtype_bytes(port.dtype);
    for (size_t i = 0; i < port.dims.size(); ++i) {
      int64_t dim = port.dims[i];
      if (dim < 0 && size != sizes.end() && i < size->second.size() && size->second[i] >= 0)
        dim = size->second[i];
      if (dim < 0)
        dim = leastSize(model, port.texts[i]);
      value.dims.push_back(dim);
      if (__builtin_mul_overflow(bytes, static_cast<size_t>(dim), &bytes) || bytes > (size_t(1) << 40))
        fail(Failed, "input \"" + port.name + "\" is too large [KILN-E0510]");
    }
    value.data.resize(bytes);
    uint64_t seed = 1469598103934665603;
    for (char c : port.name)
      seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211;
    fill(value, seed);
  }
  return values;
}

std::string printBytes(double bytes) {
  const char *units[] = {"B", "kB", "MB", "GB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 3) {
    bytes /= 1000;
    ++unit;
  }
  char text[32];
  snprintf(text, sizeof text,
           unit == 0     ? "%.0f %s"
           : bytes < 10  ? "%.2f %s"
           : bytes < 100 ? "%.1f %s"
                         : "%.0f %s",
           bytes, units[unit]);
  return text;
}

} // namespace kiln::tools
