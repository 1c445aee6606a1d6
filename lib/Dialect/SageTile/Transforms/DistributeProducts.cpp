// Distribution of matrix products: their operands become vectors, the operations stay.

#include "Distribute.h"

using namespace mlir;

namespace sage::tile {
namespace {

/// After distribution the layout is gone: products assume the columns' registers before those of
/// further rows.
LogicalResult verifyAccumulator(Operation *op, FragmentType type) {
  ArrayRef<LayoutMode> reg = type.getLayout().getReg();
  int64_t blocks = type.getColumns() / 8;
  if (blocks > 1 && (reg.size() < 3 || reg[2] != LayoutMode{blocks, 0, 8}))
    return op->emitOpError("accumulator must have a register mode for its ")
           << blocks << " column blocks after those of one block, but got " << type.getLayout();
  return success();
}

template <typename Op> struct DistributeMma : OpConversionPattern<Op> {
  using OpConversionPattern<Op>::OpConversionPattern;

  LogicalResult matchAndRewrite(Op op, typename Op::Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto accumulator = cast<FragmentType>(AsyncType::getArrived(op.getAccumulator().getType()));
    if (failed(verifyAccumulator(op, accumulator)))
      return failure();
    Type type = this->getTypeConverter()->convertType(op.getResult().getType());
    rewriter.replaceOpWithNewOp<Op>(op, type, adaptor.getA(), adaptor.getB(),
                                    adaptor.getAccumulator(), op.getInt4());
    return success();
  }
};

struct DistributeWait : OpConversionPattern<WaitOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(WaitOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<WaitOp>(op,
                                        getTypeConverter()->convertType(op.getResult().getType()),
                                        adaptor.getSource(), op.getPendingAttr());
    return success();
  }
};

} // namespace

void populateDistributeProductPatterns(const TypeConverter &converter,
                                       RewritePatternSet &patterns) {
  patterns.add<DistributeMma<MmaOp>, DistributeMma<MmaAsyncOp>, DistributeWait>(
      converter, patterns.getContext());
}

} // namespace sage::tile
