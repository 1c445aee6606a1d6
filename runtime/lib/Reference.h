//===- Reference.h - the specification on the CPU ---------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_REFERENCE_H
#define SAGE_RUNTIME_LIB_REFERENCE_H

#include "CallEntry.h"
#include "Quantization.h"
#include "ReferenceMask.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace sage::runtime {

/// A call of the reference, checked, and its operands as the kernels' first
/// phase leaves them. Heads are dense and row-major.
struct ReferenceOperands {
  sage_problem problem{};
  sage_recipe recipe{};
  Geometry geometry;
  Extents extents;
  GroupMap queryMap, keyMap;
  float scale = 0, scaleLog2e = 0;
  int64_t keyParts = 1; ///< of the whole call (Spec N18)

  // Integer scores: values widened to 16 bits. Float scores: query rows, keys
  // transposed (D×Nk a head).
  std::vector<int16_t> queryIntegers, keyIntegers;
  std::vector<float> queryFloats, keyFloatsTransposed;
  std::vector<float> queryScales, keyScales;  // one a token, groups expanded
  std::vector<float> scoreCorrection;         // B×Hq×blocks×Nk
  std::vector<float> lseCorrection;           // B×Hq×Nq
  std::vector<float> values;                  // B×Hkv×Nk×valueColumns(), decoded
  std::vector<float> valueScales, valueMeans; // B×Hkv×Dv

  int64_t queryBlocks() const {
    return (extents.queries + geometry.queryBlock - 1) / geometry.queryBlock;
  }
  /// Quantized row sums add a column of ones to V (Spec N11).
  bool sumsColumn() const { return recipe.row_sum == SAGE_ROW_SUM_QUANTIZED; }
  int64_t valueColumns() const { return problem.value_head_dim + (sumsColumn() ? 1 : 0); }
  bool integerScores() const {
    return recipe.qk == SAGE_SCORE_INT8 || recipe.qk == SAGE_SCORE_INT4;
  }
  float lseCorrectionOf(int64_t head, int64_t query) const {
    return lseCorrection[size_t(head * extents.queries + query)];
  }
  /// Key tiles of a part.
  int64_t partTiles() const {
    int64_t tiles = (extents.keys + geometry.keyTile - 1) / geometry.keyTile;
    return std::max<int64_t>((tiles + keyParts - 1) / keyParts, 1);
  }
  /// Scores lack what centring K removed, and that matters before the end (Spec N14).
  bool completesScores() const { return recipe.smooth_k && problem.softcap != 0; }
};

Status prepareReference(const sage_program &program, const sage_call &call, CallUse use,
                        ReferenceOperands &operands);
/// `keyParts` of a call, which those of its entries are, too.
Status countKeyParts(const sage_program &program, const sage_call &call, int64_t &parts);
/// Spec N1 to N6.
Status quantizeOperands(const sage_call &call, int32_t threads,
                        const sage_reference_intermediates &intermediates,
                        ReferenceOperands &operands);
/// Spec N7 to N15 and N18. `lse` may be null; its rows lie as `rows` says.
void attend(const ReferenceOperands &operands, const sage_call &call, float *lse,
            const RowPlacement &rows, const sage_reference_options &options);

Status exactAttention(const sage_problem &problem, const sage_call &call,
                      const sage_reference_options &options, double *output, double *lse);

/// Calls options.progress, if there is one, for `total` tasks.
std::function<void(int64_t)> progressOf(const sage_reference_options &options, int64_t total);

} // namespace sage::runtime

#endif
