// A floating-point scale as the exact quotient of two integers, so that the size it makes of another can be computed
// with symbols and comes out the same everywhere.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>

namespace kiln {

struct Quotient {
  int64_t numerator, denominator;
};

/// Of an f32 from 2^-32 to 2^32; nothing for other numbers, NaN included. The numerator is at most 2^32.
inline std::optional<Quotient> quotientOf(float value) {
  if (!(value >= 0x1p-32f && value <= 0x1p32f))
    return std::nullopt;
  int exponent;
  auto numerator = static_cast<int64_t>(std::ldexp(std::frexp(value, &exponent), 24)); // 24 bits: exact
  exponent -= 24;
  for (; exponent < 0 && numerator % 2 == 0; ++exponent)
    numerator /= 2;
  return exponent < 0 ? Quotient{numerator, int64_t{1} << -exponent} : Quotient{numerator << exponent, 1};
}

} // namespace kiln
