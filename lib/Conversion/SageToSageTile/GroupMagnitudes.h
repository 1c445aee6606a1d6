// The largest magnitudes of groups of rows, from 16-bit numbers as they are loaded.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_GROUPMAGNITUDES_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_GROUPMAGNITUDES_H

#include "KernelBuilder.h"

namespace sage {

/// How the rows of a fragment are taken apart: those that differ only in the register of a lane and
/// belong to the same group are folded. A row is the sum of one of the folded ones, of which the
/// first is 0, and of what the bits of a kept row's number stand for.
class RowFold {
public:
  /// `groups` is a function (row, column) -> (group, 0) that sees bits of the row.
  RowFold(tile::FragmentType type, mlir::AffineMap groups);

  /// How many rows are folded into one.
  int64_t size() const { return int64_t(folded.size()); }
  /// (kept row, column) -> (row, column), of the `number`th of the rows that are folded into one.
  mlir::AffineMap getRow(int64_t number) const;
  /// The type of a fragment of kept rows.
  tile::FragmentType getKept(tile::FragmentType type) const;

private:
  mlir::MLIRContext *context;
  llvm::SmallVector<int64_t> kept, folded{0};
};

/// The largest magnitude of each group (row, column) -> (group, 0) of `x`, 16-bit floats, after
/// centring on `mean` (null: as they are). Rows from `rowsLeft` on are padding, zeros; null where
/// there are none.
mlir::Value getGroupMagnitudes(KernelBuilder &b, mlir::Value x, mlir::Value mean,
                               mlir::Value rowsLeft, tile::FragmentType groupType,
                               mlir::AffineMap groups);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_GROUPMAGNITUDES_H
