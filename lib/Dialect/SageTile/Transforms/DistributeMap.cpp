// Distribution of element-wise arithmetic: a map's body is applied to whole vectors.

#include "Distribute.h"
#include "LaneMapping.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace sage::tile {
namespace {

/// An i32 vector as constants + rest, where the rest (scalar or vector; null: 0) differs between
/// lanes only. Bounds are compared with the constants: one instruction per element, and not one
/// more to add the lane's position to each.
struct OffsetVector {
  SmallVector<int32_t> constants;
  Value rest;
};

/// Clones a map's body on vectors. Values that depend on no element stay scalars until they meet
/// one that does.
class BodyVectorizer {
public:
  BodyVectorizer(OpBuilder &builder, Location loc, int64_t size)
      : builder(builder), loc(loc), size(size) {}

  void map(Value scalar, Value vector) { mapping.map(scalar, vector); }
  void map(Value scalar, OffsetVector vector) { offsets[scalar] = std::move(vector); }

  Value getVector(Value scalar) {
    auto found = offsets.find(scalar);
    if (found != offsets.end() && !mapping.contains(scalar))
      mapping.map(scalar, materialize(found->second));
    return broadcast(mapping.lookupOrDefault(scalar));
  }

  void clone(Operation *op) {
    if (llvm::any_of(op->getOperands(), [&](Value operand) { return offsets.contains(operand); }) &&
        cloneOffsets(op))
      return;
    bool isScalar = llvm::none_of(op->getOperands(), [&](Value operand) {
      return offsets.contains(operand) ||
             isa<VectorType>(mapping.lookupOrDefault(operand).getType());
    });
    if (isScalar) {
      builder.clone(*op, mapping);
      return;
    }
    SmallVector<Value> operands;
    for (auto [index, operand] : llvm::enumerate(op->getOperands())) {
      Value value = mapping.lookupOrDefault(operand);
      // A condition that is the same for all elements selects whole vectors.
      bool isCondition =
          index == 0 && isa<arith::SelectOp>(op) && !isa<VectorType>(value.getType());
      operands.push_back(isCondition ? value : getVector(operand));
    }
    OperationState state(op->getLoc(), op->getName(), operands,
                         {VectorType::get({size}, op->getResult(0).getType())});
    state.addAttributes(llvm::to_vector(op->getDiscardableAttrs()));
    state.propertiesAttr = op->getPropertiesAsAttribute();
    mapping.map(op->getResult(0), builder.create(state)->getResult(0));
  }

private:
  OffsetVector getOffsets(Value scalar) {
    auto found = offsets.find(scalar);
    if (found != offsets.end())
      return found->second;
    return {SmallVector<int32_t>(size, 0), mapping.lookupOrDefault(scalar)};
  }

  /// Sums, differences and signed comparisons keep constants apart; positions are small, so nothing
  /// overflows.
  bool cloneOffsets(Operation *op) {
    auto compare = dyn_cast<arith::CmpIOp>(op);
    bool isSupported = isa<arith::AddIOp, arith::SubIOp>(op) ||
                       (compare && (compare.getPredicate() <= arith::CmpIPredicate::sge));
    if (!isSupported)
      return false;
    OffsetVector a = getOffsets(op->getOperand(0)), b = getOffsets(op->getOperand(1));
    OffsetVector result;
    for (auto [x, y] : llvm::zip_equal(a.constants, b.constants))
      result.constants.push_back(isa<arith::AddIOp>(op) ? x + y : x - y);
    if (!compare) {
      result.rest = isa<arith::AddIOp>(op) ? add(a.rest, b.rest) : subtract(a.rest, b.rest);
      map(op->getResult(0), std::move(result));
      return true;
    }
    Value bound = subtract(b.rest, a.rest);
    if (!bound)
      bound = arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(0));
    mapping.map(op->getResult(0),
                arith::CmpIOp::create(builder, loc, compare.getPredicate(),
                                      getConstant(result.constants), broadcast(bound))
                    .getResult());
    return true;
  }

