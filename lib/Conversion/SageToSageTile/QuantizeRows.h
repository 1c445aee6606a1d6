// Rows of Q or K as the integers that products take (Spec N3, N4), in any layout: what the
// preparation and an attention kernel that quantizes Q itself share.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_QUANTIZEROWS_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_QUANTIZEROWS_H

#include "TokenSpace.h"

namespace sage {

/// The scales (or their inverses) of groups with the given largest magnitudes (Spec N4, P1).
mlir::Value getScales(KernelBuilder &b, mlir::Value magnitudes, float range, bool inverse);

/// The block Hadamard transform of the rows of `x` (float32). Columns of padding are blocks of
/// zeros.
mlir::Value rotateRows(KernelBuilder &b, const Problem &problem, Side side, mlir::Value x);

/// The largest magnitudes of the groups of `x` that `map`, (row, column) -> (group, 0), names, of
/// this unit's rows.
mlir::Value findMagnitudes(KernelBuilder &b, mlir::Value x, tile::FragmentType groupType,
                           mlir::AffineMap map);

/// The part of the largest magnitudes that the range covers.
mlir::Value clipMagnitudes(KernelBuilder &b, const Problem &problem, Side side,
                           mlir::Value magnitudes);

/// `x` times the inverse scales of its groups, rounded to the problem's score type. With
/// `hidesPadding`, what has a negative inverse becomes 0.
mlir::Value quantizeRows(KernelBuilder &b, const Problem &problem, mlir::Value x,
                         mlir::Value inverses, mlir::AffineMap map, bool hidesPadding = false);

/// The mean of the channels of rows of type `type`, in row `row` of `means` from `column` on.
mlir::Value loadMean(KernelBuilder &b, tile::FragmentType type, mlir::Value means, mlir::Value row,
                     mlir::Value column);

/// scale · Σ x·mean of every row, in float32 (Spec N12), as `rowType`.
mlir::Value getLseCorrection(KernelBuilder &b, mlir::Value x, mlir::Value mean,
                             mlir::Value softmaxScale, tile::FragmentType rowType);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_QUANTIZEROWS_H
