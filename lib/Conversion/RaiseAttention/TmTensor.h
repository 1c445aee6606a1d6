// tm_tensor.attention of torch-mlir, whose dialect is not registered.

#ifndef SAGE_CONVERSION_RAISEATTENTION_TMTENSOR_H
#define SAGE_CONVERSION_RAISEATTENTION_TMTENSOR_H

#include "AttentionMatcher.h"

namespace sage::raising {

bool isTmTensorAttention(mlir::Operation *op);

/// What the op computes; nothing, and `obstacle`, where it has a form that is not known.
std::optional<AttentionMatch> matchTmTensorAttention(ElementReader &reader, mlir::Operation *op,
                                                     Obstacle &obstacle);

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_TMTENSOR_H
