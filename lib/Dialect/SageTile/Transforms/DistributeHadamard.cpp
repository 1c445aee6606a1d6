// Distribution of Hadamard transforms: pairs of columns are in two registers of a lane, or in two
// lanes of a warp, which exchange them.

#include "Distribute.h"
#include "LaneMapping.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sage::tile {
namespace {

class Transform {
public:
  Transform(HadamardOp op, OpBuilder &builder, Value source)
      : layout(op.getSource().getType().getLayout()), builder(builder), loc(op.getLoc()) {
    for (int64_t reg = 0, count = layout.getNumRegisters(); reg < count; ++reg)
      values.push_back(vector::ExtractOp::create(builder, loc, source, reg));
  }

  /// Columns c and c + distance become sum and difference. Fails where they are in different warps,
  /// or in registers that differ from lane to lane.
  LogicalResult combine(int64_t distance) {
    auto partner = [&](Position p) { return Position(p.first, p.second ^ distance); };
    FailureOr<SmallVector<int64_t>> registers =
        findRegisters(layout, [&](Position p) { return std::optional(partner(p)); }, layout);
    if (succeeded(registers)) {
      combineRegisters(*registers, distance);
      return success();
    }
    for (int64_t bit = 1; bit < 32; bit *= 2)
      if (isHeldBy(bit, partner)) {
        addLanes(bit);
        return success();
      }
    return failure();
  }

  Value getResult() {
    combineLanes();
    return join();
  }

private:
  Value join() {
    auto type = VectorType::get({int64_t(values.size())}, builder.getF32Type());
    return vector::FromElementsOp::create(builder, loc, type, values);
  }

  void combineRegisters(ArrayRef<int64_t> partners, int64_t distance) {
    combineLanes();
    SmallVector<Value> sources = values;
    for (auto [reg, partner] : llvm::enumerate(partners)) {
      bool isSecond = layout.getPosition(0, 0, reg).second & distance;
      values[reg] =
          isSecond ? arith::SubFOp::create(builder, loc, sources[partner], sources[reg]).getResult()
                   : arith::AddFOp::create(builder, loc, sources[reg], sources[partner]);
    }
  }

  /// Whether the lane whose number differs in `bit` holds the partners, in the same registers.
  bool isHeldBy(int64_t bit, function_ref<Position(Position)> partner) {
    for (int64_t warp = 0; warp < layout.getNumWarps(); ++warp)
      for (int64_t lane = 0; lane < 32; ++lane)
        for (int64_t reg = 0; reg < int64_t(values.size()); ++reg)
          if (layout.getPosition(warp, lane ^ bit, reg) !=
              partner(layout.getPosition(warp, lane, reg)))
            return false;
    return true;
  }

  /// The lane with the bit has the second of a pair: its own value is subtracted, by a product with
  /// -1 that rounds nothing.
  void addLanes(int64_t bit) {
    Value lane = LaneIdOp::create(builder, loc);
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(builder, loc, value);
    };
    auto number = [&](float value) -> Value {
      return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
    };
    Value isFirst =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                              arith::AndIOp::create(builder, loc, lane, index(bit)), index(0));
    distances.push_back(bit);
    factors.push_back(arith::SelectOp::create(builder, loc, isFirst, number(1.0f), number(-1.0f)));
  }

  /// The distances between lanes that were added and not yet combined.
  void combineLanes() {
    if (distances.empty())
      return;
    Value joined = LaneButterflyOp::create(builder, loc, join(), distances, factors);
    values = llvm::to_vector(
        ValueRange(vector::ToElementsOp::create(builder, loc, joined).getResults()));
    distances.clear();
    factors.clear();
  }

  LayoutAttr layout;
  OpBuilder &builder;
  Location loc;
  SmallVector<Value> values;
  SmallVector<int64_t> distances;
  SmallVector<Value> factors;
};

struct DistributeHadamard : OpConversionPattern<HadamardOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(HadamardOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Transform transform(op, rewriter, adaptor.getSource());
    for (int64_t distance = 1; distance < op.getBlock(); distance *= 2)
      if (failed(transform.combine(distance)))
        return op.emitOpError("columns at distance ")
               << distance << " must be in two registers of a lane or in two lanes of a warp, but "
               << "the layout is " << op.getSource().getType().getLayout();
    rewriter.replaceOp(op, transform.getResult());
    return success();
  }
};

} // namespace

void populateDistributeHadamardPatterns(const TypeConverter &converter,
                                        RewritePatternSet &patterns) {
  patterns.add<DistributeHadamard>(converter, patterns.getContext());
}

} // namespace sage::tile
