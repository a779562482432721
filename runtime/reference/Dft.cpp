// dft, as its formula says: each element of the result is a sum over the signal.
#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

#include <algorithm>
#include <numbers>

namespace kiln::ref {
namespace {

/// An attribute, or the integer in operand `index` where it is present.
Result<int64_t> steer(const OpCall &call, size_t index, std::string_view attribute, int64_t fallback) {
  const TensorView given = operand(call, index);
  if (!given.present())
    return call.attributes.getInt(attribute, fallback);
  KILN_ASSIGN(const Dims values, readInts("dft", attribute, given));
  if (values.size() != 1)
    return makeError(ErrorCode::E0304, "dft: ", attribute, " has ", values.size(), " elements, expected one");
  return values[0];
}

struct Transform {
  int64_t axis = 0, length = 0;
  bool inverse = false, onesided = false;

  bool toReal() const { return inverse && onesided; }
  /// Elements of the result along the axis.
  int64_t made() const { return onesided && !inverse ? length / 2 + 1 : length; }
};

Result<Transform> read(const OpCall &call) {
  KILN_TRY(checkCounts("dft", call, 1, 3));
  const TensorView &x = call.inputs[0];
  if (x.rank() < 2 || (x.dims.back() != 1 && x.dims.back() != 2))
    return makeError(ErrorCode::E0304, "dft: the operand has dims ", printDims(x.dims),
                     ", expected a last one of 1 or 2 and others");
  Transform t;
  t.inverse = call.attributes.getBool("inverse"), t.onesided = call.attributes.getBool("onesided");
  KILN_ASSIGN(t.axis, steer(call, 2, "axis", -2));
  const ErrorCode code = operand(call, 2).present() ? ErrorCode::E0513 : ErrorCode::E0412;
  if (t.axis < -x.rank() || t.axis >= x.rank() - 1 || t.axis == -1)
    return makeError(code, "dft: axis ", t.axis, " is out of range for rank ", x.rank());
  t.axis += t.axis < 0 ? x.rank() : 0;
  KILN_ASSIGN(t.length, steer(call, 1, "length", 0));
  const int64_t signal = x.dims[t.axis];
  if (t.length == 0 && !operand(call, 1).present())
    t.length = t.toReal() ? 2 * (std::min(signal, int64_t{1} << 40) - 1) : signal;
  if (t.length < 1)
    return makeError(operand(call, 1).present() ? ErrorCode::E0513 : ErrorCode::E0304, "dft: the length is ", t.length,
                     ", expected 1 or more");
  Dims dims(x.dims.begin(), x.dims.end());
  dims[t.axis] = t.made();
  dims.back() = t.toReal() ? 1 : 2;
  KILN_TRY(checkOutput("dft", call, x.dtype, dims));
  return t;
}

} // namespace

Status op_dft(const OpCall &call) {
  KILN_ASSIGN(const Transform t, read(call));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  const int64_t parts = x.dims.back(), results = out.dims.back(), size = x.dims[t.axis], made = t.made();
  const auto behind = x.dims.subspan(static_cast<size_t>(t.axis + 1));
  const int64_t outer = productOf(x.dims.first(static_cast<size_t>(t.axis)));
  const int64_t inner = productOf(behind.first(behind.size() - 1)); // lines of whole numbers
  if (out.size() == 0)
    return {};
  return withFloat("dft", x.dtype, call.accumulate, [&]<typename C>() {
    std::vector<C> cosine(static_cast<size_t>(t.length)), sine(cosine);
    for (int64_t i = 0; i < t.length; ++i) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(t.length);
      cosine[i] = static_cast<C>(std::cos(angle));
      sine[i] = static_cast<C>(t.inverse ? std::sin(angle) : -std::sin(angle));
    }
    // A real result: each element but the first and the middle one stands for two.
    const int64_t used = std::min(size, t.toReal() ? t.length / 2 + 1 : t.length);
    std::vector<C> re(static_cast<size_t>(used)), im(static_cast<size_t>(used), C(0)), line(static_cast<size_t>(made));
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) {
        const int64_t from = (o * size * inner + i) * parts, to = (o * made * inner + i) * results;
        loadOf<C>(x.dtype)(x.data, from, inner * parts, used, re.data());
        if (parts == 2)
          loadOf<C>(x.dtype)(x.data, from + 1, inner * parts, used, im.data());
        for (int64_t part = 0; part < results; ++part) {
          for (int64_t k = 0; k < made; ++k) {
            C sum = 0;
            for (int64_t s = 0, at = 0; s < used; ++s, at = (at + k) % t.length) {
              const bool twice = t.toReal() && s != 0 && 2 * s != t.length;
              const C own = part == 0 ? re[s] * cosine[at] - im[s] * sine[at] : re[s] * sine[at] + im[s] * cosine[at];
              sum += twice ? 2 * own : own;
            }
            line[k] = t.inverse ? sum / static_cast<C>(t.length) : sum;
          }
          storeOf<C>(x.dtype)(line.data(), made, out.data, to + part, inner * results);
        }
      }
    return Status();
  });
}

} // namespace kiln::ref