  Value getConstant(ArrayRef<int32_t> values) {
    auto type = VectorType::get({size}, builder.getI32Type());
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, values));
  }
  Value materialize(const OffsetVector &vector) {
    Value constant = getConstant(vector.constants);
    if (!vector.rest)
      return constant;
    return arith::AddIOp::create(builder, loc, broadcast(vector.rest), constant);
  }
  Value broadcast(Value value) {
    if (isa<VectorType>(value.getType()))
      return value;
    return vector::BroadcastOp::create(builder, loc, VectorType::get({size}, value.getType()),
                                       value);
  }
  /// Brings a scalar to the other operand's type.
  void align(Value &a, Value &b) {
    if (a.getType() == b.getType())
      return;
    a = broadcast(a);
    b = broadcast(b);
  }
  Value add(Value a, Value b) {
    if (!a || !b)
      return a ? a : b;
    align(a, b);
    return arith::AddIOp::create(builder, loc, a, b);
  }
  Value subtract(Value a, Value b) {
    if (!b)
      return a;
    if (!a)
      a = arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(0));
    align(a, b);
    return arith::SubIOp::create(builder, loc, a, b);
  }

  OpBuilder &builder;
  Location loc;
  int64_t size;
  IRMapping mapping;
  llvm::DenseMap<Value, OffsetVector> offsets;
};

bool isPacked(FragmentType type) { return type.getElementType().getIntOrFloatBitWidth() == 8; }

/// Rows (dimension 0) or columns (1) of the lane's elements.
FailureOr<OffsetVector> getPositions(OpBuilder &builder, MapOp op, unsigned dimension) {
  LayoutAttr layout = op.getResult().getType().getLayout();
  auto function = LaneFunction::get(layout, [&](Position p) -> std::optional<int64_t> {
    return dimension == 0 ? p.first : p.second;
  });
  if (failed(function))
    return op.emitOpError("layout must have a number of warps that is a power of two, but got ")
           << layout;
  OffsetVector result;
  result.constants.assign(function->getOffsets().begin(), function->getOffsets().end());
  if (Value base = function->emitBase(builder, op.getLoc()))
    result.rest = arith::IndexCastOp::create(builder, op.getLoc(), builder.getI32Type(), base);
  return result;
}

struct DistributeMap : OpConversionPattern<MapOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(MapOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FragmentType type = op.getResult().getType();
    LayoutAttr layout = type.getLayout();
    if (isPacked(type))
      return op.emitOpError("result must not have 8-bit elements after distribution, but got ")
             << type.getElementType();
    Block &body = op.getBody().front();
    BodyVectorizer vectorizer(rewriter, op.getLoc(), layout.getNumRegisters());
    unsigned argument = 0;
    if (op.getPositions())
      for (; argument < 2; ++argument) {
        FailureOr<OffsetVector> positions = getPositions(rewriter, op, argument);
        if (failed(positions))
          return failure();
        vectorizer.map(body.getArgument(argument), *positions);
      }
    for (auto [index, input] : llvm::enumerate(adaptor.getInputs())) {
      auto inputType = cast<FragmentType>(op.getInputs()[index].getType());
      if (isPacked(inputType))
        return op.emitOpError("input #")
               << index << " must not have 8-bit elements, but got " << inputType.getElementType();
      AffineMap map = op.getInputMap(index);
      auto registers = findRegisters(
          layout, [&](Position p) { return applyMap(map, p); }, inputType.getLayout());
      if (failed(registers))
        return op.emitOpError("input #")
               << index << " must be in the same register of every lane, but "
               << AffineMapAttr::get(map) << " of " << inputType.getLayout() << " is not";
      vectorizer.map(
          body.getArgument(argument + index),
          pickRegisters(rewriter, op.getLoc(), input, *registers, inputType.getElementType()));
    }
    for (Operation &nested : body.without_terminator())
      vectorizer.clone(&nested);
    rewriter.replaceOp(op, vectorizer.getVector(body.getTerminator()->getOperand(0)));
    return success();
  }
};

} // namespace

void populateDistributeMapPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<DistributeMap>(converter, patterns.getContext());
}

} // namespace sage::tile
