// The end of an attention (Spec N12, N15): sinks, normalization, scales and mean of V,
// log-sum-exp.

#include "AttentionRows.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace sage;

/// What P = 1 is stored as (Spec R7).
float AttentionRows::getLog2OfRange() const {
  return std::log2(problem.recipe.getProbabilityRange());
}

/// A row that has seen no key yet subtracts a finite number, so that exp2 gives 0 and not NaN.
/// Which one makes no difference: every score and the previous maximum of such a row are -∞.
Value AttentionRows::getSubtrahend(Value maximum) {
  return b.map(getRow(b.getF32Type()), {maximum}, [&](ValueRange e) -> Value {
    return arith::MaximumFOp::create(b, e[0], b.f32(std::numeric_limits<float>::lowest()));
  });
}

/// What centring K took from the scores of each row, times log2 e.
Value AttentionRows::loadRowCorrection() {
  auto rowType = getRow(b.getF32Type());
  Value correction = b.load(rowType, lseCorrection, {unitQueryRow}, {}, toRowIndex());
  return b.map(rowType, {correction}, [&](ValueRange e) -> Value {
    return arith::MulFOp::create(b, e[0], b.f32(static_cast<float>(log2OfE)));
  });
}

void AttentionRows::addOutputParameters() {
  const RecipeAttr &recipe = problem.recipe;
  MemRefType vector = b.getVector();
  if (recipe.quantizesValue())
    valueScales = b.addBuffer(buffer::valueScales, vector);
  if (recipe.smoothsValue())
    valueMean = b.addBuffer(buffer::valueMean, vector);
  output = b.addTensor("output", problem.elementType, problem.valueHeadDim, Symbol::OutputB);
  outputAligned = b.addAlignment(Symbol::OutputAlign);
  if (problem.hasLse)
    lse = b.addBuffer("lse", vector);
  if (problem.correctsLse())
    lseCorrection = b.addBuffer(buffer::lseCorrection, vector);
  if (problem.hasSinks)
    sinks = b.addBuffer("sinks", vector);
}

AttentionRows::Normalization AttentionRows::normalizeRows(const RowSums &rows) {
  return sinks ? addSink(rows.maximum, rows.sum) : getNormalization(rows.maximum, rows.sum);
}

void AttentionRows::storeOutput(Value accumulated, Value first, const Normalization &rows,
                                const Access &columns) {
  Value result = normalize(accumulated, first, rows);
  auto type = cast<tile::FragmentType>(result.getType());
  Access access = columns;
  access.limit = b.add(queries.callerFirst, queries.tokens);
  access.aligned = outputAligned;
  Value token = b.add(queries.callerFirst, firstUnitQuery);
  b.store(b.convert(result, type.withElementType(problem.elementType)), output,
          {queries.batch, queries.head, token, first}, access);
}

AttentionRows::Normalization AttentionRows::getNormalization(Value maximum, Value sum) {
  Normalization rows{maximum, sum, {}, {}};
  rows.factor = b.map(getRow(b.getF32Type()), {sum}, [&](ValueRange e) -> Value {
    return arith::DivFOp::create(b, b.f32(1.0f), e[0]);
  });
  return rows;
}

