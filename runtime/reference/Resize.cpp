// resize: one axis after the other, each by a table of what its positions read.
#include "runtime/base/Quotient.h"
#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

#include <algorithm>
#include <array>

namespace kiln::ref {
namespace {

enum class Mode { Nearest, Linear, Cubic };
enum class Coordinates {
  HalfPixel,
  HalfPixelSymmetric,
  PytorchHalfPixel,
  AlignCorners,
  Asymmetric,
  TfHalfPixelForNn,
  TfCropAndResize
};
enum class Nearest { Floor, Ceil, RoundPreferFloor, RoundPreferCeil, ByScale };

struct Manner {
  Mode mode;
  Coordinates coordinates;
  Nearest nearest;
  double cubic; ///< the coefficient of cubic interpolation
  bool antialias, excludeOutside;
};

/// How one axis is resized.
struct Axis {
  int64_t axis, in, out;
  double scale;
  double width; ///< scale times size, which `out` rounds
  double start = 0, end = 1;
};

struct Tap {
  int64_t index;
  double weight;
};
/// What one position of the result reads along an axis.
struct Sample {
  bool beyond = false; ///< the extrapolation value
  std::vector<Tap> taps;
};

/// Attribute `name` as the enumerator at the position of its value in `names`.
template <typename E, size_t N>
Result<E> choice(const OpCall &call, const char *name, const std::array<std::string_view, N> &names,
                 std::string_view fallback) {
  const std::string value = call.attributes.getString(name, fallback);
  const auto found = std::ranges::find(names, value);
  if (found == names.end())
    return makeError(ErrorCode::E0411, "resize: unknown ", name, " \"", value, "\"");
  return static_cast<E>(found - names.begin());
}

Result<Manner> readManner(const OpCall &call) {
  Manner m;
  KILN_ASSIGN(m.mode,
              choice<Mode>(call, "mode", std::array<std::string_view, 3>{"nearest", "linear", "cubic"}, "nearest"));
  constexpr std::array<std::string_view, 7> coordinates = {
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
      "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
  KILN_ASSIGN(m.coordinates, choice<Coordinates>(call, "coordinates", coordinates, "half_pixel"));
  constexpr std::array<std::string_view, 5> nearest = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil",
                                                       "by_scale"};
  KILN_ASSIGN(m.nearest, choice<Nearest>(call, "nearest", nearest, "round_prefer_floor"));
  m.cubic = call.attributes.getFloat("cubic_coeff_a", -0.75);
  m.antialias = call.attributes.getBool("antialias");
  m.excludeOutside = call.attributes.getBool("exclude_outside");
  if (m.antialias && m.mode == Mode::Nearest)
    return makeError(ErrorCode::E0414, "resize: antialias needs mode linear or cubic");
  return m;
}

Result<std::vector<double>> readFloats(std::string_view op, std::string_view what, const TensorView &view) {
  if (view.rank() > 1)
    return makeError(ErrorCode::E0304, op, ": ", what, " has rank ", view.rank(), ", expected 1");
  if (!isFloat(view.dtype))
    return makeError(ErrorCode::E0305, op, ": ", what, " is ", dtypeName(view.dtype), ", expected f32");
  std::vector<double> values(view.size());
  loadOf<double>(view.dtype)(view.data, 0, 1, view.size(), values.data());
  return values;
}

Result<std::vector<Axis>> readAxes(const OpCall &call) {
  const TensorView &x = call.inputs[0];
  std::vector<Axis> axes;
  Dims listed = call.attributes.getInts("axes");
  if (listed.empty())
    for (int64_t axis = 0; axis < x.rank(); ++axis)
      listed.push_back(axis);
  for (int64_t axis : listed) {
    KILN_ASSIGN(axis, normalizeAxis("resize", axis, x.rank()));
    for (const Axis &other : axes)
      if (other.axis == axis)
        return makeError(ErrorCode::E0413, "resize: axis ", axis, " is given twice");
    axes.push_back({axis, x.dims[axis], 0, 1, 0});
  }
  std::vector<double> roi = call.attributes.getFloats("roi");
  if (const TensorView region = operand(call, 2); region.present()) {
    KILN_ASSIGN(roi, readFloats("resize", "the region", region));
  }
  if (!roi.empty() && roi.size() != 2 * axes.size())
    return makeError(ErrorCode::E0404, "resize: roi has ", roi.size(), " entries, expected ", 2 * axes.size());
  for (size_t i = 0; i < axes.size() && !roi.empty(); ++i) {
    axes[i].start = roi[i];
    axes[i].end = roi[axes.size() + i];
  }
  return axes;
}

/// Sizes by `scales`: floor(in * scale), exactly.
Status scaleSizes(const OpCall &call, std::vector<Axis> &axes) {
  std::vector<double> scales = call.attributes.getFloats("scales");
  if (const TensorView extent = operand(call, 1); extent.present()) {
    KILN_ASSIGN(scales, readFloats("resize", "the list of scales", extent));
  }
  if (scales.size() != axes.size())
    return makeError(ErrorCode::E0404, "resize: scales has ", scales.size(), " entries, expected ", axes.size());
  for (size_t i = 0; i < axes.size(); ++i) {
    Axis &a = axes[i];
    const std::optional<Quotient> exact = quotientOf(static_cast<float>(scales[i]));
    if (!exact)
      return makeError(ErrorCode::E0411, "resize: scale ", scales[i], " is out of range");
    const std::optional<int64_t> scaled = checkedMul(a.in, exact->numerator);
    if (!scaled)
      return makeError(ErrorCode::E0308, "resize: size ", a.in, " times ", scales[i], " overflows");
    a.out = *scaled / exact->denominator;
    a.scale = static_cast<float>(scales[i]);
    a.width = a.scale * static_cast<double>(a.in);
  }
  return {};
}

/// Sizes by the operand, under `policy`.
Status takeSizes(const OpCall &call, std::vector<Axis> &axes) {
  if (call.attributes.contains("scales") && !call.attributes.getFloats("scales").empty())
    return makeError(ErrorCode::E0414, "resize: takes sizes or scales, not both");
  KILN_ASSIGN(const Dims sizes, readInts("resize", "the list of sizes", call.inputs[1]));
  const std::string policy = call.attributes.getString("policy", "stretch");
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller")
    return makeError(ErrorCode::E0411, "resize: unknown policy \"", policy, "\"");
  if (sizes.size() != axes.size())
    return makeError(ErrorCode::E0404, "resize: got ", sizes.size(), " sizes, expected ", axes.size());
  constexpr int64_t limit = int64_t{1} << 31;
  size_t extreme = 0; // the axis whose scale all others take
  for (size_t i = 0; i < axes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > limit || axes[i].in > limit)
      return makeError(ErrorCode::E0513, "resize: size ", sizes[i], " is out of range");
    if (axes[i].in == 0 && policy != "stretch")
      return makeError(ErrorCode::E0304, "resize: an axis without elements has no aspect ratio to keep");
    const int64_t mine = sizes[i] * axes[extreme].in, its = sizes[extreme] * axes[i].in;
    if (policy == "not_larger" ? mine < its : mine > its)
      extreme = i;
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    Axis &a = axes[i];
    if (policy == "stretch") {
      a.out = sizes[i];
      a.scale = a.in ? static_cast<double>(a.out) / static_cast<double>(a.in) : 1;
      a.width = static_cast<double>(a.out);
      continue;
    }
    const int64_t size = sizes[extreme], of = axes[extreme].in;
    const __int128 doubled = static_cast<__int128>(2) * size * a.in + of; // to the nearest, halves up
    a.out = static_cast<int64_t>(doubled / (2 * static_cast<__int128>(of)));
    a.scale = static_cast<double>(size) / static_cast<double>(of);
    a.width = a.scale * static_cast<double>(a.in);
  }
  return {};
}

/// The position in x of position y of the result.
double original(Coordinates kind, const Axis &a, double y) {
  const double last = static_cast<double>(a.in - 1), halves = (y + 0.5) / a.scale;
  switch (kind) {
  case Coordinates::HalfPixel: return halves - 0.5;
  case Coordinates::HalfPixelSymmetric:
    return static_cast<double>(a.in) / 2 * (1 - static_cast<double>(a.out) / a.width) + halves - 0.5;
  case Coordinates::PytorchHalfPixel: return a.out > 1 ? halves - 0.5 : 0;
  case Coordinates::AlignCorners: return a.width == 1 ? 0 : y * last / (a.width - 1);
  case Coordinates::Asymmetric: return y / a.scale;
  case Coordinates::TfHalfPixelForNn: return halves;
  case Coordinates::TfCropAndResize:
    return a.out > 1 ? a.start * last + y * (a.end - a.start) * last / (a.width - 1) : (a.start + a.end) * last / 2;
  }
  return 0;
}

double nearestTo(Nearest kind, double x, double scale) {
  switch (kind) {
  case Nearest::Floor: return std::floor(x);
  case Nearest::Ceil: return std::ceil(x);
  case Nearest::RoundPreferFloor: return std::ceil(x - 0.5);
  case Nearest::RoundPreferCeil: return std::floor(x + 0.5);
  case Nearest::ByScale: return scale < 1 ? std::ceil(x) : std::floor(x);
  }
  return x;
}

/// The filter of a mode at a distance from its middle.
double filter(const Manner &m, double distance) {
  const double d = std::abs(distance), a = m.cubic;
  if (m.mode == Mode::Linear)
    return std::max(0.0, 1 - d);
  if (d <= 1)
    return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

Sample sampleAt(const Manner &m, const Axis &a, double y) {
  const double last = static_cast<double>(a.in - 1);
  double x = original(m.coordinates, a, y);
  if (!(std::abs(x) < 0x1p40)) // a roi may be anything
    x = x > 0 ? 0x1p40 : -0x1p40;
  if (m.coordinates == Coordinates::TfCropAndResize && (x < 0 || x > last))
    return {true, {}};
  Sample sample;
  if (m.mode == Mode::Nearest) {
    sample.taps.push_back({static_cast<int64_t>(std::clamp(nearestTo(m.nearest, x, a.scale), 0.0, last)), 1});
    return sample;
  }
  // Where the axis shrinks, antialias stretches the filter over as many more elements.
  const double scale = m.antialias ? std::min(a.scale, 1.0) : 1, left = std::floor(x);
  const auto reach = static_cast<int64_t>(std::ceil((m.mode == Mode::Linear ? 1 : 2) / scale));
  double sum = 0;
  for (int64_t offset = 1 - reach; offset <= reach; ++offset) {
    const double at = left + static_cast<double>(offset), weight = filter(m, (at - x) * scale);
    if (weight == 0 || (m.excludeOutside && (at < 0 || at > last)))
      continue;
    sum += weight;
    sample.taps.push_back({static_cast<int64_t>(std::clamp(at, 0.0, last)), weight});
  }
  if ((m.antialias || m.excludeOutside) && sum != 0)
    for (Tap &tap : sample.taps)
      tap.weight /= sum;
  return sample;
}

/// `values` [outer, in, inner] sampled along the middle axis.
template <typename C>
std::vector<C> resizeAxis(const std::vector<C> &values, int64_t outer, int64_t inner, const Axis &a,
                          const std::vector<Sample> &samples, C beyond) {
  std::vector<C> result(outer * a.out * inner, C(0));
  C *to = result.data();
  for (int64_t o = 0; o < outer; ++o)
    for (const Sample &sample : samples) {
      if (sample.beyond)
        std::fill_n(to, inner, beyond);
      for (const Tap &tap : sample.taps) {
        const C *from = values.data() + (o * a.in + tap.index) * inner;
        for (int64_t i = 0; i < inner; ++i)
          to[i] += static_cast<C>(tap.weight) * from[i];
      }
      to += inner;
    }
  return result;
}

/// Whether an axis keeps its elements as they are.
bool staysAsItIs(const Manner &m, const Axis &a) {
  return a.scale == 1 && a.out == a.in &&
         (m.coordinates != Coordinates::TfCropAndResize || (a.start == 0 && a.end == 1));
}

template <typename C> Status resize(const OpCall &call, const Manner &m, std::vector<Axis> axes) {
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  const C beyond = convert<C>(call.attributes.getFloat("extrapolation_value"));
  std::vector<C> values(x.size());
  loadOf<C>(x.dtype)(x.data, 0, 1, x.size(), values.data());
  // Those that shrink first: so no tensor in between is larger than the operand and the result.
  std::ranges::stable_sort(axes, {}, &Axis::scale);
  Dims dims(x.dims.begin(), x.dims.end());
  for (const Axis &a : axes) {
    if (staysAsItIs(m, a))
      continue;
    std::vector<Sample> samples;
    for (int64_t y = 0; y < a.out; ++y)
      samples.push_back(sampleAt(m, a, static_cast<double>(y)));
    const std::span<const int64_t> all(dims);
    values = resizeAxis(values, productOf(all.first(a.axis)), productOf(all.subspan(a.axis + 1)), a, samples, beyond);
    dims[a.axis] = a.out;
  }
  if (std::is_floating_point_v<C> && !isFloat(x.dtype)) // stores truncate
    for (C &value : values)
      value = std::nearbyint(value);
  storeOf<C>(out.dtype)(values.data(), out.size(), out.data, 0, 1);
  return {};
}

} // namespace

Status op_resize(const OpCall &call) {
  KILN_TRY(checkCounts("resize", call, 1, 3));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  KILN_ASSIGN(const Manner manner, readManner(call));
  KILN_ASSIGN(std::vector<Axis> axes, readAxes(call));
  const TensorView extent = operand(call, 1);
  KILN_TRY(extent.present() && !isFloat(extent.dtype) ? takeSizes(call, axes) : scaleSizes(call, axes));
  if (manner.coordinates == Coordinates::TfCropAndResize && call.attributes.getFloats("roi").empty() &&
      !operand(call, 2).present() && !axes.empty())
    return makeError(ErrorCode::E0401, "resize: coordinates tf_crop_and_resize needs the attribute roi");
  Dims dims(x.dims.begin(), x.dims.end());
  for (const Axis &a : axes)
    dims[a.axis] = a.out;
  KILN_TRY(checkOutput("resize", call, x.dtype, dims));
  if (out.size() == 0)
    return {};
  if (x.size() == 0)
    return makeError(ErrorCode::E0513, "resize: dims ", printDims(x.dims), " have no elements to sample");
  if (manner.mode == Mode::Nearest)
    return withCompute(x.dtype, call.accumulate, [&]<typename C>() { return resize<C>(call, manner, axes); });
  if (x.dtype == DType::Bool)
    return makeError(ErrorCode::E0203, "resize of bool needs mode nearest");
  if (isFloat(x.dtype) && x.dtype != DType::F64 && call.accumulate == Accumulate::Own)
    return resize<float>(call, manner, axes);
  return resize<double>(call, manner, axes);
}

} // namespace kiln::ref
