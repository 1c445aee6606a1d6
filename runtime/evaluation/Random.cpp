//===- Random.cpp - random numbers by counter -----------------------------===//
#include "Random.h"

#include <cmath>

namespace sage::evaluation {
namespace {

/// In (0, 1), symmetric about 1/2.
double unitOf(uint32_t bits) { return (double(bits) + 0.5) * 0x1p-32; }

/// ln x for 0 < x ≤ 1, error below 1e-15: ln m = 2·artanh((m-1)/(m+1)) as a
/// series, m in [1/√2, √2).
double naturalLogarithm(double x) {
  int exponent;
  double mantissa = std::frexp(x, &exponent); // exact
  if (mantissa < 0.70710678118654752440) {
    mantissa *= 2;
    --exponent;
  }
  double z = (mantissa - 1) / (mantissa + 1), square = z * z;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2)
    sum = sum * square + 1.0 / k;
  return 2 * z * sum + exponent * 0.693147180559945309417;
}

} // namespace

std::array<uint32_t, 4> Random::bits(uint64_t index, uint32_t attempt) const {
  constexpr uint64_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
  constexpr uint32_t weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
  std::array<uint32_t, 4> counter = {uint32_t(index), uint32_t(index >> 32), stream, attempt};
  uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t product0 = multiplier0 * counter[0];
    uint64_t product1 = multiplier1 * counter[2];
    counter = {uint32_t(product1 >> 32) ^ counter[1] ^ key0, uint32_t(product1),
               uint32_t(product0 >> 32) ^ counter[3] ^ key1, uint32_t(product0)};
    key0 += weyl0;
    key1 += weyl1;
  }
  return counter;
}

double Random::uniform(uint64_t index) const { return unitOf(bits(index)[0]); }

double Random::normal(uint64_t index) const {
  for (uint32_t attempt = 0;; ++attempt) {
    std::array<uint32_t, 4> random = bits(index, attempt);
    for (int pair = 0; pair < 4; pair += 2) {
      double u = 2 * unitOf(random[size_t(pair)]) - 1;
      double v = 2 * unitOf(random[size_t(pair) + 1]) - 1;
      double square = u * u + v * v;
      if (square < 1)
        return u * std::sqrt(-2 * naturalLogarithm(square) / square);
    }
  }
}

} // namespace sage::evaluation
