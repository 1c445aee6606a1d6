// Distribution of conversions, slices, joins and constants.

#include "Distribute.h"
#include "LaneMapping.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace sage::tile {

static bool isPacked(Type elementType) { return elementType.getIntOrFloatBitWidth() == 8; }

Value pickRegisters(OpBuilder &builder, Location loc, Value vector, ArrayRef<int64_t> registers,
                    Type elementType) {
  SmallVector<int64_t> picked(registers);
  if (isPacked(elementType)) {
    picked.clear();
    for (size_t i = 0; i < registers.size(); i += 4) {
      for (size_t j = 0; j < 4; ++j)
        if (i + j >= registers.size() || registers[i] % 4 != 0 ||
            registers[i + j] != registers[i] + int64_t(j))
          return {};
      picked.push_back(registers[i] / 4);
    }
  }
  int64_t size = cast<VectorType>(vector.getType()).getNumElements();
  if (int64_t(picked.size()) == size && llvm::equal(picked, llvm::seq<int64_t>(0, size)))
    return vector;
  return vector::ShuffleOp::create(builder, loc, vector, vector, picked);
}

namespace {

//===----------------------------------------------------------------------===//
// splat, order_after
//===----------------------------------------------------------------------===//

struct DistributeSplat : OpConversionPattern<SplatOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(SplatOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto type = cast<VectorType>(getTypeConverter()->convertType(op.getResult().getType()));
    Attribute value;
    if (!matchPattern(adaptor.getValue(), m_Constant(&value))) {
      if (type.getElementType() != op.getValue().getType())
        return op.emitOpError("8-bit value must be a constant");
      rewriter.replaceOpWithNewOp<vector::BroadcastOp>(op, type, adaptor.getValue());
      return success();
    }
    if (type.getElementType() != op.getValue().getType()) {
      auto number = dyn_cast<FloatAttr>(value);
      uint32_t byte = number ? number.getValue().bitcastToAPInt().getZExtValue()
                             : cast<IntegerAttr>(value).getValue().getZExtValue();
      value = rewriter.getI32IntegerAttr(int32_t(byte * 0x01010101u));
    }
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(op, DenseElementsAttr::get(type, value));
    return success();
  }
};

/// p * 0 + value: the assembler cannot know that it is `value` (p may be NaN), so it waits for p.
struct DistributeOrderAfter : OpConversionPattern<OrderAfterOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(OrderAfterOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<VectorType>(adaptor.getValue().getType());
    auto dependence = cast<VectorType>(adaptor.getDependence().getType());
    if (!type.getElementType().isF32() || !dependence.getElementType().isF32())
      return op.emitOpError("value and dependence must have f32 elements, but got ")
             << type.getElementType() << " and " << dependence.getElementType();
    Value first = vector::ExtractOp::create(rewriter, loc, adaptor.getDependence(), int64_t(0));
    first = vector::BroadcastOp::create(rewriter, loc, type, first);
    Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(type));
    rewriter.replaceOpWithNewOp<math::FmaOp>(op, first, zero, adaptor.getValue());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// convert, slice, concat
//===----------------------------------------------------------------------===//

/// Rounds the elements of `vector` (of type `from`) to `to`; null where that is not supported.
Value convertElements(OpBuilder &builder, Location loc, Value vector, Type from, Type to) {
  if (from == to)
    return vector;
  int64_t size = cast<VectorType>(vector.getType()).getNumElements();
  auto target = VectorType::get({size}, to);
  if (isPacked(from))
    return {};
  if (!isPacked(to)) {
    if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(builder, loc, target, vector);
    if (from.isF32())
      return arith::TruncFOp::create(builder, loc, target, vector);
    return {};
  }
  if (size % 4 != 0)
    return {};
  if (!from.isF32())
    vector =
        arith::ExtFOp::create(builder, loc, VectorType::get({size}, builder.getF32Type()), vector);
  return PackOp::create(builder, loc, VectorType::get({size / 4}, builder.getI32Type()), vector,
                        TypeAttr::get(to));
}

