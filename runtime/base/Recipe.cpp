#include "runtime/base/Recipe.h"

#include "runtime/base/Convert.h"
#include "runtime/base/TextScanner.h"
#include "runtime/base/Winograd.h"

#include <algorithm>
#include <cstring>

namespace kiln {
namespace {

using Dims = std::vector<int64_t>;

std::string printStep(const RecipeStep &step) {
  static constexpr std::string_view names[] = {"permute", "reshape", "pad", "cast", "winograd", "sums"};
  std::string out(names[size_t(step.kind)]);
  out += '[';
  if (step.kind == RecipeStep::Kind::Cast)
    out += dtypeName(step.dtype);
  for (size_t i = 0; i < step.values.size(); ++i)
    out += (i ? "," : "") + std::to_string(step.values[i]);
  return out + ']';
}

Status misfit(const RecipeStep &step, const RecipeType &type) {
  return makeError(ErrorCode::E0805, "packing step '", printStep(step), "' does not fit ",
                   printTensorType(type.dtype, type.dims));
}

Status stepType(const RecipeStep &step, RecipeType &type) {
  size_t rank = type.dims.size();
  switch (step.kind) {
  case RecipeStep::Kind::Permute: {
    Dims seen(rank, 0), dims(rank);
    if (step.values.size() != rank)
      return misfit(step, type);
    for (size_t i = 0; i < rank; ++i) {
      int64_t axis = step.values[i];
      if (axis < 0 || axis >= int64_t(rank) || seen[size_t(axis)]++)
        return misfit(step, type);
      dims[i] = type.dims[size_t(axis)];
    }
    type.dims = std::move(dims);
    return Status();
  }
  case RecipeStep::Kind::Reshape: {
    std::optional<int64_t> before = elementCount(type.dims), after = elementCount(step.values);
    if (!before || before != after)
      return misfit(step, type);
    type.dims = step.values;
    return Status();
  }
  case RecipeStep::Kind::Pad: {
    if (step.values.size() != 2 * rank)
      return misfit(step, type);
    Dims dims = type.dims;
    for (size_t i = 0; i < rank; ++i) {
      int64_t low = step.values[i], high = step.values[rank + i];
      if (low < 0 || high < 0 || __builtin_add_overflow(dims[i], low, &dims[i]) ||
          __builtin_add_overflow(dims[i], high, &dims[i]))
        return misfit(step, type);
    }
    if (!byteCount(type.dtype, dims))
      return misfit(step, type);
    type.dims = std::move(dims);
    return Status();
  }
  case RecipeStep::Kind::Cast:
    type.dtype = step.dtype;
    if (!byteCount(type.dtype, type.dims))
      return misfit(step, type);
    return Status();
  case RecipeStep::Kind::Winograd:
    if (step.values.size() != 1 || !isWinogradSize(step.values[0]) || type.dtype != DType::F32 || rank < 2 ||
        type.dims[rank - 1] != winogradTaps || type.dims[rank - 2] != winogradTaps)
      return misfit(step, type);
    type.dims[rank - 1] = type.dims[rank - 2] = step.values[0] + winogradTaps - 1;
    if (!byteCount(type.dtype, type.dims))
      return misfit(step, type);
    return Status();
  case RecipeStep::Kind::Sums:
    if (!step.values.empty() || (type.dtype != DType::I8 && type.dtype != DType::U8) || rank != 4 || type.dims[3] != 4)
      return misfit(step, type);
    type.dtype = DType::I8;
    if (__builtin_add_overflow(type.dims[1], 1, &type.dims[1]) || !byteCount(type.dtype, type.dims))
      return misfit(step, type);
    return Status();
  }
  return misfit(step, type);
}

/// Copies a box of `dims` elements between two strided places, the innermost dims in one loop.
struct StridedCopy {
  int64_t width; // bytes of an element
  Dims dims, fromStrides, toStrides;

  /// Drops dims of one and joins neighbours that are contiguous on both sides.
  void simplify() {
    Dims d, f, t;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (dims[i] == 1)
        continue;
      if (!d.empty() && f.back() == dims[i] * fromStrides[i] && t.back() == dims[i] * toStrides[i]) {
        d.back() *= dims[i];
        f.back() = fromStrides[i];
        t.back() = toStrides[i];
      } else {
        d.push_back(dims[i]);
        f.push_back(fromStrides[i]);
        t.push_back(toStrides[i]);
      }
    }
    dims = std::move(d), fromStrides = std::move(f), toStrides = std::move(t);
  }

