// Attention in parts of the key tiles, which are joined (Spec N18).

#ifndef SAGE_LIB_CONVERSION_SAGETOLINALG_JOINPARTS_H
#define SAGE_LIB_CONVERSION_SAGETOLINALG_JOINPARTS_H

#include "TensorBuilder.h"

namespace sage {

/// What an online softmax leaves of each query.
struct RowState {
  mlir::Value maximum; // m [Nq]
  mlir::Value sum;     // l [Nq]
  mlir::Value output;  // O [Nq, Dv]
  mlir::Value keySum;  // l without the sink, in the scale of l (N15); null without sinks
};

/// Joins what `visit` makes of each part: it gets the range of the part's tiles, counted from the
/// last tile.
RowState
joinParts(TensorBuilder &b, mlir::Value tiles, mlir::Value partTiles, mlir::OpFoldResult queries,
          mlir::OpFoldResult channels,
          llvm::function_ref<RowState(TensorBuilder &, mlir::Value first, mlir::Value end)> visit);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOLINALG_JOINPARTS_H