struct DistributeConvert : OpConversionPattern<ConvertOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(ConvertOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FragmentType from = op.getSource().getType(), to = op.getResult().getType();
    std::optional<AffineMap> order = op.getOrder();
    auto registers = findRegisters(
        to.getLayout(),
        [&](Position p) -> std::optional<Position> {
          std::optional<int64_t> column =
              order ? evaluate(order->getResult(0), {p.second}) : std::optional(p.second);
          return column ? std::optional(Position(p.first, *column)) : std::nullopt;
        },
        from.getLayout());
    if (failed(registers))
      return op.emitOpError("result must take the same register of every lane, but layouts are ")
             << from.getLayout() << " and " << to.getLayout();
    Value picked = pickRegisters(rewriter, op.getLoc(), adaptor.getSource(), *registers,
                                 from.getElementType());
    Value result = picked ? convertElements(rewriter, op.getLoc(), picked, from.getElementType(),
                                            to.getElementType())
                          : Value();
    if (!result)
      return op.emitOpError(
                 "conversion must be from f32, f16 or bf16 and keep or fill whole words, but got ")
             << from << " to " << to;
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// Halves of words: the bytes' low nibbles move together in 16 bits, two words then share one.
struct DistributePackNibbles : OpConversionPattern<PackNibblesOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(PackNibblesOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FragmentType from = op.getSource().getType(), to = op.getResult().getType();
    SmallVector<int64_t> words[2];
    if (failed(findWords(from.getLayout(), to.getLayout(), words)))
      return op.emitOpError("result must fill whole words from pairs of words, but layouts are ")
             << from.getLayout() << " and " << to.getLayout();
    Location loc = op.getLoc();
    Value source = adaptor.getSource();
    auto type = cast<VectorType>(source.getType());
    auto constant = [&](VectorType vector, int32_t value) -> Value {
      return arith::ConstantOp::create(rewriter, loc, DenseElementsAttr::get(vector, value));
    };
    auto fold = [&](Value value, int32_t shift, int32_t mask) -> Value {
      Value high = arith::ShRUIOp::create(rewriter, loc, value, constant(type, shift));
      Value both = arith::OrIOp::create(rewriter, loc, value, high);
      return arith::AndIOp::create(rewriter, loc, both, constant(type, mask));
    };
    Value nibbles = arith::AndIOp::create(rewriter, loc, source, constant(type, 0x0F0F0F0F));
    Value halves = fold(fold(nibbles, 4, 0x00FF00FF), 8, 0x0000FFFF);
    Value low = vector::ShuffleOp::create(rewriter, loc, halves, halves, words[0]);
    Value high = vector::ShuffleOp::create(rewriter, loc, halves, halves, words[1]);
    auto resultType = cast<VectorType>(low.getType());
    high = arith::ShLIOp::create(rewriter, loc, high, constant(resultType, 16));
    rewriter.replaceOpWithNewOp<arith::OrIOp>(op, low, high);
    return success();
  }

private:
  /// The words of the source that become the low and the high half of each word of the result.
  static LogicalResult findWords(LayoutAttr from, LayoutAttr to, SmallVector<int64_t> (&words)[2]) {
    SmallVector<int64_t> registers;
    for (int64_t nibble : {0, 1}) {
      auto found = findRegisters(
          to, [&](Position p) { return Position(p.first, 2 * p.second + nibble); }, from);
      if (failed(found) || found->size() % 4 != 0)
        return failure();
      registers.resize(2 * found->size());
      for (auto [index, reg] : llvm::enumerate(*found))
        registers[2 * index + nibble] = reg;
    }
    for (size_t first = 0; first < registers.size(); first += 4) {
      for (size_t i = 0; i < 4; ++i)
        if (registers[first] % 4 != 0 || registers[first + i] != registers[first] + int64_t(i))
          return failure();
      words[first / 4 % 2].push_back(registers[first] / 4);
    }
    return success();
  }
};

struct DistributeSlice : OpConversionPattern<SliceOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(SliceOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FragmentType from = op.getSource().getType(), to = op.getResult().getType();
    int64_t column = op.getColumn();
    auto registers = findRegisters(
        to.getLayout(), [&](Position p) { return Position(p.first, p.second + column); },
        from.getLayout());
    Value result = failed(registers) ? Value()
                                     : pickRegisters(rewriter, op.getLoc(), adaptor.getSource(),
                                                     *registers, from.getElementType());
    if (!result)
      return op.emitOpError("result must take the same registers of every lane, but layouts are ")
             << from.getLayout() << " and " << to.getLayout();
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct DistributeConcat : OpConversionPattern<ConcatOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(ConcatOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FragmentType to = op.getResult().getType();
    // Where each register of the result is in the sources' registers, one source after the other.
    SmallVector<int64_t> registers(to.getLayout().getNumRegisters(), -1);
    int64_t column = 0, first = 0;
    for (Value value : op.getSources()) {
      auto from = cast<FragmentType>(value.getType());
      auto targets = findRegisters(
          from.getLayout(), [&](Position p) { return Position(p.first, p.second + column); },
          to.getLayout());
      if (failed(targets))
        return op.emitOpError(
                   "sources must fill the same registers of every lane, but layouts are ")
               << from.getLayout() << " and " << to.getLayout();
      for (auto [reg, target] : llvm::enumerate(*targets))
        registers[target] = first + reg;
      column += from.getColumns();
      first += from.getLayout().getNumRegisters();
    }
    Value joined = adaptor.getSources().front();
    for (Value next : adaptor.getSources().drop_front()) {
      int64_t size = cast<VectorType>(joined.getType()).getNumElements() +
                     cast<VectorType>(next.getType()).getNumElements();
      joined = vector::ShuffleOp::create(rewriter, op.getLoc(), joined, next,
                                         llvm::to_vector(llvm::seq<int64_t>(0, size)));
    }
    Value result = pickRegisters(rewriter, op.getLoc(), joined, registers, to.getElementType());
    if (!result)
      return op.emitOpError("8-bit sources must fill whole words, but layout is ")
             << to.getLayout();
    rewriter.replaceOp(op, result);
    return success();
  }
};

} // namespace

void populateDistributeArithmeticPatterns(const TypeConverter &converter,
                                          RewritePatternSet &patterns) {
  patterns.add<DistributeSplat, DistributeOrderAfter, DistributeConvert, DistributePackNibbles,
               DistributeSlice, DistributeConcat>(converter, patterns.getContext());
}

} // namespace sage::tile