  void run(const char *from, char *to, size_t axis = 0) const {
    if (axis == dims.size()) {
      std::memcpy(to, from, size_t(width));
      return;
    }
    int64_t n = dims[axis], fs = fromStrides[axis] * width, ts = toStrides[axis] * width;
    if (axis + 1 < dims.size()) {
      for (int64_t i = 0; i < n; ++i)
        run(from + i * fs, to + i * ts, axis + 1);
    } else if (fs == width && ts == width) {
      std::memcpy(to, from, size_t(n * width));
    } else if (width == 4) {
      for (int64_t i = 0; i < n; ++i)
        std::memcpy(to + i * ts, from + i * fs, 4);
    } else {
      for (int64_t i = 0; i < n; ++i)
        std::memcpy(to + i * ts, from + i * fs, size_t(width));
    }
  }
};

void permuteInto(const TensorView &from, const Dims &perm, const TensorView &to) {
  Dims strides = denseStrides(from.dims);
  StridedCopy copy{dtypeBytes(from.dtype), Dims(to.dims.begin(), to.dims.end()), {}, denseStrides(to.dims)};
  for (int64_t axis : perm)
    copy.fromStrides.push_back(strides[size_t(axis)]);
  copy.simplify();
  copy.run(from.as<char>(), to.as<char>());
}

void padInto(const TensorView &from, const Dims &amounts, const TensorView &to) {
  std::memset(to.data, 0, size_t(to.bytes()));
  StridedCopy copy{dtypeBytes(from.dtype), Dims(from.dims.begin(), from.dims.end()), denseStrides(from.dims),
                   denseStrides(to.dims)};
  int64_t offset = 0;
  for (size_t i = 0; i < from.dims.size(); ++i)
    offset += amounts[i] * copy.toStrides[i];
  copy.simplify();
  copy.run(from.as<char>(), to.as<char>() + offset * copy.width);
}

/// G g G^T for each filter, rounded once.
void transformFilters(const TensorView &from, int64_t outputs, const TensorView &to) {
  constexpr int64_t taps = winogradTaps;
  const int64_t n = outputs + taps - 1;
  const std::vector<double> g = winogradFilterMatrix(outputs);
  std::vector<double> rows(size_t(n * taps)); // G g
  for (int64_t f = 0; f < from.size() / (taps * taps); ++f) {
    const float *filter = from.as<float>() + f * taps * taps;
    float *result = to.as<float>() + f * n * n;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k < taps; ++k) {
        double sum = 0;
        for (int64_t t = 0; t < taps; ++t)
          sum += g[size_t(i * taps + t)] * double(filter[t * taps + k]);
        rows[size_t(i * taps + k)] = sum;
      }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t t = 0; t < taps; ++t)
          sum += rows[size_t(i * taps + t)] * g[size_t(j * taps + t)];
        result[i * n + j] = float(sum);
      }
  }
}

/// [n, k, columns, 4] bytes, u8 less 128, and their sums behind them.
void appendSums(const TensorView &from, const TensorView &to) {
  const int64_t rowBytes = from.dims[2] * 4, blockBytes = from.dims[1] * rowBytes;
  const uint8_t flip = from.dtype == DType::U8 ? 0x80 : 0;
  const uint8_t *source = from.as<uint8_t>();
  int8_t *target = to.as<int8_t>();
  for (int64_t block = 0; block < from.dims[0]; ++block) {
    std::vector<int32_t> sums(size_t(from.dims[2]));
    for (int64_t i = 0; i < blockBytes; ++i) {
      target[i] = int8_t(source[i] ^ flip);
      sums[size_t(i % rowBytes / 4)] += target[i];
    }
    source += blockBytes;
    target += blockBytes;
    std::memcpy(target, sums.data(), size_t(rowBytes));
    target += rowBytes;
  }
}

} // namespace

Recipe &Recipe::permute(std::vector<int64_t> perm) {
  steps.push_back({RecipeStep::Kind::Permute, std::move(perm)});
  return *this;
}
Recipe &Recipe::reshape(std::vector<int64_t> dims) {
  steps.push_back({RecipeStep::Kind::Reshape, std::move(dims)});
  return *this;
}
Recipe &Recipe::pad(std::vector<int64_t> amounts) {
  steps.push_back({RecipeStep::Kind::Pad, std::move(amounts)});
  return *this;
}
Recipe &Recipe::cast(DType to) {
  steps.push_back({RecipeStep::Kind::Cast, {}, to});
  return *this;
}

