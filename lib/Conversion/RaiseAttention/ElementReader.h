// Tensors read element by element: what an element of a tensor is computed from.
//
// An element is a value with index expressions. Reading it goes through everything that only moves
// elements (transposes, reshapes, slices, broadcasts, bodies that yield what they got) up to the op
// that computes it, whichever dialect wrote that.

#ifndef SAGE_CONVERSION_RAISEATTENTION_ELEMENTREADER_H
#define SAGE_CONVERSION_RAISEATTENTION_ELEMENTREADER_H

#include "LoopSpace.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Value.h"

namespace sage::raising {

/// The element of the tensor `value` at `at`; or the scalar `value` of a body whose loops are `at`;
/// or, with no `at`, any other scalar.
struct Element {
  mlir::Value value;
  llvm::SmallVector<mlir::AffineExpr, 4> at;

  bool isTensor() const { return mlir::isa<mlir::RankedTensorType>(value.getType()); }
  bool uses(mlir::AffineExpr loop) const;
  bool operator==(const Element &other) const { return value == other.value && at == other.at; }
};

enum class Form {
  Opaque,
  Constant,
  Loop,
  Add,
  Subtract,
  Multiply,
  Divide,
  Negate,
  Absolute,
  Reciprocal,
  Maximum,
  Minimum,
  Exp,
  Exp2,
  Power,
  Tanh,
  SquareRoot,
  ReciprocalRoot,
  Compare,
  Select,
  And,
  Or,
  Xor,
  Not,
  FloatCast,
  NumberCast,
  Softmax,
  Reduce
};
enum class Relation { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual };
enum class Combiner { Sum, Maximum, All, Any };

/// What computes an element.
struct Node {
  Form form = Form::Opaque;
  /// Where; null for arguments.
  mlir::Operation *op = nullptr;
  /// Of a Reduce: what is combined, or the two factors of what is summed.
  llvm::SmallVector<Element, 3> operands;
  double constant = 0;
  /// The value of a Loop, the normalized index of a Softmax.
  mlir::AffineExpr index;
  Relation relation = Relation::Equal;
  Combiner combiner = Combiner::Sum;
  /// The loop that a Reduce runs over, new with every reading; its only one.
  unsigned loop = 0;

  bool is(Form wanted) const { return form == wanted; }
  bool isSum() const { return form == Form::Reduce && combiner == Combiner::Sum; }
};

class ElementReader {
public:
  explicit ElementReader(mlir::MLIRContext *context) : loops(context) {}

  /// Any element of a tensor, in new loops.
  Element getElement(mlir::Value tensor);
  /// The element behind those that are only moved; `passed` receives the elements of tensors on the
  /// way, the first and the last included.
  Element skipMoves(Element element, llvm::SmallVectorImpl<Element> *passed = nullptr);
  Node read(const Element &element);

  /// The element in loops of which `loop` has become `replacement`.
  Element substitute(const Element &element, unsigned loop, mlir::AffineExpr replacement) const;

  /// The value that `element` always has, if it is made of constants.
  std::optional<double> getConstant(const Element &element);
  /// The element without conversions between float types.
  Element skipCasts(Element element);
  /// Whether two elements are equal because they are computed alike, conversions aside.
  bool areEqual(const Element &a, const Element &b) { return areEqual(a, b, /*depth=*/24); }

  LoopSpace loops;

private:
  std::optional<Element> move(const Element &element);
  std::optional<Element> moveThroughBody(mlir::linalg::LinalgOp op, const Element &element);
  std::optional<Element> moveThroughArgument(mlir::BlockArgument argument, const Element &element);
  std::optional<Element> moveThroughTensorOp(mlir::Operation *op, const Element &element);
  std::optional<Element> moveThroughGather(mlir::tensor::ExtractOp extract, const Element &element);
  std::optional<Element> moveThroughReshape(mlir::tensor::ReshapeOp reshape,
                                            const Element &element);
  std::optional<Element> moveThroughTosaOp(mlir::Operation *op, const Element &element);
  /// The loops of a body from the indices of a result; nothing for reductions' loops, which become
  /// `reduced`.
  std::optional<llvm::SmallVector<mlir::AffineExpr, 4>>
  getBodyLoops(mlir::linalg::LinalgOp op, const Element &element, std::optional<unsigned> &reduced);
  /// An operand of the op that computes `element`.
  Element getOperand(const Element &element, mlir::Value operand) const;
  std::optional<mlir::AffineExpr> readIndex(const Element &element, int depth = 8);

  Node readReduction(mlir::linalg::LinalgOp op, const Element &element);
  void readElementwise(const Element &element, Node &node) const;
  void readTosa(const Element &element, Node &node);
  bool areEqual(Element a, Element b, int depth);
  std::optional<double> getConstant(const Element &element, int depth);
};

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_ELEMENTREADER_H
