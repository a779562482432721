#include "test/ops/Cases.h"

#include "codegen/harness/Close.h"
#include "runtime/base/Float16.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

namespace kiln::test {
namespace {

// ---- text

std::string collapse(std::string_view line) {
  std::string text;
  for (char c : line.substr(0, line.find('#'))) {
    if (c == '\t' || c == '\r')
      c = ' ';
    if (c != ' ' || (!text.empty() && text.back() != ' '))
      text += c;
  }
  while (!text.empty() && text.back() == ' ')
    text.pop_back();
  return text;
}

/// Splits at a separator that is not inside brackets, parentheses or braces.
std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (char c : text) {
    depth += (c == '[' || c == '(' || c == '{') - (c == ']' || c == ')' || c == '}');
    if (c == separator && depth == 0) {
      parts.push_back(part);
      part.clear();
    } else
      part += c;
  }
  if (!part.empty() || !parts.empty())
    parts.push_back(part);
  return parts;
}

Status malformed(std::string_view what, std::string_view text) {
  return makeError(ErrorCode::E0108, what, " in \"", text, "\"");
}

Result<int64_t> parseInt(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return malformed("expected an integer", text);
  return value;
}

Result<OperandSpec> parseOperand(std::string_view token) {
  OperandSpec spec;
  const size_t equals = token.find('='), open = token.find('['), close = token.find(']');
  if (equals == token.npos || open == token.npos || close == token.npos || open < equals)
    return malformed("expected name=type[dims]", token);
  spec.name = token.substr(0, equals);
  const auto dtype = dtypeFromName(token.substr(equals + 1, open - equals - 1));
  if (!dtype)
    return malformed("unknown element type", token);
  spec.dtype = *dtype;
  spec.dims = split(token.substr(open + 1, close - open - 1), ',');
  std::string_view rest = token.substr(close + 1);
  if (rest.empty())
    return spec;
  if (rest[0] != ':')
    return malformed("expected ':'", token);
  rest.remove_prefix(1);
  using Values = OperandSpec::Values;
  if (rest == "positive")
    spec.values = Values::Positive;
  else if (rest == "wide")
    spec.values = Values::Wide;
  else if (rest == "special")
    spec.values = Values::Special;
  else if (rest.starts_with("range(") && rest.ends_with(")")) {
    spec.values = Values::Range;
    const auto ends = split(rest.substr(6, rest.size() - 7), ',');
    if (ends.size() != 2)
      return malformed("expected range(low,high)", token);
    spec.low = std::strtod(ends[0].c_str(), nullptr);
    spec.high = std::strtod(ends[1].c_str(), nullptr);
  } else if (rest.starts_with("[") && rest.ends_with("]")) {
    spec.values = Values::List;
    spec.list = split(rest.substr(1, rest.size() - 2), ',');
  } else
    return malformed("unknown values", token);
  return spec;
}

Result<std::vector<Sizes>> parseSizes(std::string_view text) {
  std::vector<Sizes> rounds;
  while (!text.empty()) {
    const size_t close = text.find(')');
    if (text[0] != '(' || close == text.npos)
      return malformed("expected (N=1,...)", text);
    Sizes sizes;
    for (const std::string &entry : split(text.substr(1, close - 1), ',')) {
      const size_t equals = entry.find('=');
      if (equals == entry.npos)
        return malformed("expected name=size", entry);
      KILN_ASSIGN(sizes[entry.substr(0, equals)], parseInt(entry.substr(equals + 1)));
    }
    rounds.push_back(sizes);
    text.remove_prefix(close + 1);
  }
  return rounds;
}

/// A number or a letter with a size.
Result<int64_t> valueOf(const std::string &text, const Sizes &sizes) {
  if (const auto it = sizes.find(text); it != sizes.end())
    return it->second;
  return parseInt(text);
}

// ---- values; make_expected.py holds the same

uint64_t mix(uint64_t x) { // the finaliser of SplitMix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

struct FloatTraits {
  double largest, normal, tiny;
};
FloatTraits traitsOf(DType dtype) {
  switch (dtype) {
  case DType::F64: return {std::numeric_limits<double>::max(), 0x1p-1022, 0x1p-1074};
  case DType::F16: return {65504, 0x1p-14, 0x1p-24};
  case DType::BF16: return {0x1.fep127, 0x1p-126, 0x1p-133};
  default: return {std::numeric_limits<float>::max(), 0x1p-126, 0x1p-149};
  }
}

double floatValue(const OperandSpec &spec, uint64_t h, int64_t i) {
  const double inf = std::numeric_limits<double>::infinity();
  switch (spec.values) {
  case OperandSpec::Values::Positive: return static_cast<double>(h % 128 + 1) / 32;
  case OperandSpec::Values::Wide: return (static_cast<double>(h % 257) - 128) / 2;
  case OperandSpec::Values::Range: return spec.low + (spec.high - spec.low) * static_cast<double>(h % 65) / 64;
  case OperandSpec::Values::Special: {
    const FloatTraits t = traitsOf(spec.dtype);
    const double list[] = {0,
                           -0.0,
                           1,
                           -1,
                           0.5,
                           -0.5,
                           1.5,
                           2.5,
                           -2.5,
                           3,
                           -5,
                           t.largest,
                           -t.largest,
                           t.normal,
                           t.tiny,
                           -t.tiny,
                           inf,
                           -inf,
                           std::numeric_limits<double>::quiet_NaN(),
                           88,
                           -88,
                           100,
                           -100};
    return list[i % std::size(list)];
  }
  default: return (static_cast<double>(h % 257) - 128) / 64;
  }
}

/// As the low 64 bits of the value.
uint64_t intValue(const OperandSpec &spec, uint64_t h, int64_t i) {
  const int bits = dtypeBits(spec.dtype);
  const bool isSigned = isSignedInt(spec.dtype);
  if (spec.dtype == DType::Bool)
    return h & 1;
  switch (spec.values) {
  case OperandSpec::Values::Positive: return h % 20 + 1;
  case OperandSpec::Values::Wide: return h;
  case OperandSpec::Values::Range:
    return static_cast<uint64_t>(static_cast<int64_t>(spec.low)) +
           h % (static_cast<uint64_t>(static_cast<int64_t>(spec.high - spec.low)) + 1);
  case OperandSpec::Values::Special: {
    const uint64_t top = isSigned ? ~uint64_t{0} >> (65 - bits) : ~uint64_t{0} >> (64 - bits);
    const uint64_t bottom = isSigned ? ~top : 0; // sign-extended
    const uint64_t list[] = {0, 1, ~uint64_t{0}, 2, ~uint64_t{1}, top, bottom, top - 1, bottom + 1, 7};
    return list[i % std::size(list)];
  }
  default: return isSigned ? h % 21 - 10 : h % 21;
  }
}

void writeFloat(DType dtype, void *data, int64_t i, double value) {
  if (dtype == DType::F64)
    static_cast<double *>(data)[i] = value;
  else if (dtype == DType::F32)
    static_cast<float *>(data)[i] = static_cast<float>(value);
  else
    static_cast<uint16_t *>(data)[i] = dtype == DType::F16 ? doubleToF16(value) : doubleToBf16(value);
}

void writeInt(DType dtype, void *data, int64_t i, uint64_t value) {
  switch (dtypeBytes(dtype)) {
  case 1: static_cast<uint8_t *>(data)[i] = static_cast<uint8_t>(value); break;
  case 2: static_cast<uint16_t *>(data)[i] = static_cast<uint16_t>(value); break;
  case 4: static_cast<uint32_t *>(data)[i] = static_cast<uint32_t>(value); break;
  default: static_cast<uint64_t *>(data)[i] = value;
  }
}

double readFloat(DType dtype, const void *data, int64_t i) {
  switch (dtype) {
  case DType::F64: return static_cast<const double *>(data)[i];
  case DType::F32: return static_cast<const float *>(data)[i];
  case DType::F16: return f16ToFloat(static_cast<const uint16_t *>(data)[i]);
  default: return bf16ToFloat(static_cast<const uint16_t *>(data)[i]);
  }
}

/// Sign-extended low 64 bits.
uint64_t readInt(DType dtype, const void *data, int64_t i) {
  const bool isSigned = isSignedInt(dtype);
  switch (dtypeBytes(dtype)) {
  case 1: {
    const uint8_t v = static_cast<const uint8_t *>(data)[i];
    return isSigned ? static_cast<uint64_t>(static_cast<int8_t>(v)) : v;
  }
  case 2: {
    const uint16_t v = static_cast<const uint16_t *>(data)[i];
    return isSigned ? static_cast<uint64_t>(static_cast<int16_t>(v)) : v;
  }
  case 4: {
    const uint32_t v = static_cast<const uint32_t *>(data)[i];
    return isSigned ? static_cast<uint64_t>(static_cast<int32_t>(v)) : v;
  }
  default: return static_cast<const uint64_t *>(data)[i];
  }
}

std::string printElement(const TensorView &view, int64_t i) {
  if (isFloat(view.dtype))
    return printDouble(readFloat(view.dtype, view.data, i));
  const uint64_t v = readInt(view.dtype, view.data, i);
  return isSignedInt(view.dtype) ? std::to_string(static_cast<int64_t>(v)) : std::to_string(v);
}

/// The text of a stored element as the element type has it.
double sampleOf(DType dtype, const std::string &text) {
  double value = 0;
  writeFloat(dtype, &value, 0, std::strtod(text.c_str(), nullptr));
  return readFloat(dtype, &value, 0);
}

bool close(double got, double want, Bound bound) {
  return isClose(got, want, bound.absolute + bound.relative * std::fabs(want));
}

/// "[1,0,3]" of a flat index.
std::string printIndex(int64_t flat, std::span<const int64_t> dims) {
  std::string text;
  for (size_t axis = dims.size(); axis-- > 0;) {
    text = (axis ? "," : "") + std::to_string(flat % dims[axis]) + text;
    flat /= dims[axis];
  }
  return "[" + text + "]";
}

std::string difference(int64_t i, std::span<const int64_t> dims, const std::string &got, const std::string &want) {
  return "first difference at " + printIndex(i, dims) + ": got " + got + ", want " + want;
}

} // namespace

std::string printSizes(const Sizes &sizes) {
  std::string text;
  for (const auto &[name, size] : sizes)
    text += (text.empty() ? "" : ",") + name + "=" + std::to_string(size);
  return text;
}

Result<Case> parseCase(std::string_view line) {
  Case c;
  c.text = collapse(line);
  std::vector<std::string> tokens = split(c.text, ' ');
  if (tokens.empty())
    return malformed("expected a case", line);
  c.op = tokens[0];
  for (size_t i = 1; i < tokens.size(); ++i) {
    const std::string &token = tokens[i];
    if (token == "_") {
      c.operands.emplace_back().absent = true;
    } else if (token.starts_with("{")) {
      KILN_ASSIGN(c.attributes, Attributes::parse(token));
    } else if (token.starts_with("seed=")) {
      KILN_ASSIGN(const int64_t seed, parseInt(std::string_view(token).substr(5)));
      c.seed = static_cast<uint64_t>(seed);
    } else if (token == "only=reference") {
      c.referenceOnly = true;
    } else if (token.starts_with("error=")) {
      const size_t slash = token.find('/');
      c.error = token.substr(6, slash == token.npos ? slash : slash - 6);
      c.compileError = slash == token.npos ? c.error : token.substr(slash + 1);
    } else if (token.starts_with("sizes=")) {
      KILN_ASSIGN(c.rounds, parseSizes(std::string_view(token).substr(6)));
    } else {
      KILN_ASSIGN(OperandSpec operand, parseOperand(token));
      (operand.name == "out" ? c.results : c.operands).push_back(std::move(operand));
    }
  }
  if (c.rounds.empty())
    c.rounds.emplace_back();
  return c;
}

Result<std::vector<Case>> readCases(const std::string &path) {
  std::ifstream stream(path);
  if (!stream)
    return makeError(ErrorCode::E0101, "cannot read ", path);
  std::vector<Case> cases;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (collapse(line).empty())
      continue;
    Result<Case> c = parseCase(line);
    if (!c.ok())
      return c.status().withContext(path + ":" + std::to_string(number) + ": ");
    c->file = std::filesystem::path(path).filename();
    c->line = number;
    cases.push_back(*std::move(c));
  }
  return cases;
}

