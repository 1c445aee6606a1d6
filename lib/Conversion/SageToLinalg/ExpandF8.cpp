// Conversions between f32 and 8-bit floats as integer arithmetic: MLIR 22.1 lowers them for no CPU.

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "sage/Conversion/SageToLinalg/Passes.h"

#include <cmath>

using namespace mlir;
using namespace sage;

namespace {

/// The layout of an OCP 8-bit float: one sign, exponent, mantissa.
struct Format {
  int mantissaBits;
  int bias;
  /// The least magnitude that is no finite number, and the code of NaN. E4M3 has no infinities:
  /// both are 0x7F.
  int32_t overflow;
  static constexpr int32_t nan = 0x7f;

  int droppedBits() const { return 23 - mantissaBits; }
  /// The difference of the exponents' biases, in place in the bits of a float32.
  int32_t rebias() const { return (127 - bias) << 23; }
  /// The least subnormal, 2^exponent.
  int leastExponent() const { return 1 - bias - mantissaBits; }
};

std::optional<Format> getFormat(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return Format{3, 7, 0x7f};
  if (isa<Float8E5M2Type>(type))
    return Format{2, 15, 0x7c};
  return std::nullopt;
}

/// 32-bit integer arithmetic on the bits of a float.
class BitBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value integer(int32_t value) {
    return arith::ConstantOp::create(*this, getI32IntegerAttr(value));
  }
  Value power(int exponent) {
    return arith::ConstantOp::create(*this, getF32FloatAttr(std::ldexp(1.0f, exponent)));
  }
  Value add(Value a, Value b) { return arith::AddIOp::create(*this, a, b); }
  Value subtract(Value a, Value b) { return arith::SubIOp::create(*this, a, b); }
  Value mask(Value a, int32_t bits) { return arith::AndIOp::create(*this, a, integer(bits)); }
  Value join(Value a, Value b) { return arith::OrIOp::create(*this, a, b); }
  Value left(Value a, int bits) { return arith::ShLIOp::create(*this, a, integer(bits)); }
  Value right(Value a, int bits) { return arith::ShRUIOp::create(*this, a, integer(bits)); }
  Value isLess(Value a, int32_t b) {
    return arith::CmpIOp::create(*this, arith::CmpIPredicate::ult, a, integer(b));
  }
  Value select(Value condition, Value a, Value b) {
    return arith::SelectOp::create(*this, condition, a, b);
  }
  Value bits(Value value) { return arith::BitcastOp::create(*this, getI32Type(), value); }
  Value number(Value bits) { return arith::BitcastOp::create(*this, getF32Type(), bits); }
};

/// The magnitude of a float32, given as bits, as a code of the format, rounded to nearest even.
Value encodeMagnitude(BitBuilder &b, Value magnitude, Format format) {
  int dropped = format.droppedBits();
  Value odd = b.mask(b.right(magnitude, dropped), 1);
  Value rounded = b.add(b.add(magnitude, b.integer((1 << (dropped - 1)) - 1)), odd);
  Value normal = b.right(b.subtract(rounded, b.integer(format.rebias())), dropped);
  // Beside 2^23 times the least subnormal, float32 has no bits below it: its addition rounds, to
  // nearest even.
  Value shift = b.power(23 + format.leastExponent());
  Value shifted = arith::AddFOp::create(b, b.number(magnitude), shift);
  Value subnormal = b.subtract(b.bits(shifted), b.bits(shift));
  int32_t leastNormal = format.rebias() + (1 << 23);
  return b.select(b.isLess(magnitude, leastNormal), subnormal, normal);
}

/// Named structured ops fix what their regions hold.
bool isInNamedOp(Operation *op) {
  return isa<linalg::LinalgOp>(op->getParentOp()) && !isa<linalg::GenericOp>(op->getParentOp());
}

struct ExpandTruncation : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::TruncFOp op, PatternRewriter &rewriter) const override {
    std::optional<Format> format = getFormat(op.getType());
    if (!format || !op.getIn().getType().isF32() || isInNamedOp(op))
      return rewriter.notifyMatchFailure(op, "conversion must be of f32 to an 8-bit float");
    BitBuilder b(op.getLoc(), rewriter);
    Value bits = b.bits(op.getIn());
    Value sign = b.mask(b.right(bits, 24), 0x80);
    Value magnitude = b.mask(bits, 0x7fffffff);
    Value code = encodeMagnitude(b, magnitude, *format);
    code = arith::MinUIOp::create(b, code, b.integer(format->overflow));
    constexpr int32_t infinity = 0x7f800000;
    code = b.select(b.isLess(magnitude, infinity + 1), code, b.integer(Format::nan));
    Value byte = arith::TruncIOp::create(b, b.getI8Type(), b.join(sign, code));
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, op.getType(), byte);
    return success();
  }
};

struct ExpandExtension : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::ExtFOp op, PatternRewriter &rewriter) const override {
    std::optional<Format> format = getFormat(op.getIn().getType());
    if (!format || !op.getType().isF32() || isInNamedOp(op))
      return rewriter.notifyMatchFailure(op, "conversion must be of an 8-bit float to f32");
    BitBuilder b(op.getLoc(), rewriter);
    Value byte = arith::BitcastOp::create(b, b.getI8Type(), op.getIn());
    Value wide = arith::ExtUIOp::create(b, b.getI32Type(), byte);
    Value sign = b.left(b.mask(wide, 0x80), 24);
    Value code = b.mask(wide, 0x7f);

    Value shifted = b.left(code, format->droppedBits());
    Value normal = b.add(shifted, b.integer(format->rebias()));
    Value subnormal = arith::MulFOp::create(b, arith::UIToFPOp::create(b, b.getF32Type(), code),
                                            b.power(format->leastExponent()));
    Value finite = b.select(b.isLess(code, 1 << format->mantissaBits), b.bits(subnormal), normal);
    // Of the codes past the finite ones, E5M2's infinity has no mantissa; E4M3's only one is NaN.
    Value special = b.join(b.integer(0x7f800000), b.mask(shifted, 0x7fffff));
    Value magnitude = b.select(b.isLess(code, format->overflow), finite, special);
    rewriter.replaceOp(op, b.number(b.join(sign, magnitude)));
    return success();
  }
};

} // namespace

void sage::populateExpandF8Patterns(RewritePatternSet &patterns) {
  patterns.add<ExpandTruncation, ExpandExtension>(patterns.getContext());
}
