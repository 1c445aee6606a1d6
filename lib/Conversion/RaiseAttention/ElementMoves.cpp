// Ops that only move elements, or repeat them.

#include "ElementReader.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"

using namespace mlir;
using namespace sage::raising;

std::optional<SmallVector<AffineExpr, 4>>
ElementReader::getBodyLoops(linalg::LinalgOp op, const Element &element,
                            std::optional<unsigned> &reduced) {
  auto result = dyn_cast<OpResult>(element.value);
  if (!result || !op.hasPureTensorSemantics())
    return std::nullopt;
  OpOperand *init = op.getDpsInitOperand(result.getResultNumber());
  SmallVector<AffineExpr, 4> body(op.getNumLoops());
  for (auto [expr, index] :
       llvm::zip_equal(op.getMatchingIndexingMap(init).getResults(), element.at))
    if (auto loop = dyn_cast<AffineDimExpr>(expr))
      body[loop.getPosition()] = index;
    else if (!isa<AffineConstantExpr>(expr))
      return std::nullopt;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  for (auto [number, loop] : llvm::enumerate(body)) {
    if (loop)
      continue;
    if (iterators[number] == utils::IteratorType::reduction) {
      reduced = loops.add(ranges[number]);
      loop = loops.get(*reduced);
    } else if (ranges[number] == 1) {
      loop = loops.getConstant(0);
    } else {
      return std::nullopt;
    }
  }
  return body;
}

std::optional<Element> ElementReader::moveThroughBody(linalg::LinalgOp op, const Element &element) {
  // A softmax is no structured op in spite of its interface.
  if (op.getNumReductionLoops() != 0 || op->getNumRegions() != 1)
    return std::nullopt;
  std::optional<unsigned> reduced;
  auto body = getBodyLoops(op, element, reduced);
  if (!body)
    return std::nullopt;
  unsigned number = cast<OpResult>(element.value).getResultNumber();
  Value yielded = op.getBlock()->getTerminator()->getOperand(number);
  if (yielded.getParentBlock() != op.getBlock())
    body->clear();
  return Element{yielded, *body};
}

std::optional<Element> ElementReader::moveThroughArgument(BlockArgument argument,
                                                          const Element &element) {
  auto op = dyn_cast<linalg::LinalgOp>(argument.getOwner()->getParentOp());
  if (!op || !op.hasPureTensorSemantics())
    return std::nullopt;
  bool isInit = argument.getArgNumber() >= op.getNumDpsInputs();
  if (isInit && op.getNumReductionLoops() != 0)
    return std::nullopt;
  OpOperand *operand = op.getMatchingOpOperand(argument);
  Element result{operand->get(), {}};
  if (!isa<RankedTensorType>(operand->get().getType()))
    return result;
  for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
    result.at.push_back(loops.simplify(expr.replaceDims(element.at)));
  return result;
}

/// Indices of a slice of unit strides at offsets that are known. What is reduced over a slice of
/// unknown size is not what is reduced over its source.
static std::optional<Element> moveThroughSlice(tensor::ExtractSliceOp slice,
                                               const Element &element) {
  if (!slice.hasUnitStride() || ShapedType::isDynamicShape(slice.getStaticSizes()))
    return std::nullopt;
  llvm::SmallBitVector dropped = slice.getDroppedDims();
  Element result{slice.getSource(), {}};
  unsigned next = 0;
  for (auto [dimension, offset] : llvm::enumerate(slice.getStaticOffsets())) {
    if (ShapedType::isDynamic(offset))
      return std::nullopt;
    AffineExpr index = getAffineConstantExpr(offset, slice.getContext());
    result.at.push_back(dropped[dimension] ? index : element.at[next++] + index);
  }
  return result;
}

/// The indices in `from`'s dimensions of an element whose indices in `to`'s are `at`; every group
/// of dimensions is one dimension of one of the two.
static std::optional<SmallVector<AffineExpr, 4>>
regroup(const LoopSpace &loops, ArrayRef<AffineExpr> at, ArrayRef<int64_t> to,
        ArrayRef<int64_t> from, ArrayRef<ReassociationIndices> groups, bool isExpanded) {
  SmallVector<AffineExpr, 4> result;
  for (auto [number, group] : llvm::enumerate(groups)) {
    size_t first = group.front(), size = group.size();
    auto many = [&](auto list) { return list.slice(first, size); };
    auto one = [&](auto list) { return list.slice(number, 1); };
    auto indices = isExpanded ? loops.reshape(many(at), many(to), one(from))
                              : loops.reshape(one(at), one(to), many(from));
    if (!indices)
      return std::nullopt;
    result.append(indices->begin(), indices->end());
  }
  return result;
}

std::optional<Element> ElementReader::moveThroughTensorOp(Operation *op, const Element &element) {
  auto shapeOf = [](Value value) { return cast<RankedTensorType>(value.getType()).getShape(); };
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    Value source = expand.getSrc();
    auto at = regroup(loops, element.at, shapeOf(element.value), shapeOf(source),
                      expand.getReassociationIndices(), /*isExpanded=*/true);
    return at ? std::optional(Element{source, *at}) : std::nullopt;
  }
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    Value source = collapse.getSrc();
    auto at = regroup(loops, element.at, shapeOf(element.value), shapeOf(source),
                      collapse.getReassociationIndices(), /*isExpanded=*/false);
    return at ? std::optional(Element{source, *at}) : std::nullopt;
  }
  if (auto cast = dyn_cast<tensor::CastOp>(op)) {
    if (isa<RankedTensorType>(cast.getSource().getType()))
      return Element{cast.getSource(), element.at};
    return std::nullopt;
  }
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return moveThroughSlice(slice, element);
  if (auto splat = dyn_cast<tensor::SplatOp>(op))
    return Element{splat.getInput(), {}};
  if (auto list = dyn_cast<tensor::FromElementsOp>(op)) {
    if (list.getElements().size() == 1)
      return Element{list.getElements().front(), {}};
    return std::nullopt;
  }
  if (auto extract = dyn_cast<tensor::ExtractOp>(op))
    return moveThroughGather(extract, element);
  if (auto reshape = dyn_cast<tensor::ReshapeOp>(op))
    return moveThroughReshape(reshape, element);
  return std::nullopt;
}

std::optional<Element> ElementReader::move(const Element &element) {
  if (auto argument = dyn_cast<BlockArgument>(element.value))
    return moveThroughArgument(argument, element);
  Operation *op = element.value.getDefiningOp();
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return moveThroughBody(linalgOp, element);
  if (isa<tosa::TosaOp>(op))
    return moveThroughTosaOp(op, element);
  return moveThroughTensorOp(op, element);
}
