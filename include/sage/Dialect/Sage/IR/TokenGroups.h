// Arithmetic on the affine maps of a geometry: which scale a token has, how many scales there are,
// which token a storage position holds.

#ifndef SAGE_DIALECT_SAGE_IR_TOKENGROUPS_H
#define SAGE_DIALECT_SAGE_IR_TOKENGROUPS_H

#include "mlir/IR/AffineMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace mlir {
class InFlightDiagnostic;
} // namespace mlir

namespace sage {

/// How a map from tokens to scale indices repeats: map(n + period) = map(n) + increment, and the
/// first period covers the indices 0 to span - 1.
struct TokenGroups {
  int64_t period;
  int64_t increment;
  int64_t span;

  /// Analyzes a map and checks Spec G3. Reports through `emitError` when it is given.
  static mlir::FailureOr<TokenGroups>
  analyze(mlir::AffineMap map, llvm::function_ref<mlir::InFlightDiagnostic()> emitError = nullptr);

  /// The number of scales of `tokens` tokens. Whole periods count, so that it is an affine function
  /// of the tokens (Spec Q3); kDynamic for kDynamic.
  int64_t count(int64_t tokens) const;
  /// `count` as a map of one dimension.
  mlir::AffineMap getCountMap(mlir::MLIRContext *context) const;
  /// The number of scales of `sequences` sequences that have `tokens` tokens together: sequence s
  /// begins at period floor(offset / period) + s (Spec Q3, N17).
  int64_t countPacked(int64_t tokens, int64_t sequences) const;
  /// `countPacked` as a map of the tokens and the number of offsets, one more than sequences.
  mlir::AffineMap getPackedCountMap(mlir::MLIRContext *context) const;
};

/// The value of a map of one dimension and one result at `n`; the map must be one that `analyze`
/// accepts.
int64_t evaluateTokenMap(mlir::AffineMap map, int64_t n);

/// Whether the map permutes every aligned group of 16 positions among themselves (Spec G4).
bool permutesSixteen(mlir::AffineMap map);

} // namespace sage

#endif // SAGE_DIALECT_SAGE_IR_TOKENGROUPS_H
