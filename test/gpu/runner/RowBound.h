//===- RowBound.h - the error bound of one row of O -------------*- C++ -*-===//
#ifndef SAGE_GPU_TEST_ROWBOUND_H
#define SAGE_GPU_TEST_ROWBOUND_H

#include "ErrorBound.h"
#include "ReferenceScores.h"
#include "TileKernels.h"

namespace sage::gpu {

/// How a matrix product adds, and so what order and cutting off may change.
struct ProductPrecision {
  int64_t step;    ///< products that one instruction adds
  int keptBits;    ///< of the mantissa, when addends are aligned
  int addendsMore; ///< addends of full uncertainty besides the products
};

/// Replays one row as the reference computes it and follows what a kernel may do
/// otherwise. One object serves one thread.
class RowBound {
public:
  /// `queryMeans`: B×Hq×blocks×D under smooth Q, else empty.
  RowBound(const runtime::ReferenceOperands &operands, const sage_call &call,
           const std::vector<float> &queryMeans, ScoreConversion conversion);

  void run(int64_t head, int64_t query, ErrorBounds &bounds);

private:
  /// What a part of the key tiles leaves (Spec N18).
  struct Part {
    float maximum, sum, sumError, relative;
    std::vector<float> total, codes, squares;
  };

  void startPart();
  void joinParts(const std::vector<Part> &parts);
  float roundProbability(float p) const;
  float argumentError(float argument, float offset, float factor) const;
  void computeScores(int64_t head, int64_t query, const runtime::TileKeys &tile);
  void addScoreErrors(int64_t head, int64_t query, int64_t firstKey, int64_t keys);
  void adjustScores(int64_t head, int64_t query, const runtime::TileKeys &tile);
  float rescaleTo(float next);
  void addTile(int64_t head, int64_t query, const runtime::TileKeys &tile);
  void addSink(int64_t head, int64_t query);
  void accumulate(const float *values, int64_t keys);
  void store(int64_t head, int64_t query, ErrorBounds &bounds) const;

  const runtime::ReferenceOperands &operands;
  const std::vector<float> &queryMeans;
  runtime::ScoreAdjustment adjustment;
  const runtime::TileKernels &kernels;
  ScoreConversion conversion;
  ProductPrecision scorePrecision, valuePrecision;
  int64_t columns;
  float log2Range;
  float maximum = 0, tileMaximum = 0, sum = 0, sumError = 0, relative = 0, slack = 0;
  /// Of a tile: x, its factors, p, and by how much x may differ before exp2 (log2 units).
  std::vector<float> scores, logits, factors, probabilities, argumentErrors;
  std::vector<float> products, means; ///< the largest |q·k| of a key, and Σ |mean|·(|k| + 1)
  std::vector<float> total, codes, squares, fresh, freshCodes, freshSquares, largest;
};

} // namespace sage::gpu

#endif
