// Builds linalg ops on small tensors.

#include "TensorBuilder.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace sage;

Value TensorBuilder::index(OpFoldResult value) {
  return getValueOrCreateConstantIndexOp(*this, getLoc(), value);
}

OpFoldResult TensorBuilder::apply(AffineMap map, Extents operands) {
  return affine::makeComposedFoldedAffineApply(*this, getLoc(), map, operands);
}

OpFoldResult TensorBuilder::extent(Value tensor, int64_t dimension) {
  return tensor::getMixedSize(*this, getLoc(), tensor, dimension);
}

SmallVector<OpFoldResult> TensorBuilder::extents(Value tensor) {
  return tensor::getMixedSizes(*this, getLoc(), tensor);
}

Value TensorBuilder::empty(Extents extents, Type element) {
  return tensor::EmptyOp::create(*this, extents, element);
}

Value TensorBuilder::filled(Extents extents, TypedAttr value) {
  Value scalar = arith::ConstantOp::create(*this, value);
  Value init = empty(extents, value.getType());
  return linalg::FillOp::create(*this, scalar, init).getResult(0);
}

Value TensorBuilder::slice(Value tensor, Extents offsets, Extents sizes, Extents shape) {
  SmallVector<int64_t> staticShape;
  SmallVector<Value> dynamicShape;
  dispatchIndexOpFoldResults(shape, dynamicShape, staticShape);
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  SmallVector<OpFoldResult> strides(offsets.size(), getIndexAttr(1));
  return tensor::ExtractSliceOp::create(*this, RankedTensorType::get(staticShape, element), tensor,
                                        offsets, sizes, strides);
}

/// The offsets of row `first`, and the sizes of the other dimensions with `count` in front.
static std::pair<SmallVector<OpFoldResult>, SmallVector<OpFoldResult>>
getRowRange(TensorBuilder &b, Value tensor, OpFoldResult first, OpFoldResult count) {
  SmallVector<OpFoldResult> sizes = b.extents(tensor);
  SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
  offsets[0] = first;
  sizes[0] = count;
  return {offsets, sizes};
}

Value TensorBuilder::rows(Value tensor, OpFoldResult first, OpFoldResult count) {
  auto [offsets, sizes] = getRowRange(*this, tensor, first, count);
  return slice(tensor, offsets, sizes, sizes);
}

Value TensorBuilder::insertRows(Value rows, Value tensor, OpFoldResult first) {
  auto [offsets, sizes] = getRowRange(*this, tensor, first, extent(rows, 0));
  SmallVector<OpFoldResult> strides(offsets.size(), getIndexAttr(1));
  return tensor::InsertSliceOp::create(*this, rows, tensor, offsets, sizes, strides);
}

Value TensorBuilder::generate(Extents extents, Type element, ValueRange inputs,
                              ArrayRef<AffineMap> maps, PointBody body) {
  return update(empty(extents, element), inputs, maps, [&](TensorBuilder &b, ValueRange elements) {
    return body(b, elements.drop_back());
  });
}

Value TensorBuilder::update(Value destination, ValueRange inputs, ArrayRef<AffineMap> maps,
                            PointBody body) {
  int64_t rank = cast<RankedTensorType>(destination.getType()).getRank();
  SmallVector<AffineMap> allMaps(maps);
  allMaps.push_back(getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      *this, TypeRange{destination.getType()}, inputs, ValueRange{destination}, allMaps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange elements) {
        TensorBuilder point(loc, nested);
        linalg::YieldOp::create(nested, loc, body(point, elements));
      });
  return generic.getResult(0);
}

Value TensorBuilder::add(Value destination, Value addend) {
  int64_t rank = cast<RankedTensorType>(destination.getType()).getRank();
  return update(
      destination, addend, getMultiDimIdentityMap(rank),
      [](TensorBuilder &b, ValueRange x) -> Value { return arith::AddFOp::create(b, x[1], x[0]); });
}

Value TensorBuilder::elementwise(Type element, ValueRange inputs, PointBody body) {
  SmallVector<OpFoldResult> sizes = extents(inputs.front());
  SmallVector<AffineMap> maps(inputs.size(), getMultiDimIdentityMap(sizes.size()));
  return generate(sizes, element, inputs, maps, body);
}

Value TensorBuilder::fold(Value input, Value init, PointBody body, bool overRows) {
  AffineExpr kept = getAffineDimExpr(0), folded = getAffineDimExpr(1);
  AffineMap read = AffineMap::get(2, 0, overRows ? ArrayRef{folded, kept} : ArrayRef{kept, folded},
                                  getContext());
  auto generic = linalg::GenericOp::create(
      *this, TypeRange{init.getType()}, ValueRange{input}, ValueRange{init},
      ArrayRef<AffineMap>{read, AffineMap::get(2, 0, kept)},
      ArrayRef<utils::IteratorType>{utils::IteratorType::parallel, utils::IteratorType::reduction},
      [&](OpBuilder &nested, Location loc, ValueRange elements) {
        TensorBuilder point(loc, nested);
        linalg::YieldOp::create(nested, loc, body(point, elements));
      });
  return generic.getResult(0);
}

Value TensorBuilder::multiplyTransposed(Value lhs, Value rhs, Value init) {
  return linalg::MatmulTransposeBOp::create(*this, getLoc(), TypeRange{init.getType()},
                                            ValueRange{lhs, rhs}, ValueRange{init})
      .getResult(0);
}

Value TensorBuilder::multiply(Value lhs, Value rhs, Value init) {
  return linalg::MatmulOp::create(*this, TypeRange{init.getType()}, ValueRange{lhs, rhs},
                                  ValueRange{init})
      .getResult(0);
}

Value TensorBuilder::toF32(Value tensor) {
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  if (element.isF32())
    return tensor;
  return elementwise(getF32Type(), tensor, [&](TensorBuilder &b, ValueRange x) -> Value {
    if (isa<IntegerType>(element))
      return arith::SIToFPOp::create(b, b.getF32Type(), x[0]);
    return arith::ExtFOp::create(b, b.getF32Type(), x[0]);
  });
}

Value TensorBuilder::castTo(Type type, Value tensor) {
  if (tensor.getType() == type)
    return tensor;
  return tensor::CastOp::create(*this, type, tensor);
}
