// How the elements of a fragment lie in memory: the accesses of one lane, and which of them take
// place.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_ACCESSPLAN_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_ACCESSPLAN_H

#include "LaneMapping.h"

#include "sage/Dialect/SageTile/IR/SageTile.h"

namespace sage::tile {

/// A number that divides `index` for certain (0: the index is 0).
int64_t getKnownDivisor(mlir::Value index, int depth = 0);

/// What must hold for an access to take place, as offsets from the lane's bases.
struct AccessGuard {
  std::optional<int64_t> limit, columnLimit, fragmentColumn;
  /// Past the accessed columns in every lane.
  bool isNever = false;

  bool isAlways() const { return !limit && !columnLimit && !fragmentColumn && !isNever; }
  bool operator==(const AccessGuard &other) const {
    return limit == other.limit && columnLimit == other.columnLimit &&
           fragmentColumn == other.fragmentColumn && isNever == other.isNever;
  }
};

/// Registers [first, first + size) of a lane at neighbouring addresses.
struct Access {
  int64_t first;
  int64_t size;
  /// Offsets from the lane's base in the two mapped dimensions.
  int64_t row;
  int64_t column;
  AccessGuard guard;
};

/// The accesses of a `sage_tile.load` or `sage_tile.store`. A lane's vector is handled in *units*:
/// elements, or words of four 8-bit elements where all accesses are of whole words.
class AccessPlan {
public:
  template <typename Op>
  static mlir::FailureOr<AccessPlan> get(Op op, mlir::Value memory, FragmentType fragment) {
    AccessPlan plan(op, memory, op.getIndices(), fragment);
    plan.limit = op.getLimit();
    plan.columnLimit = op.getColumnLimit();
    plan.aligned = op.getAligned();
    plan.accessedColumns = op.getColumns().value_or(fragment.getColumns());
    if (failed(plan.form(op.getAccessMap())))
      return mlir::failure();
    return plan;
  }

  /// Accesses that take place together: a branch for each.
  llvm::ArrayRef<llvm::SmallVector<Access>> getGroups() const { return groups; }
  mlir::VectorType getType(const Access &access) const {
    return mlir::VectorType::get({access.size / elementsPerUnit}, unitType);
  }
  /// Position of the access in the lane's vector of units.
  int64_t getOffset(const Access &access) const { return access.first / elementsPerUnit; }

  /// The lane's vector as units, and back.
  mlir::VectorType getUnitsType() const;
  mlir::Value toUnits(mlir::OpBuilder &builder, mlir::Value vector) const;
  mlir::Value fromUnits(mlir::OpBuilder &builder, mlir::Value units) const;

  /// Emits the lane's bases; the builder's position must dominate all accesses.
  void emitBases(mlir::OpBuilder &builder);
  /// The guard under which every access takes place, where one limit decides; else nothing.
  std::optional<AccessGuard> getCommonGuard() const;
  /// Whether accesses with `guard` take place.
  mlir::Value emitGuard(mlir::OpBuilder &builder, const AccessGuard &guard) const;
  /// Indices of element `element` of an access.
  llvm::SmallVector<mlir::Value> emitIndices(mlir::OpBuilder &builder, const Access &access,
                                             int64_t element = 0) const;
  /// Whether the executing lane is the first of those with the same addresses; null if all differ.
  mlir::Value emitIsFirst(mlir::OpBuilder &builder) const;

  /// The condition under which wide accesses are aligned; null if they always are.
  mlir::Value getAligned() const { return aligned; }
  /// The type of one element in memory.
  mlir::Type getElementUnit() const;

private:
  AccessPlan(mlir::Operation *op, mlir::Value memory, mlir::ValueRange indices,
             FragmentType fragment)
      : op(op), loc(op->getLoc()), memory(memory), indices(indices), fragment(fragment) {}

  mlir::LogicalResult form(mlir::AffineMap map);
  bool formAccesses(bool ofWords);
  int64_t getAccessSize(int64_t first, int64_t run, int64_t alignment) const;
  AccessGuard getGuard(int64_t first, int64_t row, int64_t column) const;
  int64_t getRowAlignment() const;
  bool isPacked() const { return fragment.getElementType().getIntOrFloatBitWidth() == 8; }
  mlir::Value addConstant(mlir::OpBuilder &builder, mlir::Value a, int64_t value) const;
  mlir::Value add(mlir::OpBuilder &builder, mlir::Value a, mlir::Value b) const;

  mlir::Operation *op;
  mlir::Location loc;
  mlir::Value memory;
  llvm::SmallVector<mlir::Value> indices;
  FragmentType fragment;
  mlir::Value limit, columnLimit, aligned;
  int64_t accessedColumns = 0;
  std::optional<LaneFunction> rows, columns, fragmentColumns;
  bool hasRows = false;
  mlir::Type unitType;
  int64_t elementsPerUnit = 1;
  llvm::SmallVector<llvm::SmallVector<Access>> groups;
  mlir::Value rowBase, columnBase, fragmentColumnBase;
};

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_ACCESSPLAN_H
