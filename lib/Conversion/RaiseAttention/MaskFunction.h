// Numbers that depend on nothing but the distance of a key from a query.

#ifndef SAGE_CONVERSION_RAISEATTENTION_MASKFUNCTION_H
#define SAGE_CONVERSION_RAISEATTENTION_MASKFUNCTION_H

#include "ElementReader.h"

#include <functional>

namespace sage::raising {

/// A function of the distance (key - query), constant but for finitely many steps.
class MaskFunction {
public:
  struct Step {
    /// The value holds from this distance on; the first step's is `unbounded`.
    int64_t start;
    double value;
  };
  static constexpr int64_t unbounded = std::numeric_limits<int64_t>::min();

  explicit MaskFunction(double constant) : steps{{unbounded, constant}} {}
  /// `below` up to start - 1, `from` from there on.
  MaskFunction(double below, int64_t start, double from)
      : steps{{unbounded, below}, {start, from}} {
    normalize();
  }
  explicit MaskFunction(llvm::SmallVector<Step> steps) : steps(std::move(steps)) { normalize(); }

  static MaskFunction apply(llvm::ArrayRef<MaskFunction> functions,
                            llvm::function_ref<double(llvm::ArrayRef<double>)> operation);

  llvm::ArrayRef<Step> getSteps() const { return steps; }
  double at(int64_t distance) const;
  bool isConstant() const { return steps.size() == 1; }

private:
  void normalize();

  llvm::SmallVector<Step> steps;
};

/// The loops of a score, and their extents.
struct ScoreLoops {
  /// Null where there is one query.
  mlir::AffineExpr query;
  mlir::AffineExpr key;
  int64_t queries, keys;
};

/// Evaluates masks in the loops of a score.
class MaskEvaluator {
public:
  MaskEvaluator(ElementReader &reader, const ScoreLoops &loops) : reader(reader), loops(loops) {}

  /// The element as a function of the distance; nothing if it depends on anything else.
  std::optional<MaskFunction> evaluate(const Element &element);

private:
  /// query · i + key · j + constant, or its magnitude, or a function of the distance.
  struct Value {
    int64_t query = 0, key = 0, constant = 0;
    std::optional<MaskFunction> function;
    bool isMagnitude = false;
  };
  std::optional<Value> evaluate(const Element &element, int depth);
  std::optional<Value> evaluateNode(const Node &node, llvm::ArrayRef<Value> operands);
  bool holdsIndices(mlir::Type type, const Value &linear);
  std::optional<Value> evaluateTable(const Element &element);
  std::optional<Value> getLinear(mlir::AffineExpr index);
  std::optional<MaskFunction> compare(Relation relation, const Value &left, const Value &right);
  std::optional<MaskFunction> compareMagnitude(Relation relation, Value left, const Value &right);

  ElementReader &reader;
  ScoreLoops loops;
};

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_MASKFUNCTION_H
