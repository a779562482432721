#include "tools/sweep/FmaPeak.h"

#include <chrono>
#include <immintrin.h>

namespace kiln {

namespace {

constexpr int chains = 10, rounds = 4000;

// One instruction per chain; the compiler must neither merge nor drop them.
#define KILN_FMA(acc) asm volatile("vfmadd213ps %2, %1, %0" : "+v"(acc) : "v"(x), "v"(y));
#define KILN_FMA_LOOP(Vector, set)                                                                              \
  Vector x = set(1.0000001f), y = set(1e-9f);                                                                   \
  Vector a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x;                                  \
  for (int n = 0; n < rounds; ++n) {                                                                            \
    KILN_FMA(a)                                                                                                 \
    KILN_FMA(b) KILN_FMA(c) KILN_FMA(d) KILN_FMA(e) KILN_FMA(f) KILN_FMA(g) KILN_FMA(h) KILN_FMA(i) KILN_FMA(j) \
  }

__attribute__((target("avx2,fma"), noinline)) void run256() { KILN_FMA_LOOP(__m256, _mm256_set1_ps) }
__attribute__((target("avx512f"), noinline)) void run512() { KILN_FMA_LOOP(__m512, _mm512_set1_ps) }

} // namespace

double measureFmaPeak(const TargetInfo &target) {
  auto begin = std::chrono::steady_clock::now();
  if (target.vectorBits == 512)
    run512();
  else
    run256();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return 2.0 * chains * rounds * target.lanes(32) / seconds;
}

} // namespace kiln
