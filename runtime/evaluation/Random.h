//===- Random.h - random numbers by counter ---------------------*- C++ -*-===//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011): a number is a function of (seed, stream, index), so that any part of
// a tensor can be made alone, in any order, on any machine. Everything after it
// uses additions, multiplications, divisions and square roots only, which IEEE
// 754 fixes to the last bit: no mathematical library takes part.
//===----------------------------------------------------------------------===//
#ifndef SAGE_EVALUATION_RANDOM_H
#define SAGE_EVALUATION_RANDOM_H

#include <array>
#include <cstdint>

namespace sage::evaluation {

/// One random sequence: `stream` tells the uses of one seed apart.
class Random {
public:
  Random(uint64_t seed, uint32_t stream) : seed(seed), stream(stream) {}

  /// Four independent 32-bit numbers.
  std::array<uint32_t, 4> bits(uint64_t index, uint32_t attempt = 0) const;
  /// Uniform in (0, 1), a multiple of 2^-33.
  double uniform(uint64_t index) const;
  /// N(0, 1), by the polar method (Marsaglia).
  double normal(uint64_t index) const;

private:
  uint64_t seed;
  uint32_t stream;
};

} // namespace sage::evaluation

#endif
