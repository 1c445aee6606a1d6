//===- Quantization.h - smoothing and quantization of Q, K, V ---*- C++ -*-===//
// Spec N1 to N6 on dense float32 tensors. Sizes are in elements.
//===----------------------------------------------------------------------===//
#ifndef SAGE_RUNTIME_LIB_QUANTIZATION_H
#define SAGE_RUNTIME_LIB_QUANTIZATION_H

#include "Program.h"

#include <cstdint>
#include <vector>

namespace sage::runtime {

/// N1: sums[d] = Σ_t rows[t][d], in the order that the specification fixes.
void tokenSums(const float *rows, int64_t tokens, int64_t columns, float *sums);

/// N2: the sums divided by the number of tokens; 0 of no tokens.
void tokenMeans(const float *rows, int64_t tokens, int64_t columns, float *means);
void subtractFromRows(float *rows, int64_t tokens, int64_t columns, const float *means);

/// N3: the scale index of every token, and how many scales a head has.
struct GroupMap {
  std::vector<int32_t> groupOf;
  int64_t groups = 0;

  static Status create(const Expression &map, int64_t tokens, GroupMap &result);
};

/// N3: every row becomes its Hadamard transform, in blocks of the largest power of two that divides
/// `columns`. `halve` says how often the result is halved: as belongs to Q, or to K.
enum class Halve { Query, Key };
void rotateRows(float *rows, int64_t tokens, int64_t columns, Halve halve);

/// A symmetric range and the rounding that belongs to it.
struct ScaleAndInverse {
  float scale, inverse;
};
/// N4, N5: scale = largest / range. 0 gives scale 1 and inverse 0, NaN gives NaN
/// (P1).
ScaleAndInverse scaleOf(float largest, float range);

/// N4, or its e4m3 form: quantizes one head. `values` receives integers or bits
/// of e4m3, `scales` one float a group. The range stands for `fraction` of a
/// group's largest magnitude.
void quantizeScores(const float *rows, int64_t columns, const GroupMap &map, sage_score_type type,
                    float fraction, int8_t *values, float *scales);
/// The integer or float that `quantizeScores` stored.
float decodeScore(sage_score_type type, int8_t value);

/// The largest value that P and V are scaled to (Spec N5, N9).
struct ValueRange {
  float probability, value;
};
ValueRange valueRange(const sage_recipe &recipe);

/// N5: quantizes one head of V. `decoded` is tokens×columns and receives what
/// the bits mean, 0 for NaN (the channel's scale is NaN then); `bits` may be
/// null, or is columns×positions in the storage order of N6.
Status quantizeValues(const float *rows, int64_t tokens, int64_t columns, const sage_recipe &recipe,
                      sage_element_type elementType, const Expression &valueOrder, float *decoded,
                      float *scales, uint8_t *bits);

} // namespace sage::runtime

#endif
