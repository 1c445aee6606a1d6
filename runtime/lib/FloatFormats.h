//===- FloatFormats.h - f16, bf16, e4m3 and e5m2 as bits --------*- C++ -*-===//
// Conversions round to nearest even. f16 and bf16 overflow to infinity as IEEE
// conversion does (Spec P2); e4m3 and e5m2 saturate at their largest finite
// value (Spec N5), as the PTX conversions `cvt.rn.satfinite` do.
//===----------------------------------------------------------------------===//
#ifndef SAGE_RUNTIME_LIB_FLOATFORMATS_H
#define SAGE_RUNTIME_LIB_FLOATFORMATS_H

#include <cstdint>
#include <cstring>

namespace sage::runtime {

// `static`: TileKernels.cpp is compiled for several instruction sets, whose
// copies of these functions the linker must not merge.
static inline uint32_t bitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}
static inline float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

constexpr float e4m3Max = 448.0f;
constexpr float e5m2Max = 57344.0f;

float f16ToFloat(uint16_t bits);
uint16_t floatToF16(float value);
float bf16ToFloat(uint16_t bits);
uint16_t floatToBf16(float value);
/// OCP FP8 E4M3: no infinities, NaN is 0x7F with either sign.
float e4m3ToFloat(uint8_t bits);
uint8_t floatToE4m3(float value);
/// OCP FP8 E5M2: infinities decode, but are never produced.
float e5m2ToFloat(uint8_t bits);
uint8_t floatToE5m2(float value);

/// Rounds to `mantissaBits` bits behind the leading one, or to multiples of
/// `smallest` (the least subnormal) where that is coarser, and saturates at
/// `largest`. Branch-free, so that loops over it become vector code; equal to
/// encoding and decoding again. NaN stays NaN.
template <int mantissaBits>
static inline float roundToFormat(float value, float smallest, float largest) {
  constexpr int dropped = 23 - mantissaBits;
  uint32_t bits = bitsOf(value);
  uint32_t sign = bits & 0x80000000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t odd = (magnitude >> dropped) & 1u;
  uint32_t normal = (magnitude + ((1u << (dropped - 1)) - 1u) + odd) & ~((1u << dropped) - 1u);
  // Adding 2^23·smallest leaves no bits below `smallest`: the float adder
  // itself rounds to nearest even.
  float shift = smallest * 8388608.0f;
  float absolute = floatOf(magnitude);
  float subnormal = (absolute + shift) - shift;
  float leastNormal = smallest * float(1 << mantissaBits);
  float rounded = absolute < leastNormal ? subnormal : floatOf(normal);
  rounded = rounded > largest ? largest : rounded;
  rounded = magnitude > 0x7f800000u ? value : rounded;
  return floatOf(bitsOf(rounded) | sign);
}
static inline float roundToE4m3(float value) { return roundToFormat<3>(value, 0x1p-9f, e4m3Max); }
static inline float roundToE5m2(float value) { return roundToFormat<2>(value, 0x1p-16f, e5m2Max); }
/// Infinity from 65520 on, as IEEE conversion gives.
static inline float roundToF16(float value) {
  float rounded = roundToFormat<10>(value, 0x1p-24f, 131072.0f);
  constexpr float infinity = __builtin_inff();
  return rounded >= 65536.0f ? infinity : (rounded <= -65536.0f ? -infinity : rounded);
}
static inline float roundToBf16(float value) {
  uint32_t bits = bitsOf(value);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  return (bits & 0x7fffffffu) > 0x7f800000u ? value : floatOf(rounded);
}

} // namespace sage::runtime

#endif
