// Which dynamic extents of tensors are equal.

#ifndef SAGE_CONVERSION_RAISEATTENTION_TENSOREXTENTS_H
#define SAGE_CONVERSION_RAISEATTENTION_TENSOREXTENTS_H

#include "mlir/IR/Value.h"

namespace sage::raising {

/// An extent by where it comes from: a dimension of a tensor that nothing is known of, an index
/// (`dimension` is -1), or a number (`value` is null). Equal ones are equal numbers.
struct TensorExtent {
  mlir::Value value;
  int64_t dimension = -1;

  bool operator==(const TensorExtent &other) const {
    return value == other.value && dimension == other.dimension;
  }
  bool operator!=(const TensorExtent &other) const { return !(*this == other); }
};

/// Of a dimension of a tensor, through the ops that make tensors of given sizes.
TensorExtent getTensorExtent(mlir::Value tensor, int64_t dimension);
/// Of an integer or index that is used as an extent.
TensorExtent getTensorExtent(mlir::Value size);

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_TENSOREXTENTS_H
