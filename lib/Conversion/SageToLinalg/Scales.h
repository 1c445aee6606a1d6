// Scales of quantization groups (Spec N4, N5).

#ifndef SAGE_LIB_CONVERSION_SAGETOLINALG_SCALES_H
#define SAGE_LIB_CONVERSION_SAGETOLINALG_SCALES_H

#include "TensorBuilder.h"

namespace sage {

/// The largest magnitudes along the columns (or rows) of `input` [N, D].
mlir::Value findLargestMagnitudes(TensorBuilder &b, mlir::Value input, bool overRows = false);

/// absmax / range, 1 where absmax is 0 and NaN where it is not finite.
mlir::Value computeScales(TensorBuilder &b, mlir::Value largest, float range);
/// range / absmax, 0 where absmax is 0 and NaN where it is not finite.
mlir::Value computeInverses(TensorBuilder &b, mlir::Value largest, float range);
/// 1, or NaN where absmax is not finite: the scales of 16-bit values.
mlir::Value computeUnitScales(TensorBuilder &b, mlir::Value largest);

/// Inside a point body: rounds to `type` (an 8-bit float), saturating at its largest finite value.
/// NaN stays NaN.
mlir::Value roundSaturating(TensorBuilder &b, mlir::Value value, mlir::FloatType type);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOLINALG_SCALES_H
