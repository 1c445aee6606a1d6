// Semantics of arith and math operations: float32 without contraction, integers modulo 2^width.

#include "ElementOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;

namespace sage::tile::interpreter {

using Operands = const Scalar *const *;

/// Defines a strip function from an expression in a, b, c (operands) and op.
#define SAGE_STRIP(member, expression)                                                             \
  [](const ElementOp &op, Operands x, Scalar *y, int64_t count) {                                  \
    (void)op;                                                                                      \
    for (int64_t i = 0; i < count; ++i)                                                            \
      y[i].member = expression;                                                                    \
  }
#define A x[0][i]
#define B x[1][i]
#define C x[2][i]

static uint64_t getUnsigned(const ElementOp &op, int64_t value) {
  unsigned width = getIntegerWidth(op.operand);
  return width == 64 ? uint64_t(value) : uint64_t(value) & ((uint64_t(1) << width) - 1);
}
#define UA getUnsigned(op, A.integer)
#define UB getUnsigned(op, B.integer)

static float maximum(float a, float b) { return std::isnan(a) ? a : a > b ? a : b; }
static float minimum(float a, float b) { return std::isnan(a) ? a : a < b ? a : b; }

static int64_t toInteger(float value, double low, double high) {
  if (std::isnan(value))
    return 0;
  return static_cast<int64_t>(std::min(std::max(std::trunc(double(value)), low), high));
}

static int64_t fromFloat(const ElementOp &op, float value, bool isSigned) {
  int width = getIntegerWidth(op.result);
  double limit = std::ldexp(1.0, isSigned ? width - 1 : width);
  // Below 2^63 in double precision.
  double high = width == 64 ? std::nextafter(limit, 0) : limit - 1;
  return toInteger(value, isSigned ? -limit : 0.0, std::min(high, 9.2233720368547748e18));
}

static bool compare(arith::CmpIPredicate predicate, int64_t a, int64_t b, uint64_t ua,
                    uint64_t ub) {
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
    return a < b;
  case arith::CmpIPredicate::sle:
    return a <= b;
  case arith::CmpIPredicate::sgt:
    return a > b;
  case arith::CmpIPredicate::sge:
    return a >= b;
  case arith::CmpIPredicate::ult:
    return ua < ub;
  case arith::CmpIPredicate::ule:
    return ua <= ub;
  case arith::CmpIPredicate::ugt:
    return ua > ub;
  case arith::CmpIPredicate::uge:
    return ua >= ub;
  }
  return false;
}

static bool compare(arith::CmpFPredicate predicate, float a, float b) {
  bool unordered = std::isnan(a) || std::isnan(b);
  switch (predicate) {
  case arith::CmpFPredicate::AlwaysFalse:
    return false;
  case arith::CmpFPredicate::OEQ:
    return a == b;
  case arith::CmpFPredicate::OGT:
    return a > b;
  case arith::CmpFPredicate::OGE:
    return a >= b;
  case arith::CmpFPredicate::OLT:
    return a < b;
  case arith::CmpFPredicate::OLE:
    return a <= b;
  case arith::CmpFPredicate::ONE:
    return !unordered && a != b;
  case arith::CmpFPredicate::ORD:
    return !unordered;
  case arith::CmpFPredicate::UEQ:
    return unordered || a == b;
  case arith::CmpFPredicate::UGT:
    return unordered || a > b;
  case arith::CmpFPredicate::UGE:
    return unordered || a >= b;
  case arith::CmpFPredicate::ULT:
    return unordered || a < b;
  case arith::CmpFPredicate::ULE:
    return unordered || a <= b;
  case arith::CmpFPredicate::UNE:
    return unordered || a != b;
  case arith::CmpFPredicate::UNO:
    return unordered;
  case arith::CmpFPredicate::AlwaysTrue:
    return true;
  }
  return false;
}

static Scalar castBits(const ElementOp &op, Scalar value) {
  uint8_t bytes[8] = {};
  Scalar result{};
  if (isFloat(op.operand))
    encodeFloat(op.operand, value.number, bytes);
  else
    encodeInteger(op.operand, value.integer, bytes);
  if (isFloat(op.result))
    result.number = decodeFloat(op.result, bytes);
  else
    result.integer = decodeInteger(op.result, bytes);
  return result;
}

static void castStrip(const ElementOp &op, Operands x, Scalar *y, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    y[i] = castBits(op, x[0][i]);
}

static void copyStrip(const ElementOp &, Operands x, Scalar *y, int64_t count) {
  std::copy(x[0], x[0] + count, y);
}

