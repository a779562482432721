// Values with their memory: from files, or made up; and the constants of a model that are bound to such.

#include "tools/kiln/Cli.h"
#include "tools/kiln/Npy.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace kiln::tools {

kiln_value Value::view() {
  kiln_value value = {};
  if (kind == KILN_NONE)
    return value;
  value.kind = kind;
  if (kind == KILN_TENSOR) {
    value.u.tensor = {data.data(), dims.data(), static_cast<int32_t>(dims.size()), dtype, KILN_HOST, 0};
    return value;
  }
  itemViews.clear();
  for (Value &item : items)
    itemViews.push_back(item.view());
  value.u.sequence = {itemViews.data(), itemViews.size()};
  return value;
}

std::string Value::type() const {
  if (kind == KILN_NONE)
    return "absent";
  if (kind == KILN_SEQUENCE)
    return "sequence of " + (items.empty() ? "none" : std::to_string(items.size()) + " " + items[0].type());
  std::string text = std::string(kiln_dtype_name(dtype)) + "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

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

Value readValue(const std::string &name, const std::string &path) {
  Value value;
  value.name = name;
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

Value makeUp(const std::string &name, int32_t dtype, std::vector<int64_t> dims) {
  Value value;
  value.name = name;
  value.madeUp = true;
  value.dims = std::move(dims);
  value.dtype = dtype;
  size_t bytes = kiln_dtype_bytes(dtype);
  for (int64_t dim : value.dims)
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(dim), &bytes) || bytes > (size_t(1) << 40))
      fail(Failed, "\"" + name + "\" is too large [KILN-E0510]");
  value.data.resize(bytes);
  uint64_t seed = 1469598103934665603;
  for (char c : name)
    seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211;
  fill(value, seed);
  return value;
}

std::pair<std::string, std::string> parseFile(const std::string &text) {
  size_t at = text.find("=@"); // names may hold '='
  if (at == std::string::npos || at == 0)
    fail(Usage, "\"" + text + "\" is not of the form NAME=@FILE.npy [KILN-E0701]");
  return {text.substr(0, at), text.substr(at + 2)};
}

std::vector<Value> bindConstants(kiln_model *model, const std::vector<std::string> &files) {
  kiln_status status = KILN_STATUS_INIT;
  std::vector<Value> values;
  std::set<std::string> given;
  for (const std::string &file : files) {
    auto [name, path] = parseFile(file);
    if (!given.insert(name).second)
      fail(Usage, "--bind: \"" + name + "\" is given twice [KILN-E0703]");
    values.push_back(readValue(name, path));
  }
  kiln_model_info info = KILN_MODEL_INFO_INIT;
  kiln_model_get_info(model, &info, &status);
  check(status);
  std::string madeUp;
  for (uint32_t i = 0; i < info.constant_count; ++i) {
    kiln_constant_info constant = KILN_CONSTANT_INFO_INIT;
    kiln_model_get_constant(model, i, &constant, &status);
    check(status);
    if (constant.source != KILN_CONSTANT_BOUND || given.count(constant.name))
      continue;
    values.push_back(makeUp(constant.name, constant.dtype, {constant.dims, constant.dims + constant.rank}));
    madeUp += (madeUp.empty() ? "" : ", ") + values.back().name + " " + values.back().type();
  }
  if (!madeUp.empty())
    fprintf(stderr, "note: made-up constants: %s\n", madeUp.c_str());
  std::vector<kiln_named_value> bindings;
  for (Value &value : values)
    bindings.push_back({value.name.c_str(), value.view()});
  kiln_model_bind_constants(model, bindings.data(), bindings.size(), &status);
  check(status);
  return values;
}

} // namespace kiln::tools
