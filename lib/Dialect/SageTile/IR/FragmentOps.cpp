// Arithmetic on fragments.

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace sage::tile {

LogicalResult SplatOp::verify() {
  Type elementType;
  if (auto fragment = dyn_cast<FragmentType>(getResult().getType()))
    elementType = fragment.getElementType();
  else
    elementType = cast<VectorType>(getResult().getType()).getElementType();
  if (getValue().getType() != elementType)
    return emitOpError("value must have the element type of the result, ")
           << elementType << ", but got " << getValue().getType();
  return success();
}

/// `map` must take every element of `to` to an element of `from`.
static LogicalResult verifyInside(Operation *op, StringRef what, FragmentType to, AffineMap map,
                                  FragmentType from) {
  if (map.getNumDims() != 2 || map.getNumSymbols() != 0 || map.getNumResults() != 2)
    return op->emitOpError(what) << " must have 2 dimensions, no symbols and 2 results, but got "
                                 << AffineMapAttr::get(map);
  for (int64_t row = 0; row < to.getRows(); ++row)
    for (int64_t column = 0; column < to.getColumns(); ++column) {
      std::optional<int64_t> r = evaluate(map.getResult(0), {row, column});
      std::optional<int64_t> c = evaluate(map.getResult(1), {row, column});
      if (!r || !c || *r < 0 || *r >= from.getRows() || *c < 0 || *c >= from.getColumns())
        return op->emitOpError(what)
               << " must stay inside " << from.getRows() << "x" << from.getColumns()
               << ", but leaves it at (" << row << ", " << column << ")";
    }
  return success();
}

//===----------------------------------------------------------------------===//
// map
//===----------------------------------------------------------------------===//

AffineMap MapOp::getInputMap(unsigned i) {
  if (std::optional<ArrayAttr> maps = getMaps())
    return cast<AffineMapAttr>((*maps)[i]).getValue();
  auto input = cast<FragmentType>(getInputs()[i].getType());
  FragmentType result = getResult().getType();
  MLIRContext *context = getContext();
  auto dim = [&](unsigned position) {
    bool broadcast = input.getShape()[position] == 1 && result.getShape()[position] != 1;
    return broadcast ? getAffineConstantExpr(0, context) : getAffineDimExpr(position, context);
  };
  return AffineMap::get(2, 0, {dim(0), dim(1)}, context);
}

static LogicalResult verifyMapBody(MapOp op) {
  Block &body = op.getBody().front();
  SmallVector<Type> expected;
  if (op.getPositions())
    expected.append(2, IntegerType::get(op.getContext(), 32));
  for (Value input : op.getInputs())
    expected.push_back(cast<FragmentType>(input.getType()).getElementType());
  if (!llvm::equal(expected, body.getArgumentTypes()))
    return op.emitOpError("body must take ")
           << (op.getPositions() ? "row, column (i32) and " : "")
           << "the inputs' elements, but got (" << body.getArgumentTypes() << ")";
  for (Operation &nested : body.without_terminator()) {
    if (!isa<arith::ArithDialect, math::MathDialect>(nested.getDialect()) ||
        nested.getNumResults() != 1) {
      InFlightDiagnostic diagnostic =
          op.emitOpError("body must hold arith and math operations of one result only");
      diagnostic.attachNote(nested.getLoc()) << "got '" << nested.getName() << "'";
      return diagnostic;
    }
  }
  // The trait that asks for this terminator is verified after the op itself.
  auto yield = body.empty() ? YieldOp() : dyn_cast<YieldOp>(body.back());
  if (!yield)
    return op.emitOpError("body must end with sage_tile.yield");
  Type elementType = op.getResult().getType().getElementType();
  if (yield.getValues().size() != 1 || yield.getValues()[0].getType() != elementType)
    return yield.emitOpError("must yield one ")
           << elementType << ", but got (" << yield.getValues().getTypes() << ")";
  return success();
}

LogicalResult MapOp::verify() {
  if (getMaps() && getMaps()->size() != getInputs().size())
    return emitOpError("maps must be as many as the ")
           << getInputs().size() << " inputs, but got " << getMaps()->size();
  FragmentType result = getResult().getType();
  for (auto [index, value] : llvm::enumerate(getInputs())) {
    auto input = cast<FragmentType>(value.getType());
    AffineMap map = getInputMap(index);
    std::string what = "map of input #" + std::to_string(index);
    if (failed(verifyInside(*this, what, result, map, input)))
      return failure();
    if (!isLaneLocal(result, map, input)) {
      InFlightDiagnostic diagnostic =
          emitOpError("input #") << index << " must hold its elements in the lanes of the result";
      diagnostic.attachNote() << "layouts are " << input.getLayout() << " and "
                              << result.getLayout() << " under " << AffineMapAttr::get(map);
      return diagnostic;
    }
  }
  return verifyMapBody(*this);
}

//===----------------------------------------------------------------------===//
// reduce
//===----------------------------------------------------------------------===//

AffineMap ReduceOp::getReductionMap() {
  if (std::optional<AffineMap> map = getMap())
    return *map;
  ArrayRef<int64_t> shape = getResult().getType().getShape();
  MLIRContext *context = getContext();
  auto dim = [&](unsigned position) {
    return shape[position] == 1 ? getAffineConstantExpr(0, context)
                                : getAffineDimExpr(position, context);
  };
  return AffineMap::get(2, 0, {dim(0), dim(1)}, context);
}

LogicalResult ReduceOp::verify() {
  FragmentType source = getSource().getType(), result = getResult().getType();
  if (source.getElementType() != result.getElementType())
    return emitOpError("source and result must have equal element types, but got ")
           << source.getElementType() << " and " << result.getElementType();
  bool isFloat = isa<FloatType>(source.getElementType());
  if (isFloat == (getKind() == ReduceKind::MaxSI))
    return emitOpError("element type must suit the kind of reduction, but got ")
           << source.getElementType() << " and " << stringifyReduceKind(getKind());
  AffineMap map = getReductionMap();
  if (failed(verifyInside(*this, "map", source, map, result)))
    return failure();
  LayoutAttr projected = source.getLayout().project(map);
  if (!projected)
    return emitOpError("map must merge whole modes of the layout, but got ")
           << AffineMapAttr::get(map) << " of " << source.getLayout();
  if (projected != result.getLayout())
    return emitOpError("result must have the layout ")
           << projected << ", but got " << result.getLayout();
  return success();
}

//===----------------------------------------------------------------------===//
// convert, slice, concat
//===----------------------------------------------------------------------===//

/// What `sage_tile.convert` rounds; other conversions are `arith` operations in a `sage_tile.map`.
static bool isConvertible(Type from, Type to) {
  if (from == to)
    return true;
  return isa<FloatType>(from) && (isa<FloatType>(to) || to.isInteger(8));
}

static LogicalResult emitMovesData(Operation *op, FragmentType from, FragmentType to) {
  InFlightDiagnostic diagnostic = op->emitOpError("result must not move elements between lanes");
  diagnostic.attachNote() << "layouts are " << from.getLayout() << " and " << to.getLayout();
  return diagnostic;
}

LogicalResult ConvertOp::verify() {
  FragmentType source = getSource().getType(), result = getResult().getType();
  MLIRContext *context = getContext();
  if (source.getShape() != result.getShape())
    return emitOpError("source and result must have equal shapes, but got ")
           << source << " and " << result;
  if (!isConvertible(source.getElementType(), result.getElementType()))
    return emitOpError("conversion must be between floats or from float to i8, but got ")
           << source.getElementType() << " to " << result.getElementType();
  AffineExpr column = getAffineDimExpr(1, context);
  if (std::optional<AffineMap> order = getOrder()) {
    if (order->getNumDims() != 1 || order->getNumSymbols() != 0 || order->getNumResults() != 1)
      return emitOpError("order must have one dimension and one result, but got ")
             << AffineMapAttr::get(*order);
    column = order->getResult(0).replaceDims({column});
  }
  AffineMap map = AffineMap::get(2, 0, {getAffineDimExpr(0, context), column}, context);
  if (failed(verifyInside(*this, "order", result, map, source)))
    return failure();
  if (!isLaneLocal(result, map, source))
    return emitMovesData(*this, source, result);
  return success();
}

LogicalResult HadamardOp::verify() {
  FragmentType type = getSource().getType();
  int64_t block = getBlock();
  if (!type.getElementType().isF32())
    return emitOpError("elements must be f32, but got ") << type.getElementType();
  if (block < 1 || !llvm::isPowerOf2_64(block) || type.getColumns() % block != 0)
    return emitOpError("block must be a power of two that divides the columns, but got ")
           << block << " for " << type.getColumns() << " columns";
  return success();
}

LogicalResult PackNibblesOp::verify() {
  FragmentType source = getSource().getType(), result = getResult().getType();
  if (!source.getElementType().isInteger(8) || !result.getElementType().isInteger(8))
    return emitOpError("source and result must have i8 elements, but got ")
           << source.getElementType() << " and " << result.getElementType();
  if (result.getRows() != source.getRows() || result.getColumns() * 2 != source.getColumns())
    return emitOpError("result must have the source's rows and half of its columns, but got ")
           << source << " and " << result;
  MLIRContext *context = getContext();
  AffineExpr row = getAffineDimExpr(0, context), column = getAffineDimExpr(1, context);
  for (int64_t nibble : {0, 1})
    if (!isLaneLocal(result, AffineMap::get(2, 0, {row, column * 2 + nibble}, context), source))
      return emitMovesData(*this, source, result);
  return success();
}

static AffineMap getShiftMap(MLIRContext *context, int64_t column) {
  return AffineMap::get(2, 0, {getAffineDimExpr(0, context), getAffineDimExpr(1, context) + column},
                        context);
}

LogicalResult SliceOp::verify() {
  FragmentType source = getSource().getType(), result = getResult().getType();
  if (source.getRows() != result.getRows() || source.getElementType() != result.getElementType())
    return emitOpError("result must have the source's rows and element type, but got ")
           << source << " and " << result;
  int64_t first = getColumn(), end = first + result.getColumns();
  if (first < 0 || end > source.getColumns())
    return emitOpError("columns must be inside the source's ")
           << source.getColumns() << ", but got [" << first << ", " << end << ")";
  if (!isLaneLocal(result, getShiftMap(getContext(), first), source))
    return emitMovesData(*this, source, result);
  return success();
}

LogicalResult ConcatOp::verify() {
  FragmentType result = getResult().getType();
  int64_t columns = 0;
  for (Value value : getSources()) {
    auto source = dyn_cast<FragmentType>(value.getType());
    if (source.getRows() != result.getRows() || source.getElementType() != result.getElementType())
      return emitOpError("sources must have the result's rows and element type, but got ")
             << source << " and " << result;
    if (columns + source.getColumns() <= result.getColumns() &&
        !isLaneLocal(source, getShiftMap(getContext(), columns), result))
      return emitMovesData(*this, source, result);
    columns += source.getColumns();
  }
  if (columns != result.getColumns())
    return emitOpError("sources must have the result's ")
           << result.getColumns() << " columns together, but got " << columns;
  return success();
}

} // namespace sage::tile
