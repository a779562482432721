#include "codegen/families/conv/WinogradTransforms.h"

#include "runtime/base/Winograd.h"

namespace kiln {

using namespace emit;

namespace {

constexpr double a = winogradInnerPoint, b = winogradOuterPoint; // a^2 b^2 = 1, a^2 + b^2 = 2.5

/// One dim of the input side: values of the polynomials prod_{j != i} (x - p_j) on d, point by point; +p and -p share
/// their even and odd parts.
Values input1(Emitter &e, int64_t outputs, const Values &d) {
  auto times = [&](Value x, double factor, Value plus) { return e.fma(x, e.like(x, factor), plus); };
  if (outputs == 2)
    return {e.sub(d[2], d[0]), e.add(d[2], d[1]), e.sub(d[2], d[1]), e.sub(d[3], d[1])};
  Value evenA = times(d[2], -b * b, d[4]), oddA = times(d[1], -b * b, d[3]);
  Value evenB = times(d[2], -a * a, d[4]), oddB = times(d[1], -a * a, d[3]);
  return {times(d[2], -2.5, e.add(d[4], d[0])),
          times(oddA, a, evenA),
          times(oddA, -a, evenA),
          times(oddB, b, evenB),
          times(oddB, -b, evenB),
          times(d[3], -2.5, e.add(d[5], d[1]))};
}

/// One dim of the output side: sums of p_i^j m_i, and the last product in the last row.
Values output1(Emitter &e, int64_t outputs, const Values &m) {
  auto times = [&](Value x, double factor, Value plus) { return e.fma(x, e.like(x, factor), plus); };
  Value sumA = e.add(m[1], m[2]), differenceA = e.sub(m[1], m[2]);
  if (outputs == 2)
    return {e.add(m[0], sumA), e.add(differenceA, m[3])};
  Value sumB = e.add(m[3], m[4]), differenceB = e.sub(m[3], m[4]);
  auto scaled = [&](Value x, double factor) { return e.mul(x, e.like(x, factor)); };
  return {e.add(m[0], e.add(sumA, sumB)), times(differenceA, a, scaled(differenceB, b)),
          times(sumA, a * a, scaled(sumB, b * b)), times(differenceA, a * a * a, times(differenceB, b * b * b, m[5]))};
}

/// Applies `one` (rows in, rows out) to the columns of a row-major matrix, then to its rows.
template <typename Transform> Values nested(int64_t in, int64_t out, const Values &matrix, Transform one) {
  std::vector<Values> columns; // columns[j][i]
  for (int64_t j = 0; j < in; ++j) {
    Values column;
    for (int64_t i = 0; i < in; ++i)
      column.push_back(matrix[static_cast<size_t>(i * in + j)]);
    columns.push_back(one(column));
  }
  Values result;
  for (int64_t i = 0; i < out; ++i) {
    Values row;
    for (int64_t j = 0; j < in; ++j)
      row.push_back(columns[static_cast<size_t>(j)][static_cast<size_t>(i)]);
    Values done = one(row);
    result.append(done.begin(), done.end());
  }
  return result;
}

} // namespace

Values winogradInput(Emitter &e, int64_t outputs, Values tile) {
  return nested(outputs + 2, outputs + 2, tile, [&](const Values &d) { return input1(e, outputs, d); });
}

Values winogradOutput(Emitter &e, int64_t outputs, Values products) {
  return nested(outputs + 2, outputs, products, [&](const Values &m) { return output1(e, outputs, m); });
}

} // namespace kiln