static void selectStrip(const ElementOp &, Operands x, Scalar *y, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    y[i] = x[0][i].integer ? x[1][i] : x[2][i];
}

static void constantStrip(const ElementOp &op, Operands, Scalar *y, int64_t count) {
  Scalar value;
  value.integer = op.immediate;
  std::fill(y, y + count, value);
}

/// Integer operations wrap: they are computed without overflow on unsigned numbers.
#define INTEGER(expression) SAGE_STRIP(integer, static_cast<int64_t>(expression))
#define NUMBER(expression) SAGE_STRIP(number, expression)
#define U(value) static_cast<uint64_t>(value.integer)

static ElementOp::Function getFloatFunction(Operation *op) {
  return TypeSwitch<Operation *, ElementOp::Function>(op)
      .Case([](arith::AddFOp) { return NUMBER(A.number + B.number); })
      .Case([](arith::SubFOp) { return NUMBER(A.number - B.number); })
      .Case([](arith::MulFOp) { return NUMBER(A.number * B.number); })
      .Case([](arith::DivFOp) { return NUMBER(A.number / B.number); })
      .Case([](arith::NegFOp) { return NUMBER(-A.number); })
      .Case([](arith::MaximumFOp) { return NUMBER(maximum(A.number, B.number)); })
      .Case([](arith::MinimumFOp) { return NUMBER(minimum(A.number, B.number)); })
      .Case([](arith::MaxNumFOp) { return NUMBER(std::fmax(A.number, B.number)); })
      .Case([](arith::MinNumFOp) { return NUMBER(std::fmin(A.number, B.number)); })
      .Case([](arith::ExtFOp) { return copyStrip; })
      .Case([](arith::TruncFOp) { return copyStrip; })
      .Case([](arith::SIToFPOp) { return NUMBER(static_cast<float>(A.integer)); })
      .Case([](arith::UIToFPOp) { return NUMBER(static_cast<float>(UA)); })
      .Case([](math::FmaOp) { return NUMBER(std::fmaf(A.number, B.number, C.number)); })
      .Case([](math::Exp2Op) { return NUMBER(std::exp2f(A.number)); })
      .Case([](math::ExpOp) { return NUMBER(std::exp(A.number)); })
      .Case([](math::Log2Op) { return NUMBER(std::log2f(A.number)); })
      .Case([](math::LogOp) { return NUMBER(std::log(A.number)); })
      .Case([](math::AbsFOp) { return NUMBER(std::fabs(A.number)); })
      .Case([](math::SqrtOp) { return NUMBER(std::sqrt(A.number)); })
      .Case([](math::RsqrtOp) { return NUMBER(1.0f / std::sqrt(A.number)); })
      .Case([](math::RoundEvenOp) { return NUMBER(std::nearbyint(A.number)); })
      .Case([](math::FloorOp) { return NUMBER(std::floor(A.number)); })
      .Case([](math::CeilOp) { return NUMBER(std::ceil(A.number)); })
      .Default([](Operation *) -> ElementOp::Function { return nullptr; });
}

