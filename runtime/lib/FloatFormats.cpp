//===- FloatFormats.cpp - f16, bf16, e4m3 and e5m2 as bits ----------------===//
#include "FloatFormats.h"

#include <cmath>

namespace sage::runtime {
namespace {

/// Exact value of the finite number with these fields.
float decodeFinite(uint32_t exponent, uint32_t mantissa, int mantissaBits, int bias) {
  if (exponent == 0)
    return std::ldexp(float(mantissa), 1 - bias - mantissaBits);
  return std::ldexp(float(mantissa | (1u << mantissaBits)), int(exponent) - bias - mantissaBits);
}

/// Bits, without sign, of a finite number that the format can hold.
uint32_t encodeExact(float magnitude, int mantissaBits, int bias) {
  if (magnitude == 0)
    return 0;
  int exponent;
  std::frexp(magnitude, &exponent);
  exponent += bias - 1;
  if (exponent <= 0)
    return uint32_t(std::ldexp(magnitude, bias - 1 + mantissaBits));
  uint32_t significand = uint32_t(std::ldexp(magnitude, mantissaBits - (exponent - bias)));
  return (uint32_t(exponent) << mantissaBits) | (significand & ((1u << mantissaBits) - 1u));
}

float withSign(float magnitude, bool negative) { return negative ? -magnitude : magnitude; }

} // namespace

float f16ToFloat(uint16_t bits) {
  uint32_t exponent = (bits >> 10) & 0x1fu, mantissa = bits & 0x3ffu;
  uint32_t sign = uint32_t(bits & 0x8000u) << 16;
  if (exponent == 0x1f)
    return floatOf(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0)
    return floatOf(sign | ((exponent + 112) << 23) | (mantissa << 13));
  return withSign(float(mantissa) * 0x1p-24f, sign != 0);
}

uint16_t floatToF16(float value) {
  uint16_t sign = uint16_t((bitsOf(value) >> 16) & 0x8000u);
  if (std::isnan(value))
    return uint16_t(sign | 0x7e00u);
  float rounded = std::fabs(roundToF16(value));
  if (std::isinf(rounded))
    return uint16_t(sign | 0x7c00u);
  return uint16_t(sign | encodeExact(rounded, 10, 15));
}

float bf16ToFloat(uint16_t bits) { return floatOf(uint32_t(bits) << 16); }

uint16_t floatToBf16(float value) {
  uint32_t bits = bitsOf(value);
  if (std::isnan(value))
    return uint16_t((bits >> 16) | 0x40u);
  return uint16_t(bitsOf(roundToBf16(value)) >> 16);
}

float e4m3ToFloat(uint8_t bits) {
  bool negative = bits & 0x80u;
  if ((bits & 0x7fu) == 0x7fu)
    return floatOf(0x7fc00000u | (negative ? 0x80000000u : 0u));
  return withSign(decodeFinite((bits >> 3) & 0xfu, bits & 7u, 3, 7), negative);
}

uint8_t floatToE4m3(float value) {
  uint8_t sign = uint8_t((bitsOf(value) >> 24) & 0x80u);
  if (std::isnan(value))
    return uint8_t(sign | 0x7fu);
  return uint8_t(sign | encodeExact(std::fabs(roundToE4m3(value)), 3, 7));
}

float e5m2ToFloat(uint8_t bits) {
  bool negative = bits & 0x80u;
  uint32_t exponent = (bits >> 2) & 0x1fu, mantissa = bits & 3u;
  if (exponent == 0x1f)
    return floatOf((negative ? 0x80000000u : 0u) | (mantissa ? 0x7fc00000u : 0x7f800000u));
  return withSign(decodeFinite(exponent, mantissa, 2, 15), negative);
}

uint8_t floatToE5m2(float value) {
  uint8_t sign = uint8_t((bitsOf(value) >> 24) & 0x80u);
  if (std::isnan(value))
    return uint8_t(sign | 0x7fu);
  return uint8_t(sign | encodeExact(std::fabs(roundToE5m2(value)), 2, 15));
}

} // namespace sage::runtime
