//===- TileKernels.h - inner loops of the CPU reference ---------*- C++ -*-===//
// TileKernels.cpp is compiled once for the baseline instruction set and, on
// x86-64, once more with AVX2 and FMA. Every loop fixes its order of operations
// (no contraction, no reassociation): both give the same bits.
//===----------------------------------------------------------------------===//
#ifndef SAGE_RUNTIME_LIB_TILEKERNELS_H
#define SAGE_RUNTIME_LIB_TILEKERNELS_H

#include <cstdint>

namespace sage::runtime {

/// How P·V is added (Spec N10).
enum class Accumulator {
  Float32,
  /// FP8 tensor cores: exact products; addends and accumulator aligned to their
  /// largest exponent and cut off behind 13 bits; 32 keys a step.
  TensorCore22,
  /// An f16 accumulator: 32 products a step, one rounding to f16 a step.
  Float16
};

/// How P is stored (Spec N9).
enum class Probability { E4M3, E5M2, F16, BF16 };

struct TileKernels {
  /// scores[j] = Σ_d query[d]·keys[j][d], exact.
  void (*integerScores)(const int16_t *query, const int16_t *keys, int64_t headDim, int64_t count,
                        float *scores);
  /// scores[j] = Σ_d query[d]·keys[d][j] in float32, d increasing.
  void (*floatScores)(const float *query, const float *keysTransposed, int64_t keyStride,
                      int64_t headDim, int64_t count, float *scores);
  /// x[j] = scores[j]·(rowFactor·keyScales[j]) [+ correction[j]·scaleLog2e, in
  /// one fused multiply-add], the largest x, or NaN if any is.
  float (*logits)(const float *scores, const float *keyScales, float rowFactor,
                  const float *correction, float scaleLog2e, int64_t count, float *x,
                  float *factors);
  /// p[j] = exp2(x[j] + offset), with x's product fused into the addition where
  /// there is no correction; rounds p in place and returns the sum of the
  /// unrounded values.
  float (*probabilities)(const float *scores, const float *factors, const float *x, bool corrected,
                         float offset, Probability format, int64_t count, float *p);
  /// sum[d] += Σ_j p[j]·values[j][d], j increasing.
  void (*accumulate)(Accumulator accumulator, const float *p, const float *values,
                     int64_t valueStride, int64_t count, int64_t columns, float *sum);
  /// total[d] = fma(total[d], factor, addend[d]).
  void (*rescaleAndAdd)(float *total, float factor, const float *addend, int64_t columns);
};

/// For this machine.
const TileKernels &tileKernels();
/// Of the baseline instruction set; to compare with.
const TileKernels &baselineTileKernels();

/// 2^x in float32, relative error below 2^-23; 0 under 2^-126. The same bits on
/// every machine.
float exp2Reference(float x);
/// The hyperbolic tangent, absolute error below 2^-23; the same bits on every
/// machine.
float tanhReference(float x);

} // namespace sage::runtime

#endif