/// One more score, without a key and a value.
AttentionRows::Normalization AttentionRows::addSink(Value maximum, Value sum) {
  auto rowType = getRow(b.getF32Type());
  Value log2e = b.f32(static_cast<float>(log2OfE));
  Value scalar = tile::ReadOp::create(b, b.getF32Type(), sinks, ValueRange{queries.head});
  Value sink = tile::SplatOp::create(b, rowType, arith::MulFOp::create(b, scalar, log2e));
  // Scores lack what centring K took away, except under a soft cap.
  if (lseCorrection && !problem.softcap)
    sink = b.map(rowType, {sink, loadRowCorrection()},
                 [&](ValueRange e) -> Value { return arith::SubFOp::create(b, e[0], e[1]); });
  Normalization rows;
  rows.maximum = b.map(rowType, {maximum, sink}, [&](ValueRange e) -> Value {
    return arith::MaximumFOp::create(b, e[0], e[1]);
  });
  Value subtrahend = getSubtrahend(rows.maximum);
  auto exp2 = [&](Value x) -> Value { return math::Exp2Op::create(b, x); };
  Value rescale = b.map(rowType, {maximum, subtrahend}, [&](ValueRange e) -> Value {
    return exp2(arith::SubFOp::create(b, e[0], e[1]));
  });
  Value keySum = b.map(rowType, {sum, rescale},
                       [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  rows.sum = b.map(rowType, {keySum, sink, subtrahend}, [&](ValueRange e) -> Value {
    Value offset = arith::SubFOp::create(b, b.f32(getLog2OfRange()), e[2]);
    return arith::AddFOp::create(b, e[0], exp2(arith::AddFOp::create(b, e[1], offset)));
  });
  Value inverse = getNormalization(rows.maximum, rows.sum).factor;
  rows.factor = b.map(rowType, {rescale, inverse},
                      [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  rows.meanFactor = b.map(rowType, {keySum, inverse}, [&](ValueRange e) -> Value {
    return arith::MulFOp::create(b, e[0], e[1]);
  });
  return rows;
}

/// O / l, scaled and shifted by channel; 0 in rows that see nothing.
Value AttentionRows::normalize(Value accumulated, Value first, const Normalization &rows) {
  auto type = cast<tile::FragmentType>(accumulated.getType());
  AffineMap identity = b.getMultiDimIdentityMap(2);
  SmallVector<Value> inputs{accumulated, rows.factor, rows.sum};
  SmallVector<AffineMap> maps{identity, toRow(), toRow()};
  AffineMap toChannel = AffineMap::get(2, 0, {b.getAffineDimExpr(1)}, b.getContext());
  auto add = [&](Value input, AffineMap map) {
    inputs.push_back(input);
    maps.push_back(map);
  };
  for (Value perChannel : {valueScales, valueMean})
    if (perChannel)
      add(b.load(getColumns(type.getColumns()), perChannel,
                 {b.add(b.mul(keys.entryHead, channels), first)}, {}, toChannel),
          toColumn());
  // A sink takes a share of what rows of P sum to.
  bool sharesMean = valueMean && rows.meanFactor;
  if (sharesMean)
    add(rows.meanFactor, toRow());
  return b.map(type, inputs, maps, [&](ValueRange e) -> Value {
    Value result = arith::MulFOp::create(b, e[0], e[1]);
    if (valueScales)
      result = arith::MulFOp::create(b, result, e[3]);
    if (valueMean) {
      Value mean = e[valueScales ? 4 : 3];
      if (sharesMean)
        mean = arith::MulFOp::create(b, mean, e.back());
      result = arith::AddFOp::create(b, result, mean);
    }
    Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, e[2], b.f32(0.0f));
    return arith::SelectOp::create(b, empty, b.f32(0.0f), result);
  });
}

void AttentionRows::storeLse(const Normalization &rows) {
  auto rowType = getRow(b.getF32Type());
  constexpr float ln2 = 0.6931471805599453f;
  Value logSum = b.map(rowType, {rows.maximum, rows.sum}, [&](ValueRange e) -> Value {
    Value log = arith::SubFOp::create(b, math::Log2Op::create(b, e[1]), b.f32(getLog2OfRange()));
    return arith::MulFOp::create(b, arith::AddFOp::create(b, e[0], log), b.f32(ln2));
  });
  if (lseCorrection && !problem.softcap) {
    Value correction = b.load(rowType, lseCorrection, {unitQueryRow}, {}, toRowIndex());
    logSum = b.map(rowType, {logSum, correction},
                   [&](ValueRange e) -> Value { return arith::AddFOp::create(b, e[0], e[1]); });
  }
  logSum = b.map(rowType, {logSum, rows.sum}, [&](ValueRange e) -> Value {
    Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, e[1], b.f32(0.0f));
    return arith::SelectOp::create(b, empty, b.f32(-INFINITY), e[0]);
  });
  // The caller's log-sum-exp is contiguous.
  Value head = b.add(b.mul(queries.batch, querySpace.getHeadCount()), queries.head);
  Value first = b.add(b.mul(head, b.addInteger(program.get(Symbol::Nq))), queries.callerFirst);
  b.store(logSum, lse, {b.add(first, firstUnitQuery)}, b.add(first, queries.tokens), toRowIndex());
}
