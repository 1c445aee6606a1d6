// The sage_tile dialect: how one thread block computes a tile.

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILE_H
#define SAGE_DIALECT_SAGETILE_IR_SAGETILE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/CallInterfaces.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/Hashing.h"

namespace sage::tile {

/// One digit of a layout: value `i` < `size` contributes `i * row` and `i * column`.
struct LayoutMode {
  int64_t size;
  int64_t row;
  int64_t column;

  bool isReplicated() const { return row == 0 && column == 0; }
  bool operator==(const LayoutMode &other) const {
    return size == other.size && row == other.row && column == other.column;
  }
  bool operator!=(const LayoutMode &other) const { return !(*this == other); }
};

inline llvm::hash_code hash_value(const LayoutMode &mode) {
  return llvm::hash_combine(mode.size, mode.row, mode.column);
}

/// Value of `expr` at `dims` and `symbols`; nothing where it divides by a value that is not
/// positive.
std::optional<int64_t> evaluate(mlir::AffineExpr expr, llvm::ArrayRef<int64_t> dims,
                                llvm::ArrayRef<int64_t> symbols = {});

} // namespace sage::tile

namespace mlir {
class DialectRegistry;
} // namespace mlir

#include "sage/Dialect/SageTile/IR/SageTileDialect.h.inc"

#include "sage/Dialect/SageTile/IR/SageTileEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "sage/Dialect/SageTile/IR/SageTileAttributes.h.inc"

#define GET_TYPEDEF_CLASSES
#include "sage/Dialect/SageTile/IR/SageTileTypes.h.inc"

#define GET_OP_CLASSES
#include "sage/Dialect/SageTile/IR/SageTileOps.h.inc"

namespace sage::tile {

/// Whether every element that a lane holds of `to` is, after `map` (row, column) -> (row',
/// column'), among the elements that the same lane holds of `from`. Fragments that are related so
/// can be computed from each other without moving data between lanes.
bool isLaneLocal(FragmentType to, mlir::AffineMap map, FragmentType from);

/// Adds the dialect to `registry`.
void registerSageTileDialect(mlir::DialectRegistry &registry);

} // namespace sage::tile

#endif // SAGE_DIALECT_SAGETILE_IR_SAGETILE_H
