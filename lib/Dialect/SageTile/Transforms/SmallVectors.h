// Vectors that are too small for a bulk copy.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_SMALLVECTORS_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_SMALLVECTORS_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

namespace sage::tile {

/// Copies of vectors whose size is no multiple of 16 bytes go, and what was loaded from their tiles
/// is loaded from device memory. Copies whose tiles are used in other ways stay.
void loadSmallVectors(KernelOp kernel);

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_SMALLVECTORS_H
