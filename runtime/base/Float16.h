// Conversions between f32 and the 16-bit float formats, as bits: round to nearest even, NaN stays
// NaN (quiet), the same on every machine.
#pragma once

#include <bit>
#include <cstdint>

namespace kiln {

inline float bf16ToFloat(uint16_t h) { return std::bit_cast<float>(uint32_t(h) << 16); }

inline uint16_t floatToBf16(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u)
    return uint16_t((u >> 16) | 0x40);
  return uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

inline float f16ToFloat(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = (h >> 10) & 0x1f, mantissa = h & 0x3ff;
  if (exponent == 0x1f)
    return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13) | (mantissa ? 0x400000u : 0u));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  float magnitude = float(mantissa) * 0x1p-24f; // exact
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

inline uint16_t floatToF16(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f);
  uint16_t sign = uint16_t((u >> 16) & 0x8000);
  u &= 0x7fffffffu;
  if (u > 0x7f800000u)
    return uint16_t(sign | 0x7e00 | ((u >> 13) & 0x1ff));
  if (u >= 0x477ff000u) // 65520 and above round to infinity
    return uint16_t(sign | 0x7c00);
  if (u >= 0x38800000u) { // normal
    u += 0xfff + ((u >> 13) & 1);
    return uint16_t(sign | ((u - 0x38000000u) >> 13));
  }
  // Subnormal: adding 0.5 lets the float adder round to the 2^-24 grid.
  float rounded = std::bit_cast<float>(u) + 0.5f;
  return uint16_t(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000u));
}

/// f64 to a 16-bit format without double rounding: the f32 step rounds to odd.
inline float roundToOddFloat(double d) {
  float f = float(d);
  if (double(f) == d || d != d)
    return f;
  uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) == 0x7f800000u)
    return f;
  double magnitude = d < 0 ? -d : d, rounded = f < 0 ? -double(f) : double(f);
  if (rounded > magnitude)
    --u; // truncate the magnitude
  return std::bit_cast<float>(u | 1);
}
inline uint16_t doubleToBf16(double d) { return floatToBf16(roundToOddFloat(d)); }
inline uint16_t doubleToF16(double d) { return floatToF16(roundToOddFloat(d)); }

} // namespace kiln