static ElementOp::Function getIntegerFunction(Operation *op) {
  return TypeSwitch<Operation *, ElementOp::Function>(op)
      .Case([](arith::AddIOp) { return INTEGER(U(A) + U(B)); })
      .Case([](arith::SubIOp) { return INTEGER(U(A) - U(B)); })
      .Case([](arith::MulIOp) { return INTEGER(U(A) * U(B)); })
      // Division by zero is undefined; it yields 0 here rather than a trap of the host.
      .Case([](arith::DivSIOp) { return INTEGER(B.integer ? A.integer / B.integer : 0); })
      .Case([](arith::DivUIOp) { return INTEGER(B.integer ? UA / UB : 0); })
      .Case([](arith::FloorDivSIOp) {
        return INTEGER(B.integer ? llvm::divideFloorSigned(A.integer, B.integer) : 0);
      })
      .Case([](arith::CeilDivSIOp) {
        return INTEGER(B.integer ? llvm::divideCeilSigned(A.integer, B.integer) : 0);
      })
      .Case([](arith::CeilDivUIOp) { return INTEGER(B.integer ? (UA + UB - 1) / UB : 0); })
      .Case([](arith::RemSIOp) { return INTEGER(B.integer ? A.integer % B.integer : 0); })
      .Case([](arith::RemUIOp) { return INTEGER(B.integer ? UA % UB : 0); })
      .Case([](arith::AndIOp) { return INTEGER(U(A) & U(B)); })
      .Case([](arith::OrIOp) { return INTEGER(U(A) | U(B)); })
      .Case([](arith::XOrIOp) { return INTEGER(U(A) ^ U(B)); })
      .Case([](arith::ShLIOp) { return INTEGER(UB < 64 ? U(A) << UB : 0); })
      .Case([](arith::ShRSIOp) { return INTEGER(A.integer >> std::min<uint64_t>(UB, 63)); })
      .Case([](arith::ShRUIOp) { return INTEGER(UB < 64 ? UA >> UB : 0); })
      .Case([](arith::MaxSIOp) { return INTEGER(std::max(A.integer, B.integer)); })
      .Case([](arith::MinSIOp) { return INTEGER(std::min(A.integer, B.integer)); })
      .Case([](arith::MaxUIOp) { return INTEGER(std::max(UA, UB)); })
      .Case([](arith::MinUIOp) { return INTEGER(std::min(UA, UB)); })
      .Case([](math::AbsIOp) { return INTEGER(A.integer < 0 ? 0 - U(A) : U(A)); })
      .Case([](arith::ExtSIOp) {
        // i1 is held as 0 or 1; its sign is its only bit.
        return INTEGER(op.operand == ElementKind::I1 ? -A.integer : A.integer);
      })
      .Case([](arith::ExtUIOp) { return INTEGER(UA); })
      .Case([](arith::TruncIOp) { return copyStrip; })
      .Case([](arith::IndexCastOp) {
        return INTEGER(op.operand == ElementKind::I1 ? -A.integer : A.integer);
      })
      .Case([](arith::IndexCastUIOp) { return INTEGER(UA); })
      .Case([](arith::FPToSIOp) { return INTEGER(fromFloat(op, A.number, true)); })
      .Case([](arith::FPToUIOp) { return INTEGER(fromFloat(op, A.number, false)); })
      .Case([](arith::CmpIOp) {
        return INTEGER(
            compare(static_cast<arith::CmpIPredicate>(op.immediate), A.integer, B.integer, UA, UB));
      })
      .Case([](arith::CmpFOp) {
        return INTEGER(
            compare(static_cast<arith::CmpFPredicate>(op.immediate), A.number, B.number));
      })
      .Default([](Operation *) -> ElementOp::Function { return nullptr; });
}

static std::optional<int64_t> getConstant(Attribute value, ElementKind kind) {
  Scalar scalar{};
  if (auto number = dyn_cast<FloatAttr>(value))
    scalar.number = roundTo(kind, static_cast<float>(number.getValueAsDouble()));
  else if (auto integer = dyn_cast<IntegerAttr>(value))
    scalar.integer = wrapInteger(kind == ElementKind::I1 ? integer.getValue().getZExtValue()
                                                         : integer.getValue().getSExtValue(),
                                 getIntegerWidth(kind));
  else
    return std::nullopt;
  return scalar.integer;
}

std::optional<ElementOp> getElementOp(Operation *op) {
  if (op->getNumResults() != 1)
    return std::nullopt;
  std::optional<ElementKind> kind = getElementKind(op->getResult(0).getType());
  if (!kind)
    return std::nullopt;
  ElementOp element;
  element.result = element.operand = *kind;
  if (op->getNumOperands() > 0) {
    std::optional<ElementKind> operand = getElementKind(op->getOperand(0).getType());
    if (!operand)
      return std::nullopt;
    element.operand = *operand;
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    std::optional<int64_t> value = getConstant(constant.getValue(), *kind);
    if (!value)
      return std::nullopt;
    element.immediate = *value;
    element.function = constantStrip;
    return element;
  }
  if (auto comparison = dyn_cast<arith::CmpIOp>(op))
    element.immediate = static_cast<int64_t>(comparison.getPredicate());
  if (auto comparison = dyn_cast<arith::CmpFOp>(op))
    element.immediate = static_cast<int64_t>(comparison.getPredicate());
  if (isa<arith::SelectOp>(op))
    element.function = selectStrip;
  else if (isa<arith::BitcastOp>(op))
    element.function = castStrip;
  else
    element.function = isFloat(*kind) ? getFloatFunction(op) : getIntegerFunction(op);
  if (!element.function)
    return std::nullopt;
  return element;
}

void ElementOp::apply(const Scalar *const *operands, Scalar *results, int64_t count) const {
  function(*this, operands, results, count);
  if (result == ElementKind::F32 || result == ElementKind::I64)
    return;
  if (isFloat(result)) {
    for (int64_t i = 0; i < count; ++i)
      results[i].number = roundTo(result, results[i].number);
    return;
  }
  unsigned width = getIntegerWidth(result);
  for (int64_t i = 0; i < count; ++i)
    results[i].integer = wrapInteger(results[i].integer, width);
}

} // namespace sage::tile::interpreter
