// Elements that are gathered by indices, as broadcasts along dynamic extents are written, and
// reshapes to sizes known at run time only.

#include "ElementReader.h"

#include "TensorExtents.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sage::raising;

std::optional<AffineExpr> ElementReader::readIndex(const Element &element, int depth) {
  if (depth == 0)
    return std::nullopt;
  Node node = read(element);
  auto operand = [&](unsigned k) { return readIndex(node.operands[k], depth - 1); };
  switch (node.form) {
  case Form::Loop:
    return node.index;
  case Form::Constant:
    return loops.getConstant(static_cast<int64_t>(node.constant));
  case Form::NumberCast:
    return operand(0);
  case Form::Add:
  case Form::Subtract: {
    std::optional<AffineExpr> left = operand(0), right = operand(1);
    if (!left || !right)
      return std::nullopt;
    return loops.simplify(node.is(Form::Add) ? *left + *right : *left - *right);
  }
  default:
    return std::nullopt;
  }
}

/// The extent of a body's loop, if a dimension of an output runs over it.
static std::optional<TensorExtent> getLoopExtent(linalg::LinalgOp op, unsigned loop) {
  for (OpOperand &init : op.getDpsInitsMutable())
    for (auto [dimension, expr] : llvm::enumerate(op.getMatchingIndexingMap(&init).getResults()))
      if (expr == getAffineDimExpr(loop, op.getContext()))
        return getTensorExtent(init.get(), dimension);
  return std::nullopt;
}

/// The loop whose index `index` always is: itself, or extent == 1 ? 0 : itself.
static std::optional<unsigned> getGatheredLoop(Value index, linalg::LinalgOp op) {
  auto select = index.getDefiningOp<arith::SelectOp>();
  auto loop = (select ? select.getFalseValue() : index).getDefiningOp<linalg::IndexOp>();
  if (!loop || !select)
    return loop ? std::optional<unsigned>(loop.getDim()) : std::nullopt;
  auto test = select.getCondition().getDefiningOp<arith::CmpIOp>();
  if (!test || test.getPredicate() != arith::CmpIPredicate::eq ||
      !matchPattern(test.getRhs(), m_One()) || !matchPattern(select.getTrueValue(), m_Zero()) ||
      getLoopExtent(op, loop.getDim()) != getTensorExtent(test.getLhs()))
    return std::nullopt;
  return loop.getDim();
}

std::optional<Element> ElementReader::moveThroughGather(tensor::ExtractOp extract,
                                                        const Element &element) {
  auto op = dyn_cast<linalg::LinalgOp>(extract->getParentOp());
  Element result{extract.getTensor(), {}};
  for (auto [dimension, index] : llvm::enumerate(extract.getIndices())) {
    if (op) {
      // All of the dimension is gathered, so that reductions over the two are the same.
      std::optional<unsigned> loop = getGatheredLoop(index, op);
      if (loop && getLoopExtent(op, *loop) == getTensorExtent(extract.getTensor(), dimension)) {
        result.at.push_back(element.at[*loop]);
        continue;
      }
    }
    std::optional<AffineExpr> expr = readIndex(getOperand(element, index));
    // A gather may have fewer turns than its source has elements.
    if (!expr || loops.isUnbounded(*expr))
      return std::nullopt;
    result.at.push_back(*expr);
  }
  return result;
}

/// A reshape that only inserts or drops extents of 1.
std::optional<Element> ElementReader::moveThroughReshape(tensor::ReshapeOp reshape,
                                                         const Element &element) {
  Value source = reshape.getSource();
  auto from = dyn_cast<RankedTensorType>(source.getType());
  auto to = cast<RankedTensorType>(element.value.getType());
  if (!from)
    return std::nullopt;
  Element result{source, SmallVector<AffineExpr, 4>(from.getRank(), loops.getConstant(0))};
  int64_t next = 0;
  for (int64_t dimension = 0; dimension < from.getRank(); ++dimension) {
    if (from.getDimSize(dimension) == 1)
      continue;
    while (next < to.getRank() && to.getDimSize(next) == 1)
      ++next;
    if (next == to.getRank() ||
        !(getTensorExtent(source, dimension) == getTensorExtent(element.value, next)))
      return std::nullopt;
    result.at[dimension] = element.at[next++];
  }
  while (next < to.getRank())
    if (to.getDimSize(next++) != 1)
      return std::nullopt;
  return result;
}