Recipe &Recipe::sums() {
  steps.push_back({RecipeStep::Kind::Sums, {}});
  return *this;
}

Recipe &Recipe::winograd(int64_t outputs) {
  steps.push_back({RecipeStep::Kind::Winograd, {outputs}});
  return *this;
}

std::string Recipe::print() const {
  std::string out;
  for (const RecipeStep &step : steps)
    out += (out.empty() ? "" : "; ") + printStep(step);
  return out;
}

Result<Recipe> Recipe::parse(std::string_view text) {
  TextScanner scan(text);
  Recipe recipe;
  if (scan.atEnd())
    return recipe;
  do {
    RecipeStep step{};
    std::string_view word = scan.identifier();
    if (word == "permute")
      step.kind = RecipeStep::Kind::Permute;
    else if (word == "reshape")
      step.kind = RecipeStep::Kind::Reshape;
    else if (word == "pad")
      step.kind = RecipeStep::Kind::Pad;
    else if (word == "cast")
      step.kind = RecipeStep::Kind::Cast;
    else if (word == "winograd")
      step.kind = RecipeStep::Kind::Winograd;
    else if (word == "sums")
      step.kind = RecipeStep::Kind::Sums;
    else
      return scan.fail(ErrorCode::E0805, "expected permute, reshape, pad, cast, winograd or sums");
    if (!scan.consume('['))
      return scan.fail(ErrorCode::E0805, "expected '['");
    if (step.kind == RecipeStep::Kind::Cast) {
      std::optional<DType> dtype = dtypeFromName(scan.identifier());
      if (!dtype)
        return scan.fail(ErrorCode::E0805, "expected an element type");
      step.dtype = *dtype;
    } else if (scan.peek() != ']') {
      do {
        std::optional<int64_t> value = scan.integer();
        if (!value)
          return scan.fail(ErrorCode::E0805, "expected an integer");
        step.values.push_back(*value);
      } while (scan.consume(','));
    }
    if (!scan.consume(']'))
      return scan.fail(ErrorCode::E0805, "expected ']'");
    recipe.steps.push_back(std::move(step));
  } while (scan.consume(';'));
  if (!scan.atEnd())
    return scan.fail(ErrorCode::E0805, "unexpected text after the recipe");
  return recipe;
}

Result<RecipeType> recipeType(DType dtype, std::span<const int64_t> dims, const Recipe &recipe) {
  RecipeType type{dtype, Dims(dims.begin(), dims.end())};
  if (!byteCount(dtype, dims))
    return makeError(ErrorCode::E0308, "size of ", printTensorType(dtype, dims), " overflows");
  for (const RecipeStep &step : recipe.steps)
    KILN_TRY(stepType(step, type));
  return type;
}

Result<Tensor> applyRecipe(const TensorView &input, const Recipe &recipe) {
  KILN_TRY(recipeType(input.dtype, input.dims, recipe).status());
  Tensor current;
  RecipeType type{input.dtype, Dims(input.dims.begin(), input.dims.end())};
  const void *data = input.data;
  for (const RecipeStep &step : recipe.steps) {
    RecipeType before = type;
    KILN_TRY(stepType(step, type));
    if (step.kind == RecipeStep::Kind::Reshape)
      continue;
    KILN_ASSIGN(Tensor next, Tensor::create(type.dtype, type.dims));
    TensorView from{const_cast<void *>(data), before.dtype, before.dims};
    if (from.size() == 0) {
      if (next.bytes() > 0)
        std::memset(next.data(), 0, size_t(next.bytes()));
    } else if (step.kind == RecipeStep::Kind::Permute) {
      permuteInto(from, step.values, next.view());
    } else if (step.kind == RecipeStep::Kind::Pad) {
      padInto(from, step.values, next.view());
    } else if (step.kind == RecipeStep::Kind::Winograd) {
      transformFilters(from, step.values[0], next.view());
    } else if (step.kind == RecipeStep::Kind::Sums) {
      appendSums(from, next.view());
    } else {
      KILN_TRY(convertElements(from, next.view()));
    }
    current = std::move(next);
    data = current.data();
  }
  // Also gives a trailing reshape, and the identity, storage of their own.
  if (current.valid() && std::ranges::equal(current.dims(), type.dims))
    return current;
  return Tensor::copyOf({const_cast<void *>(data), type.dtype, type.dims});
}

} // namespace kiln
