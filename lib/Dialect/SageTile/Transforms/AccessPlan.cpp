// How the elements of a fragment lie in memory.

#include "AccessPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

#include <numeric>

using namespace mlir;

namespace sage::tile {

int64_t getKnownDivisor(Value index, int depth) {
  IntegerAttr constant;
  if (matchPattern(index, m_Constant(&constant)))
    return std::abs(constant.getInt());
  Operation *op = index.getDefiningOp();
  if (!op || depth > 8)
    return 1;
  auto operand = [&](unsigned i) { return getKnownDivisor(op->getOperand(i), depth + 1); };
  if (isa<arith::AddIOp, arith::SubIOp, arith::RemUIOp, arith::RemSIOp>(op))
    return std::gcd(operand(0), operand(1));
  if (isa<arith::MulIOp>(op))
    return operand(0) * operand(1) % (int64_t(1) << 40);
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op))
    return operand(0);
  return 1;
}

//===----------------------------------------------------------------------===//
// Forming the accesses
//===----------------------------------------------------------------------===//

Type AccessPlan::getElementUnit() const {
  Type type = fragment.getElementType();
  return type.getIntOrFloatBitWidth() <= 8 ? IntegerType::get(type.getContext(), 8) : type;
}

LogicalResult AccessPlan::form(AffineMap map) {
  LayoutAttr layout = fragment.getLayout();
  unsigned last = map.getNumResults() - 1;
  auto get = [&](AffineExpr expr) {
    return LaneFunction::get(layout,
                             [=](Position p) { return evaluate(expr, {p.first, p.second}); });
  };
  auto columnFunction = get(map.getResult(last));
  auto rowFunction = get(last == 0 ? getAffineConstantExpr(0, map.getContext()) : map.getResult(0));
  auto fragmentFunction = get(getAffineDimExpr(1, map.getContext()));
  if (failed(columnFunction) || failed(rowFunction) || failed(fragmentFunction))
    return op->emitOpError(
               "address must be a sum of what the lane and the register contribute, but ")
           << AffineMapAttr::get(map) << " of " << layout << " is not";
  columns = *columnFunction;
  rows = *rowFunction;
  fragmentColumns = *fragmentFunction;
  hasRows = last != 0;
  // Bytes one by one where words would be split, as those of a transposed tile.
  if (!isPacked() || !formAccesses(/*ofWords=*/true))
    formAccesses(/*ofWords=*/false);
  return success();
}

/// Elements that divide the address of every row's first element, up to 16 bytes.
int64_t AccessPlan::getRowAlignment() const {
  int64_t elementBytes = getElementUnit().getIntOrFloatBitWidth() / 8;
  int64_t alignment = 16 / elementBytes;
  if (auto tile = dyn_cast<SharedType>(memory.getType())) {
    if (tile.getRank() > 1)
      alignment = std::gcd(alignment, tile.getShape().back());
  } else {
    auto [strides, offset] = cast<MemRefType>(memory.getType()).getStridesAndOffset();
    // A column that is broadcast, or every second element: neighbours are apart.
    if (strides.back() != 1)
      return 1;
    // Dynamic strides are multiples of 16 bytes (the contract of a launch), or `aligned` is false.
    for (int64_t stride : ArrayRef(strides).drop_back())
      if (!ShapedType::isDynamic(stride))
        alignment = std::gcd(alignment, stride);
  }
  return std::gcd(alignment, getKnownDivisor(indices.back()));
}

/// The most elements from register `first` on, of `run` neighbours, that are aligned and inside or
/// outside of the limits together.
int64_t AccessPlan::getAccessSize(int64_t first, int64_t run, int64_t alignment) const {
  int64_t size = std::gcd(alignment, columns->getOffsets()[first]);
  if (columnLimit)
    size = std::gcd(size, getKnownDivisor(columnLimit));
  if (limit && !hasRows)
    size = std::gcd(size, getKnownDivisor(limit));
  while (size > run)
    size /= 2;
  ArrayRef<int64_t> offsets = fragmentColumns->getOffsets();
  auto isUniform = [&] {
    return llvm::all_of(fragmentColumns->getBases(), [&](int64_t base) {
      return llvm::all_equal(llvm::map_range(offsets.slice(first, size), [&](int64_t offset) {
        return base + offset < accessedColumns;
      }));
    });
  };
  while (size > 1 && !isUniform())
    size /= 2;
  return size;
}

AccessGuard AccessPlan::getGuard(int64_t first, int64_t row, int64_t column) const {
  AccessGuard guard;
  if (limit)
    guard.limit = hasRows ? row : column;
  if (columnLimit)
    guard.columnLimit = column;
  int64_t offset = fragmentColumns->getOffsets()[first];
  SmallVector<int64_t> bases = fragmentColumns->getBases();
  auto isInside = [&](int64_t base) { return base + offset < accessedColumns; };
  if (llvm::none_of(bases, isInside))
    guard = {{}, {}, {}, /*isNever=*/true};
  else if (!llvm::all_of(bases, isInside))
    guard.fragmentColumn = offset;
  return guard;
}

std::optional<AccessGuard> AccessPlan::getCommonGuard() const {
  AccessGuard common;
  for (ArrayRef<Access> group : groups) {
    const AccessGuard &guard = group.front().guard;
    if (!guard.limit || guard.columnLimit || guard.fragmentColumn || guard.isNever)
      return std::nullopt;
    common.limit = std::max(common.limit.value_or(*guard.limit), *guard.limit);
  }
  return common;
}

