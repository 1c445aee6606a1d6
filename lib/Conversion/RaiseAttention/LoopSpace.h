// Loops that elements of tensors are read in, and index expressions of them.

#ifndef SAGE_CONVERSION_RAISEATTENTION_LOOPSPACE_H
#define SAGE_CONVERSION_RAISEATTENTION_LOOPSPACE_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace sage::raising {

/// One summand of an index expression.
struct IndexTerm {
  mlir::AffineExpr atom;
  int64_t coefficient;
};

/// The summands of an expression that are no constants, and the constant.
struct IndexSum {
  llvm::SmallVector<IndexTerm, 4> terms;
  int64_t constant = 0;

  static IndexSum get(mlir::AffineExpr expr);
  mlir::AffineExpr toExpr(mlir::MLIRContext *context) const;

private:
  void add(mlir::AffineExpr expr, int64_t factor);
  void addTerm(mlir::AffineExpr atom, int64_t coefficient);
  void joinRemainders();
};

/// Loops are dimensions of affine expressions; each has an extent, kDynamic where unknown.
class LoopSpace {
public:
  explicit LoopSpace(mlir::MLIRContext *context) : context(context) {}

  unsigned add(int64_t extent);
  int64_t getExtent(unsigned loop) const { return extents[loop]; }
  /// The loop's variable; 0 for a loop of one turn.
  mlir::AffineExpr get(unsigned loop) const;
  mlir::AffineExpr getConstant(int64_t value) const;

  /// Whether a loop of unknown extent is in `expr`.
  bool isUnbounded(mlir::AffineExpr expr) const;

  /// Drops divisions and remainders that the extents decide.
  mlir::AffineExpr simplify(mlir::AffineExpr expr) const;

  /// `expr` with `replacement` in the place of `loop`.
  mlir::AffineExpr substitute(mlir::AffineExpr expr, unsigned loop,
                              mlir::AffineExpr replacement) const;

  /// The indices into a tensor of shape `from` of the element that has the indices `at` in the
  /// same elements in row-major order of shape `to`; nothing where dynamic extents hide it.
  std::optional<llvm::SmallVector<mlir::AffineExpr, 4>> reshape(llvm::ArrayRef<mlir::AffineExpr> at,
                                                                llvm::ArrayRef<int64_t> to,
                                                                llvm::ArrayRef<int64_t> from) const;

private:
  /// The largest value of a non-negative expression, if known.
  std::optional<int64_t> getMaximum(mlir::AffineExpr expr) const;

  mlir::MLIRContext *context;
  llvm::SmallVector<int64_t> extents;
};

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_LOOPSPACE_H
