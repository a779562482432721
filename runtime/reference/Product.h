// The inner product of matmul, conv and attention: c[M,N] += a[M,K] * b[K,N] in one compute type,
// plain loops ordered so that the rows of b stay in cache. Every result is the sum over k in
// ascending order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace kiln::ref {

/// Dense row-major operands with leading dimensions lda, ldb and ldc.
template <typename C>
void multiplyAdd(int64_t m, int64_t n, int64_t k, const C *a, int64_t lda, const C *b, int64_t ldb, C *c, int64_t ldc) {
  using W = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>; // integers wrap
  constexpr int64_t columns = 256;
  for (int64_t j = 0; j < n; j += columns) {
    const int64_t width = std::min(columns, n - j);
    int64_t i = 0;
    for (; i + 4 <= m; i += 4) { // four rows share each load of b
      C *__restrict c0 = c + i * ldc + j, *__restrict c1 = c0 + ldc, *__restrict c2 = c1 + ldc,
                    *__restrict c3 = c2 + ldc;
      for (int64_t p = 0; p < k; ++p) {
        const C *__restrict row = b + p * ldb + j;
        const C *column = a + i * lda + p;
        const C a0 = column[0], a1 = column[lda], a2 = column[2 * lda], a3 = column[3 * lda];
        for (int64_t x = 0; x < width; ++x) {
          c0[x] = static_cast<C>(W(c0[x]) + W(a0) * W(row[x]));
          c1[x] = static_cast<C>(W(c1[x]) + W(a1) * W(row[x]));
          c2[x] = static_cast<C>(W(c2[x]) + W(a2) * W(row[x]));
          c3[x] = static_cast<C>(W(c3[x]) + W(a3) * W(row[x]));
        }
      }
    }
    for (; i < m; ++i) {
      C *__restrict c0 = c + i * ldc + j;
      for (int64_t p = 0; p < k; ++p) {
        const C *__restrict row = b + p * ldb + j;
        const C a0 = a[i * lda + p];
        for (int64_t x = 0; x < width; ++x)
          c0[x] = static_cast<C>(W(c0[x]) + W(a0) * W(row[x]));
      }
    }
  }
}

} // namespace kiln::ref
