//===- Exp2.h - 2^x without a mathematical library --------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_EXP2_H
#define SAGE_RUNTIME_LIB_EXP2_H

#include <cstdint>
#include <cstring>

namespace sage::runtime {

/// 2^x for |x| < 1000, relative error below 2^-45: Taylor's series of
/// exp(f·ln 2), |f| ≤ 1/2. Additions and multiplications only, so that it
/// becomes vector code and gives the same bits on every machine.
static inline double exp2Double(double x) {
  constexpr double roundingShift = 0x1.8p52;
  double shifted = x + roundingShift;
  double t = (x - (shifted - roundingShift)) * 0.693147180559945309417;
  double sum = 1.0 / 479001600;
  sum = sum * t + 1.0 / 39916800;
  sum = sum * t + 1.0 / 3628800;
  sum = sum * t + 1.0 / 362880;
  sum = sum * t + 1.0 / 40320;
  sum = sum * t + 1.0 / 5040;
  sum = sum * t + 1.0 / 720;
  sum = sum * t + 1.0 / 120;
  sum = sum * t + 1.0 / 24;
  sum = sum * t + 1.0 / 6;
  sum = sum * t + 0.5;
  sum = sum * t + 1.0;
  sum = sum * t + 1.0;
  // The low bits of `shifted` are the integer part: they become the exponent.
  uint64_t bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits + 1023) << 52;
  double power;
  std::memcpy(&power, &bits, sizeof(power));
  return sum * power;
}

/// float32, from a shorter series; 0 under 2^-126 (Spec N9), infinity from 2^128.
static inline float exp2Float(float x) {
  constexpr double roundingShift = 0x1.8p52;
  double limited = x < -200.0f ? -200.0 : double(x);
  limited = x > 200.0f ? 200.0 : limited;
  double shifted = limited + roundingShift;
  double t = (limited - (shifted - roundingShift)) * 0.693147180559945309417;
  double sum = 1.0 / 40320;
  sum = sum * t + 1.0 / 5040;
  sum = sum * t + 1.0 / 720;
  sum = sum * t + 1.0 / 120;
  sum = sum * t + 1.0 / 24;
  sum = sum * t + 1.0 / 6;
  sum = sum * t + 0.5;
  sum = sum * t + 1.0;
  sum = sum * t + 1.0;
  uint64_t bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits + 1023) << 52;
  double power;
  std::memcpy(&power, &bits, sizeof(power));
  float result = float(sum * power);
  return x < -126.0f ? 0.0f : result;
}

} // namespace sage::runtime

#endif
