// Sums over tokens: chunks of 256, eight partial sums, a halving tree (Spec N1).

#include "TokenSum.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace sage;

static constexpr int64_t chunkTokens = 256, partialSums = 8;

/// The eight partial sums [8, D] of a chunk that begins at token `first`.
static Value sumPartially(TensorBuilder &b, Value tokens, OpFoldResult first, OpFoldResult count) {
  AffineExpr d0, d1;
  bindDims(b.getContext(), d0, d1);
  OpFoldResult one = b.getIndexAttr(1);
  Value init = b.filled({b.getIndexAttr(partialSums), b.extent(tokens, 1)}, 0.0f);
  auto loop = scf::ForOp::create(
      b, b.index(b.getIndexAttr(0)), b.index(count), b.index(one), init,
      [&](OpBuilder &nested, Location loc, Value t, ValueRange partial) {
        TensorBuilder inner(loc, nested);
        OpFoldResult token = inner.apply(AffineMap::get(2, 0, d0 + d1), {first, t});
        OpFoldResult row = inner.apply(AffineMap::get(1, 0, d0 % partialSums), {t});
        Value addend = inner.toF32(inner.rows(tokens, token, one));
        Value sum = inner.add(inner.rows(partial[0], row, one), addend);
        scf::YieldOp::create(inner, inner.insertRows(sum, partial[0], row));
      });
  return loop.getResult(0);
}

static Value sumChunk(TensorBuilder &b, Value tokens, OpFoldResult first, OpFoldResult count) {
  Value sums = sumPartially(b, tokens, first, count);
  for (int64_t width = partialSums / 2; width >= 1; width /= 2) {
    OpFoldResult half = b.getIndexAttr(width);
    sums = b.add(b.rows(sums, b.getIndexAttr(0), half), b.rows(sums, half, half));
  }
  return sums;
}

Value sage::sumTokens(TensorBuilder &b, Value tokens, OpFoldResult first, OpFoldResult count) {
  AffineExpr d0, d1;
  bindDims(b.getContext(), d0, d1);
  Value init = b.filled({b.getIndexAttr(1), b.extent(tokens, 1)}, 0.0f);
  auto loop = scf::ForOp::create(
      b, b.index(b.getIndexAttr(0)), b.index(count), b.index(b.getIndexAttr(chunkTokens)), init,
      [&](OpBuilder &nested, Location loc, Value chunk, ValueRange total) {
        TensorBuilder inner(loc, nested);
        OpFoldResult chunkFirst = inner.apply(AffineMap::get(2, 0, d0 + d1), {first, chunk});
        OpFoldResult chunkCount = affine::makeComposedFoldedAffineMin(
            inner, loc,
            AffineMap::get(2, 0, {d0 - d1, getAffineConstantExpr(chunkTokens, b.getContext())},
                           b.getContext()),
            {count, chunk});
        Value sum = sumChunk(inner, tokens, chunkFirst, chunkCount);
        scf::YieldOp::create(inner, inner.add(total[0], sum));
      });
  return loop.getResult(0);
}