bool AccessPlan::formAccesses(bool ofWords) {
  unitType = ofWords ? IntegerType::get(op->getContext(), 32) : getElementUnit();
  elementsPerUnit = ofWords ? 4 : 1;
  groups.clear();
  int64_t alignment = std::gcd(getRowAlignment(), columns->getBaseDivisor());
  ArrayRef<int64_t> x = columns->getOffsets(), y = rows->getOffsets();
  int64_t count = x.size();
  for (int64_t first = 0; first < count;) {
    int64_t run = 1;
    while (first + run < count && x[first + run] == x[first] + run && y[first + run] == y[first])
      ++run;
    int64_t size = getAccessSize(first, run, alignment);
    if (ofWords && (size % 4 != 0 || first % 4 != 0))
      return false;
    Access access{first, size, y[first], x[first], getGuard(first, y[first], x[first])};
    auto *group = llvm::find_if(groups, [&](const SmallVector<Access> &other) {
      return other.front().guard == access.guard;
    });
    if (group == groups.end())
      group = &groups.emplace_back();
    group->push_back(access);
    first += size;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Units
//===----------------------------------------------------------------------===//

VectorType AccessPlan::getUnitsType() const {
  return VectorType::get({fragment.getLayout().getNumRegisters() / elementsPerUnit}, unitType);
}

Value AccessPlan::toUnits(OpBuilder &builder, Value vector) const {
  VectorType type = getUnitsType();
  if (vector.getType() == type)
    return vector;
  if (fragment.getElementType().isInteger(1))
    return arith::ExtUIOp::create(builder, loc, type, vector);
  return vector::BitCastOp::create(builder, loc, type, vector);
}

Value AccessPlan::fromUnits(OpBuilder &builder, Value units) const {
  VectorType type = fragment.getLaneType();
  if (units.getType() == type)
    return units;
  if (!fragment.getElementType().isInteger(1))
    return vector::BitCastOp::create(builder, loc, type, units);
  Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(units.getType()));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, units, zero);
}

//===----------------------------------------------------------------------===//
// Addresses and conditions
//===----------------------------------------------------------------------===//

/// Indices are below 2^31 (the contract of a launch), so that sums of 32 bits extend to addresses
/// term by term.
Value AccessPlan::add(OpBuilder &builder, Value a, Value b) const {
  return b ? arith::AddIOp::create(builder, loc, a, b, arith::IntegerOverflowFlags::nsw).getResult()
           : a;
}

Value AccessPlan::addConstant(OpBuilder &builder, Value a, int64_t value) const {
  return value == 0 ? a : add(builder, a, arith::ConstantIndexOp::create(builder, loc, value));
}

void AccessPlan::emitBases(OpBuilder &builder) {
  columnBase = add(builder, indices.back(), columns->emitBase(builder, loc));
  if (hasRows)
    rowBase = add(builder, indices[indices.size() - 2], rows->emitBase(builder, loc));
  if (accessedColumns < fragment.getColumns())
    fragmentColumnBase = fragmentColumns->emitBase(builder, loc);
}

Value AccessPlan::emitGuard(OpBuilder &builder, const AccessGuard &guard) const {
  Value result;
  auto require = [&](Value index, int64_t offset, Value bound) {
    Value inside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                         addConstant(builder, index, offset), bound);
    result = result ? arith::AndIOp::create(builder, loc, result, inside).getResult() : inside;
  };
  if (guard.limit)
    require(hasRows ? rowBase : columnBase, *guard.limit, limit);
  if (guard.columnLimit)
    require(columnBase, *guard.columnLimit, columnLimit);
  // A lane without a base is the same for all: then the guard is known.
  if (guard.fragmentColumn)
    require(fragmentColumnBase, 0,
            arith::ConstantIndexOp::create(builder, loc, accessedColumns - *guard.fragmentColumn));
  return result;
}

SmallVector<Value> AccessPlan::emitIndices(OpBuilder &builder, const Access &access,
                                           int64_t element) const {
  SmallVector<Value> result(indices);
  result.back() = addConstant(builder, columnBase, access.column + element);
  if (hasRows)
    result[result.size() - 2] = addConstant(builder, rowBase, access.row);
  return result;
}

Value AccessPlan::emitIsFirst(OpBuilder &builder) const {
  auto constant = [&](int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value).getResult();
  };
  Value result;
  auto require = [&](ArrayRef<int64_t> rowSteps, ArrayRef<int64_t> columnSteps,
                     llvm::function_ref<Value()> makeNumber) {
    int64_t mask = 0;
    for (size_t bit = 0; bit < columnSteps.size(); ++bit)
      if (rowSteps[bit] == 0 && columnSteps[bit] == 0)
        mask |= int64_t(1) << bit;
    if (mask == 0)
      return;
    Value bits = arith::AndIOp::create(builder, loc, makeNumber(), constant(mask));
    Value isZero = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, bits, constant(0));
    result = result ? arith::AndIOp::create(builder, loc, result, isZero).getResult() : isZero;
  };
  require(rows->getLaneSteps(), columns->getLaneSteps(),
          [&] { return LaneIdOp::create(builder, loc).getResult(); });
  require(rows->getWarpSteps(), columns->getWarpSteps(),
          [&] { return WarpIdOp::create(builder, loc).getResult(); });
  return result;
}

} // namespace sage::tile
