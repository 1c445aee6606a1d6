// Attention in parts of the key tiles, which are joined (Spec N18).

#include "JoinParts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;
using namespace sage;

static constexpr float negativeInfinity = -std::numeric_limits<float>::infinity();

static Value maximum(TensorBuilder &b, ValueRange x) {
  return arith::MaximumFOp::create(b, x[0], x[1]);
}

/// What a part counts: 0 in rows that see nothing.
static Value computeWeight(TensorBuilder &b, Value partMaximum, Value joined) {
  return b.elementwise(
      b.getF32Type(), {partMaximum, joined}, [](TensorBuilder &b, ValueRange m) -> Value {
        Value isEmpty =
            arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, m[1], b.constant(negativeInfinity));
        Value weight = math::Exp2Op::create(b, arith::SubFOp::create(b, m[0], m[1]));
        return arith::SelectOp::create(b, isEmpty, b.constant(0.0f), weight);
      });
}

namespace {

class PartJoiner {
public:
  PartJoiner(TensorBuilder &b, Value tiles, Value partTiles, OpFoldResult queries,
             OpFoldResult channels)
      : tiles(tiles), partTiles(partTiles), queries(queries), channels(channels),
        zero(b.index(b.getIndexAttr(0))), one(b.index(b.getIndexAttr(1))),
        parts(arith::CeilDivSIOp::create(b, tiles, arith::MaxSIOp::create(b, partTiles, one))) {}

  /// Rows of all parts, one part below the other, and the maxima of all.
  struct Parts {
    RowState rows;
    Value maximum;
  };
  Parts visitAll(TensorBuilder &b, function_ref<RowState(TensorBuilder &, Value, Value)> visit);
  RowState join(TensorBuilder &b, const Parts &all);

private:
  /// A loop over the parts from the last to the first.
  SmallVector<Value>
  forEachPart(TensorBuilder &b, ValueRange init,
              function_ref<SmallVector<Value>(TensorBuilder &, Value part, ValueRange)> body);
  OpFoldResult getRow(TensorBuilder &b, Value part) {
    return arith::MulIOp::create(b, part, b.index(queries)).getResult();
  }

  Value tiles, partTiles;
  OpFoldResult queries, channels;
  Value zero, one, parts;
};

} // namespace

SmallVector<Value> PartJoiner::forEachPart(
    TensorBuilder &b, ValueRange init,
    function_ref<SmallVector<Value>(TensorBuilder &, Value part, ValueRange)> body) {
  auto loop =
      scf::ForOp::create(b, zero, parts, one, init,
                         [&](OpBuilder &nested, Location loc, Value step, ValueRange carried) {
                           TensorBuilder inner(loc, nested);
                           Value last = arith::SubIOp::create(inner, parts, one);
                           Value part = arith::SubIOp::create(inner, last, step);
                           scf::YieldOp::create(inner, body(inner, part, carried));
                         });
  return SmallVector<Value>(loop.getResults());
}

PartJoiner::Parts
PartJoiner::visitAll(TensorBuilder &b,
                     function_ref<RowState(TensorBuilder &, Value, Value)> visit) {
  OpFoldResult rows = getRow(b, parts);
  SmallVector<Value> init = {b.filled(rows, negativeInfinity), b.filled(rows, 0.0f),
                             b.filled({rows, channels}, 0.0f), b.filled(queries, negativeInfinity)};
  SmallVector<Value> all =
      forEachPart(b, init, [&](TensorBuilder &b, Value part, ValueRange carried) {
        Value firstTile = arith::MulIOp::create(b, part, partTiles);
        Value endTile =
            arith::MinSIOp::create(b, arith::AddIOp::create(b, firstTile, partTiles), tiles);
        RowState state = visit(b, arith::SubIOp::create(b, tiles, endTile),
                               arith::SubIOp::create(b, tiles, firstTile));
        OpFoldResult row = getRow(b, part);
        return SmallVector<Value>{
            b.insertRows(state.maximum, carried[0], row), b.insertRows(state.sum, carried[1], row),
            b.insertRows(state.output, carried[2], row),
            b.update(carried[3], state.maximum, b.getMultiDimIdentityMap(1), maximum)};
      });
  return {{all[0], all[1], all[2], Value()}, all[3]};
}

RowState PartJoiner::join(TensorBuilder &b, const Parts &all) {
  SmallVector<Value> init = {b.filled(queries, 0.0f), b.filled({queries, channels}, 0.0f)};
  AffineMap vector = b.getMultiDimIdentityMap(1), matrix = b.getMultiDimIdentityMap(2);
  AffineMap ofRow = AffineMap::get(2, 0, b.getAffineDimExpr(0));
  auto addPart = [](TensorBuilder &b, ValueRange x) -> Value {
    return math::FmaOp::create(b, x[0], x[1], x[2]);
  };
  SmallVector<Value> joined =
      forEachPart(b, init, [&](TensorBuilder &b, Value part, ValueRange carried) {
        OpFoldResult row = getRow(b, part);
        Value weight = computeWeight(b, b.rows(all.rows.maximum, row, queries), all.maximum);
        Value sum = b.rows(all.rows.sum, row, queries);
        Value output = b.rows(all.rows.output, row, queries);
        return SmallVector<Value>{b.update(carried[0], {sum, weight}, {vector, vector}, addPart),
                                  b.update(carried[1], {output, weight}, {matrix, ofRow}, addPart)};
      });
  return {all.maximum, joined[0], joined[1], Value()};
}

RowState
sage::joinParts(TensorBuilder &b, Value tiles, Value partTiles, OpFoldResult queries,
                OpFoldResult channels,
                llvm::function_ref<RowState(TensorBuilder &, Value first, Value end)> visit) {
  PartJoiner joiner(b, tiles, partTiles, queries, channels);
  return joiner.join(b, joiner.visitAll(b, visit));
}
