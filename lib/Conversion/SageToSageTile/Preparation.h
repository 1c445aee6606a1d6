// What the preparation kernels share: fragments of rows, scales of groups.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H

#include "ProgramBuilder.h"

namespace sage {

/// Partial sums of K and maxima of V over chunks of tokens, then the mean of K and the scales of V
/// (Spec N1, N2, N5).
void addStatisticsKernels(ProgramBuilder &program);
/// Quantized Q with its scales, and the correction of the log-sum-exp (Spec N4, N12).
void addQueryKernel(ProgramBuilder &program);
/// Quantized K with its scales (Spec N4).
void addKeyKernel(ProgramBuilder &program);
/// Quantized V in storage order (Spec N5, N6).
void addValueKernel(ProgramBuilder &program);

/// One warp's rows, with `vectorLength` neighbouring columns in a lane.
tile::FragmentType getRowMajor(mlir::Builder &b, int64_t rows, int64_t columns,
                               mlir::Type elementType, int64_t vectorLength);
/// The scales and their inverses of groups with the given largest magnitudes (Spec N4, P1).
std::pair<mlir::Value, mlir::Value> getScales(KernelBuilder &b, mlir::Value magnitudes,
                                              float range);
/// Largest magnitude of the groups that `groups` (row, column) -> (group, 0) names.
mlir::Value getMagnitudes(KernelBuilder &b, mlir::Value x, mlir::AffineMap groups,
                          int64_t numGroups);
/// `x` times the inverses of its groups, as i8.
mlir::Value quantize(KernelBuilder &b, mlir::Value x, mlir::Value inverses, mlir::AffineMap groups);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H
