// What computes an element: reductions, and the dispatch to elementwise ops of the dialects.

#include "ElementReader.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sage::raising;

bool Element::uses(AffineExpr loop) const {
  auto dimension = dyn_cast<AffineDimExpr>(loop);
  return dimension && llvm::any_of(at, [&](AffineExpr expr) {
           return expr.isFunctionOfDim(dimension.getPosition());
         });
}

Element ElementReader::getElement(Value tensor) {
  Element element{tensor, {}};
  for (int64_t extent : cast<RankedTensorType>(tensor.getType()).getShape())
    element.at.push_back(loops.get(loops.add(extent)));
  return element;
}

Element ElementReader::substitute(const Element &element, unsigned loop,
                                  AffineExpr replacement) const {
  Element result{element.value, {}};
  for (AffineExpr expr : element.at)
    result.at.push_back(loops.substitute(expr, loop, replacement));
  return result;
}

Element ElementReader::skipMoves(Element element, SmallVectorImpl<Element> *passed) {
  while (true) {
    if (passed && element.isTensor())
      passed->push_back(element);
    std::optional<Element> next = move(element);
    if (!next)
      return element;
    element = std::move(*next);
  }
}

/// Whether a value of a body is computed from what the reduction has so far.
static bool dependsOnAccumulator(Value value, linalg::LinalgOp op) {
  Block *body = op.getBlock();
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner() == body && argument.getArgNumber() >= op.getNumDpsInputs();
  Operation *definition = value.getDefiningOp();
  return definition->getBlock() == body && llvm::any_of(definition->getOperands(), [&](Value v) {
           return dependsOnAccumulator(v, op);
         });
}

/// The combiner of an op and the value that leaves it as it is, or one as good.
static std::optional<Combiner> getCombiner(Operation *op) {
  if (isa<arith::AddFOp>(op))
    return Combiner::Sum;
  if (isa<arith::MaximumFOp, arith::MaxNumFOp>(op))
    return Combiner::Maximum;
  bool isBoolean = op->getNumResults() == 1 && op->getResult(0).getType().isInteger(1);
  if (isa<arith::AndIOp>(op) && isBoolean)
    return Combiner::All;
  if (isa<arith::OrIOp>(op) && isBoolean)
    return Combiner::Any;
  return std::nullopt;
}

static bool isNeutral(Combiner combiner, double value, Type type) {
  switch (combiner) {
  case Combiner::Sum:
  case Combiner::Any:
    return value == 0;
  case Combiner::All:
    return value == 1;
  case Combiner::Maximum:
    // The lowest finite number does where scores are finite, or all -inf: their maximum is only
    // subtracted from all of them.
    auto lowest = APFloat::getLargest(cast<FloatType>(type).getFloatSemantics(), /*Negative=*/true);
    bool lost;
    lowest.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
    return value <= lowest.convertToDouble();
  }
  return false;
}

Node ElementReader::readReduction(linalg::LinalgOp op, const Element &element) {
  Node node{Form::Opaque, op};
  unsigned number = cast<OpResult>(element.value).getResultNumber();
  std::optional<unsigned> reduced;
  auto body = getBodyLoops(op, element, reduced);
  if (!body || !reduced)
    return node;
  BlockArgument accumulator = op.getBlock()->getArgument(op.getNumDpsInputs() + number);
  Operation *combine = op.getBlock()->getTerminator()->getOperand(number).getDefiningOp();
  if (!combine || combine->getBlock() != op.getBlock() || combine->getNumOperands() != 2)
    return node;
  std::optional<Combiner> combiner = getCombiner(combine);
  unsigned side = combine->getOperand(0) == accumulator ? 1 : 0;
  if (!combiner || combine->getOperand(1 - side) != accumulator ||
      dependsOnAccumulator(combine->getOperand(side), op))
    return node;
  Element initial{op.getDpsInitOperand(number)->get(), element.at};
  std::optional<double> start = getConstant(initial);
  if (!start || !isNeutral(*combiner, *start, getElementTypeOrSelf(element.value)))
    return node;
  node.form = Form::Reduce;
  node.combiner = *combiner;
  node.loop = *reduced;
  Element combined{combine->getOperand(side), *body};
  // The factors of a sum of products.
  Node product = *combiner == Combiner::Sum ? read(combined) : Node{};
  if (product.is(Form::Multiply))
    node.operands = product.operands;
  else
    node.operands = {combined};
  return node;
}

Element ElementReader::getOperand(const Element &element, Value operand) const {
  if (auto type = dyn_cast<RankedTensorType>(operand.getType())) {
    // An elementwise op on tensors; extents of 1 repeat in tosa.
    Element result{operand, element.at};
    for (auto [index, extent] : llvm::zip(result.at, type.getShape()))
      if (extent == 1)
        index = loops.getConstant(0);
    return result;
  }
  Block *block = Value(element.value).getParentBlock();
  bool isInBody = isa<linalg::LinalgOp>(block->getParentOp()) && operand.getParentBlock() == block;
  return isInBody ? Element{operand, element.at} : Element{operand, {}};
}

static void readConstant(Attribute value, Node &node) {
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    if (!dense.isSplat())
      return;
    value = dense.getSplatValue<Attribute>();
  }
  if (auto number = dyn_cast<FloatAttr>(value)) {
    node.form = Form::Constant;
    node.constant = number.getValueAsDouble();
  } else if (auto integer = dyn_cast<IntegerAttr>(value)) {
    if (integer.getValue().getBitWidth() > 64)
      return;
    node.form = Form::Constant;
    bool isBoolean = integer.getType().isInteger(1);
    node.constant = isBoolean ? double(integer.getValue().getBoolValue())
                              : double(integer.getValue().getSExtValue());
  }
}

Node ElementReader::read(const Element &start) {
  Element element = skipMoves(start);
  Node node;
  node.op = element.value.getDefiningOp();
  if (!node.op)
    return node;
  Attribute constant;
  if (matchPattern(element.value, m_Constant(&constant))) {
    readConstant(constant, node);
    return node;
  }
  if (auto index = dyn_cast<linalg::IndexOp>(node.op)) {
    node.form = Form::Loop;
    node.index = element.at[index.getDim()];
    return node;
  }
  if (auto softmax = dyn_cast<linalg::SoftmaxOp>(node.op)) {
    node.form = Form::Softmax;
    node.operands = {Element{softmax.getInput(), element.at}};
    node.index = element.at[softmax.getDimension()];
    return node;
  }
  if (auto reduction = dyn_cast<linalg::LinalgOp>(node.op)) {
    if (reduction.getNumReductionLoops() == 1 && element.isTensor())
      return readReduction(reduction, element);
    return node;
  }
  if (isa<tosa::TosaOp>(node.op))
    readTosa(element, node);
  else
    readElementwise(element, node);
  return node;
}