std::vector<std::string> caseFiles(const std::string &folder) {
  std::vector<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".cases")
      files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

Result<std::vector<int64_t>> dimsOf(const OperandSpec &spec, const Sizes &sizes) {
  std::vector<int64_t> dims;
  for (const std::string &dim : spec.dims) {
    KILN_ASSIGN(dims.emplace_back(), valueOf(dim, sizes));
  }
  return dims;
}

Result<std::vector<Tensor>> makeOperands(const Case &c, const Sizes &sizes) {
  std::vector<Tensor> tensors;
  for (size_t k = 0; k < c.operands.size(); ++k) {
    const OperandSpec &spec = c.operands[k];
    if (spec.absent) {
      tensors.emplace_back();
      continue;
    }
    KILN_ASSIGN(const std::vector<int64_t> dims, dimsOf(spec, sizes));
    KILN_ASSIGN(Tensor tensor, Tensor::create(spec.dtype, dims));
    const int64_t count = tensor.size();
    if (spec.values == OperandSpec::Values::List && int64_t(spec.list.size()) != count)
      return malformed("the list of values does not have the operand's size", c.text);
    const uint64_t key = mix(mix(c.seed) + k);
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t h = mix(key + static_cast<uint64_t>(i)) >> 20;
      if (spec.values == OperandSpec::Values::List) {
        if (isFloat(spec.dtype))
          writeFloat(spec.dtype, tensor.data(), i, std::strtod(spec.list[i].c_str(), nullptr));
        else {
          KILN_ASSIGN(const int64_t value, valueOf(spec.list[i], sizes));
          writeInt(spec.dtype, tensor.data(), i, static_cast<uint64_t>(value));
        }
      } else if (isFloat(spec.dtype))
        writeFloat(spec.dtype, tensor.data(), i, floatValue(spec, h, i));
      else
        writeInt(spec.dtype, tensor.data(), i, intValue(spec, h, i));
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void flushSubnormals(const Tensor &tensor) {
  // f16 is widened to f32, where its subnormals are normal.
  if (!tensor.valid() || !isFloat(tensor.dtype()) || tensor.dtype() == DType::F16)
    return;
  const double normal = traitsOf(tensor.dtype()).normal;
  for (int64_t i = 0; i < tensor.size(); ++i)
    if (const double v = readFloat(tensor.dtype(), tensor.data(), i); std::fabs(v) < normal)
      writeFloat(tensor.dtype(), tensor.data(), i, std::copysign(0.0, v));
}

std::vector<TensorView> viewsOf(const std::vector<Tensor> &tensors) {
  std::vector<TensorView> views;
  for (const Tensor &tensor : tensors)
    views.push_back(tensor.valid() ? tensor.view() : TensorView{});
  return views;
}

std::string expectedKey(const Case &c, const Sizes &sizes) {
  return c.text + (sizes.empty() ? "" : " | " + printSizes(sizes));
}

// case <text>[ | sizes]
// <type>[dims] <checksum> <sample> <sample> ...      for each result
Result<ExpectedTable> readExpected(const std::string &path) {
  std::ifstream stream(path);
  if (!stream)
    return makeError(ErrorCode::E0101, "cannot read ", path);
  ExpectedTable table;
  std::string line, key;
  while (std::getline(stream, line)) {
    if (line.starts_with("case ")) {
      key = line.substr(5);
      continue;
    }
    if (line.empty() || line[0] == '#')
      continue;
    std::vector<std::string> tokens = split(line, ' ');
    const size_t open = tokens[0].find('[');
    const auto dtype = dtypeFromName(tokens[0].substr(0, open));
    if (open == std::string::npos || !dtype || tokens.size() < 2)
      return malformed("expected a result", line);
    Expected expected;
    expected.dtype = *dtype;
    for (const std::string &dim : split(tokens[0].substr(open + 1, tokens[0].size() - open - 2), ',')) {
      KILN_ASSIGN(expected.dims.emplace_back(), parseInt(dim));
    }
    expected.checksum = std::strtod(tokens[1].c_str(), nullptr);
    expected.samples.assign(tokens.begin() + 2, tokens.end());
    table[key].push_back(std::move(expected));
  }
  return table;
}

std::string compare(const TensorView &got, const TensorView &want, Bound bound) {
  if (got.dtype != want.dtype || !std::ranges::equal(got.dims, want.dims))
    return "got " + printTensorType(got.dtype, got.dims) + ", want " + printTensorType(want.dtype, want.dims);
  for (int64_t i = 0; i < want.size(); ++i) {
    const bool same = isFloat(want.dtype)
                          ? close(readFloat(got.dtype, got.data, i), readFloat(want.dtype, want.data, i), bound)
                          : readInt(got.dtype, got.data, i) == readInt(want.dtype, want.data, i);
    if (!same)
      return difference(i, want.dims, printElement(got, i), printElement(want, i));
  }
  return {};
}

std::string compare(const TensorView &got, const Expected &want, Bound bound) {
  if (got.dtype != want.dtype || !std::ranges::equal(got.dims, want.dims))
    return "got " + printTensorType(got.dtype, got.dims) + ", want " + printTensorType(want.dtype, want.dims);
  const int64_t count = got.size(), samples = static_cast<int64_t>(want.samples.size());
  for (int64_t s = 0; s < samples; ++s) {
    const int64_t i = s * count / samples;
    const bool same = isFloat(got.dtype)
                          ? close(readFloat(got.dtype, got.data, i), sampleOf(got.dtype, want.samples[s]), bound)
                          : printElement(got, i) == want.samples[s];
    if (!same)
      return difference(i, got.dims, printElement(got, i), want.samples[s]);
  }
  double sum = 0, slack = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double value = isFloat(got.dtype)       ? readFloat(got.dtype, got.data, i)
                         : isSignedInt(got.dtype) ? double(int64_t(readInt(got.dtype, got.data, i)))
                                                  : double(readInt(got.dtype, got.data, i));
    if (!(std::fabs(value) <= 1e30)) // huge values would drown the others
      continue;
    const double weight = static_cast<double>(1 + i * 7919 % 31) / 32;
    sum += value * weight;
    slack += weight * (bound.absolute + (bound.relative + 1e-12) * std::fabs(value));
  }
  if (std::fabs(sum - want.checksum) <= slack || sum == want.checksum)
    return {};
  return "all samples agree, but the weighted sum of all elements is " + printDouble(sum) + ", want " +
         printDouble(want.checksum);
}

Bound boundOf(std::string_view op, DType result, Runner runner) {
  if (!isFloat(result))
    return {};
  enum class Work { Exact, Pointwise, Sums };
  static const std::map<std::string_view, Work> works = [] {
    std::map<std::string_view, Work> map;
    for (std::string_view name : {"abs",       "add",
                                  "sub",       "mul",
                                  "neg",       "sign",
                                  "ceil",      "floor",
                                  "round",     "relu",
                                  "max",       "min",
                                  "where",     "cast",
                                  "max_pool",  "max_pool_indices",
                                  "bitcast",     "unique",   "topk",
                                  "reshape",   "transpose",
                                  "concat",    "slice",
                                  "gather",    "gather_elements",
                                  "gather_nd", "reverse_sequence",
                                  "expand",    "pad",
                                  "tile",      "thresholded_relu"})
      map[name] = Work::Exact;
    for (std::string_view name : {"reduce",     "softmax",          "log_softmax", "layer_norm", "rms_norm",
                                  "batch_norm", "group_norm",       "matmul",      "conv",       "avg_pool",
                                  "attention",  "conv_transpose",   "lp_pool",     "cumsum",     "scatter_elements",
                                  "scatter_nd", "resize",           "grid_sample", "rnn",        "gru",
                                  "lstm",       "linear_attention", "cumprod",     "det",        "dft",
                                  "roi_align",  "deform_conv"})
      map[name] = Work::Sums;
    return map;
  }();
  const auto found = works.find(op);
  const Work work = found == works.end() ? Work::Pointwise : found->second;
  // Of the result's type: the unit in the last place, the smallest subnormal and the smallest
  // normal number.
  double ulp = 0x1p-23, tiny = 0x1p-149, normal = 0x1p-126;
  if (result == DType::F64)
    ulp = 0x1p-52, tiny = 0x1p-1074, normal = 0x1p-1022;
  else if (result == DType::F16)
    ulp = 0x1p-10, tiny = 0x1p-24,
    normal = 0x1p-14 * ulp; // computed in f32, so its subnormals are good
  else if (result == DType::BF16)
    ulp = 0x1p-7, tiny = 0x1p-133;
  if (work == Work::Exact) // generated code may flush a subnormal result
    return {0, runner == Runner::Compiled ? normal : 0};
  // The inputs are of order one, so a sum's rounding errors are bounded absolutely.
  const double f32Sums = 2e-5, f64Sums = 1e-13;
  const bool narrow = result == DType::F16 || result == DType::BF16;
  switch (runner) {
  case Runner::ReferenceWide: // one rounding, of a value that is off by roundings in f64
    if (result == DType::F64)
      return work == Work::Sums ? Bound{1e-12, f64Sums} : Bound{8 * ulp, tiny};
    return {ulp, work == Work::Sums ? 1e-14 + tiny : tiny};
  case Runner::ReferenceOwn:
  case Runner::Compiled:
    if (narrow)
      return {2 * ulp, work == Work::Sums ? ulp : normal};
    if (work == Work::Sums)
      return result == DType::F64 ? Bound{1e-12, 16 * f64Sums} : Bound{f32Sums, f32Sums};
    // In gelu's tail rounding x itself moves exp(-x*x/2) by x*x/2 units.
    // Beside subnormal results, subnormal intermediate ones may have been flushed.
    return {(op == "gelu" ? 256 : 16) * ulp, 256 * normal};
  }
  return {};
}

} // namespace kiln::test
