// The end of the attention kernel (Spec N12): normalization, scales of V, log-sum-exp.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

static constexpr float log2Of448 = 8.807354922057604f;

/// Normalization, scales of V, log-sum-exp (Spec N12).
void AttentionKernel::finish(const State &state) {
  MLIRContext *context = b.getContext();
  Type f32 = b.getF32Type();
  Value zero = b.index(0);
  auto rowType = getRow(f32);
  // The loop has no registers to spare for what only its end needs.
  decodeBlock(/*reload=*/true);
  firstUnitQuery = b.add(firstQuery, b.mul(tile::UnitIdOp::create(b), unitRows));
  Value accumulated = state.output, sum;
  if (sumsQuantized()) {
    // All columns of the block of ones hold the same sum.
    Value sums = tile::SliceOp::create(b, getAccumulator(sumRows, f32), state.output, channels);
    sum = b.reduce(tile::ReduceKind::MaximumF, sums, rowType);
    accumulated = tile::SliceOp::create(b, getAccumulator(channels, f32), state.output, 0);
  } else {
    sum = b.reduce(tile::ReduceKind::AddF, state.sum, rowType);
  }
  Value inverse = b.map(rowType, {sum}, [&](ValueRange e) -> Value {
    return arith::DivFOp::create(b, b.f32(1.0f), e[0]);
  });
  auto channelType = getFragment(1, channels, f32,
                                 tile::LayoutAttr::accumulatorColumn(context, warps(), channels));
  AffineMap toChannel = AffineMap::get(2, 0, {b.getAffineDimExpr(1)}, context);
  Value scales = b.load(channelType, valueScales, {b.mul(keyHeadRow, channels)}, {}, toChannel);
  auto type = getAccumulator(channels, f32);
  Value result = b.map(type, {accumulated, inverse, sum, scales}, [&](ValueRange e) -> Value {
    Value normalized = arith::MulFOp::create(b, arith::MulFOp::create(b, e[0], e[1]), e[3]);
    Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, e[2], b.f32(0.0f));
    return arith::SelectOp::create(b, empty, b.f32(0.0f), normalized);
  });
  b.store(b.convert(result, type.withElementType(problem.elementType)), output,
          {batch, head, firstUnitQuery, zero}, queries);
  if (problem.hasLse)
    storeLse(state.maximum, sum);
}

/// Spec N12.
void AttentionKernel::storeLse(Value maximum, Value sum) {
  auto rowType = getRow(b.getF32Type());
  constexpr float ln2 = 0.6931471805599453f;
  Value logSum = b.map(rowType, {maximum, sum}, [&](ValueRange e) -> Value {
    Value log = arith::SubFOp::create(b, math::Log2Op::create(b, e[1]), b.f32(log2Of448));
    return arith::MulFOp::create(b, arith::AddFOp::create(b, e[0], log), b.f32(ln2));
  });
  AffineMap toRowIndex = AffineMap::get(2, 0, {b.getAffineDimExpr(0)}, b.getContext());
  if (lseCorrection) {
    Value first = b.add(b.mul(queryHeadRow, paddedQueries), firstUnitQuery);
    Value correction = b.load(rowType, lseCorrection, {first}, {}, toRowIndex);
    logSum = b.map(rowType, {logSum, correction},
                   [&](ValueRange e) -> Value { return arith::AddFOp::create(b, e[0], e[1]); });
  }
  logSum = b.map(rowType, {logSum, sum}, [&](ValueRange e) -> Value {
    Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, e[1], b.f32(0.0f));
    return arith::SelectOp::create(b, empty, b.f32(-INFINITY), e[0]);
  });
  Value headStart = b.mul(queryHeadRow, queries);
  b.store(logSum, lse, {b.add(headStart, firstUnitQuery)}, b.add(headStart, queries), toRowIndex);
}
