// Extents, followed to where they come from.

#include "TensorExtents.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sage::raising;

TensorExtent sage::raising::getTensorExtent(Value size) {
  while (auto cast = size.getDefiningOp<arith::IndexCastOp>())
    size = cast.getIn();
  APInt constant;
  if (matchPattern(size, m_ConstantInt(&constant)))
    return {Value(), constant.getSExtValue()};
  if (auto dim = size.getDefiningOp<tensor::DimOp>())
    if (std::optional<int64_t> index = dim.getConstantIndex())
      return getTensorExtent(dim.getSource(), *index);
  return {size, -1};
}

/// The extent that a reshape's dimension takes from its source, whose other dimensions of the group
/// have extent 1.
static std::optional<TensorExtent> getGroupExtent(Value source, ArrayRef<int64_t> group) {
  auto type = cast<RankedTensorType>(source.getType());
  std::optional<int64_t> only;
  for (int64_t dimension : group) {
    if (type.getDimSize(dimension) == 1)
      continue;
    if (only)
      return std::nullopt;
    only = dimension;
  }
  return only ? std::optional(getTensorExtent(source, *only)) : std::nullopt;
}

TensorExtent sage::raising::getTensorExtent(Value tensor, int64_t dimension) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (!type.isDynamicDim(dimension))
    return {Value(), type.getDimSize(dimension)};
  TensorExtent unknown{tensor, dimension};
  Operation *op = tensor.getDefiningOp();
  if (!op)
    return unknown;
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return getTensorExtent(empty.getDynamicSize(dimension));
  if (auto destination = dyn_cast<DestinationStyleOpInterface>(op)) {
    unsigned number = cast<OpResult>(tensor).getResultNumber();
    return getTensorExtent(destination.getDpsInitOperand(number)->get(), dimension);
  }
  if (auto cast = dyn_cast<tensor::CastOp>(op)) {
    if (isa<RankedTensorType>(cast.getSource().getType()))
      return getTensorExtent(cast.getSource(), dimension);
  } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    auto group = collapse.getReassociationIndices()[dimension];
    if (auto extent = getGroupExtent(collapse.getSrc(), group))
      return *extent;
  } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    OpFoldResult size = expand.getMixedOutputShape()[dimension];
    if (auto value = dyn_cast<Value>(size))
      return getTensorExtent(value);
  } else if (auto reshape = dyn_cast<tensor::ReshapeOp>(op)) {
    if (auto list = reshape.getShape().getDefiningOp<tensor::FromElementsOp>())
      return getTensorExtent(list.getElements()[dimension]);
  }
  return unknown;
}
