// Column chunks of fragments, without movement between lanes.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_COLUMNSLICES_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_COLUMNSLICES_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/IR/Builders.h"

namespace sage::tile {

/// The type of `width` neighbouring columns of `type`, a contiguous range of each lane's registers.
/// Null if `width` does not end at a boundary of the layout's register modes.
FragmentType getColumnSliceType(FragmentType type, int64_t width);

/// Columns [column, column + width) of `fragment`; `fragment` itself if that is all of them.
mlir::Value createColumnSlice(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value fragment,
                              int64_t column, int64_t width);

/// `parts` joined to a fragment of type `type`; the part itself if there is one.
mlir::Value createColumnConcat(mlir::OpBuilder &builder, mlir::Location loc, FragmentType type,
                               mlir::ValueRange parts);

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_COLUMNSLICES_H
