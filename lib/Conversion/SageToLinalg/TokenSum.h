// Sums over tokens in the order of Spec N1.

#ifndef SAGE_LIB_CONVERSION_SAGETOLINALG_TOKENSUM_H
#define SAGE_LIB_CONVERSION_SAGETOLINALG_TOKENSUM_H

#include "TensorBuilder.h"

namespace sage {

/// The sum of the tokens first to first + count - 1 of `tokens` [N, D], widened to f32, as [1, D].
mlir::Value sumTokens(TensorBuilder &b, mlir::Value tokens, mlir::OpFoldResult first,
                      mlir::OpFoldResult count);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOLINALG_TOKENSUM_H
