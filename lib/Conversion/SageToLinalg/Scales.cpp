// Scales of quantization groups.

#include "Scales.h"

#include <limits>

using namespace mlir;
using namespace sage;

Value sage::findLargestMagnitudes(TensorBuilder &b, Value input, bool overRows) {
  Value init = b.filled(b.extent(input, overRows ? 1 : 0), 0.0f);
  auto largest = [](TensorBuilder &b, ValueRange x) -> Value {
    // maximumf, unlike maxnumf, keeps NaN.
    return arith::MaximumFOp::create(b, math::AbsFOp::create(b, x[0]), x[1]);
  };
  return b.fold(input, init, largest, overRows);
}

/// An infinity becomes NaN, so that no finite number of its group looks right (P1).
static Value poison(TensorBuilder &b, Value largest) {
  Value infinity = b.constant(std::numeric_limits<float>::infinity());
  Value isInfinite = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, largest, infinity);
  return arith::SelectOp::create(b, isInfinite, b.constant(std::numeric_limits<float>::quiet_NaN()),
                                 largest);
}

/// `value` of the poisoned absmax, or `ofZero` where that is 0.
static Value mapMagnitudes(TensorBuilder &b, Value largest, float ofZero,
                           TensorBuilder::PointBody value) {
  return b.elementwise(b.getF32Type(), largest, [&](TensorBuilder &b, ValueRange x) -> Value {
    Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x[0], b.constant(0.0f));
    return arith::SelectOp::create(b, isZero, b.constant(ofZero), value(b, poison(b, x[0])));
  });
}

Value sage::computeScales(TensorBuilder &b, Value largest, float range) {
  return mapMagnitudes(b, largest, 1.0f, [&](TensorBuilder &b, ValueRange x) -> Value {
    return arith::DivFOp::create(b, x[0], b.constant(range));
  });
}

Value sage::computeInverses(TensorBuilder &b, Value largest, float range) {
  return mapMagnitudes(b, largest, 0.0f, [&](TensorBuilder &b, ValueRange x) -> Value {
    return arith::DivFOp::create(b, b.constant(range), x[0]);
  });
}

Value sage::computeUnitScales(TensorBuilder &b, Value largest) {
  return mapMagnitudes(b, largest, 1.0f, [&](TensorBuilder &b, ValueRange x) -> Value {
    Value isNaN = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x[0], x[0]);
    return arith::SelectOp::create(b, isNaN, x[0], b.constant(1.0f));
  });
}

Value sage::roundSaturating(TensorBuilder &b, Value value, FloatType type) {
  float most = APFloat::getLargest(type.getFloatSemantics()).convertToFloat();
  // minimumf and maximumf keep NaN.
  value = arith::MinimumFOp::create(b, value, b.constant(most));
  value = arith::MaximumFOp::create(b, value, b.constant(-most));
  return arith::TruncFOp::create(b, type, value);
}
