// Distribution of loads and stores: the widest accesses that layout and alignment allow.

#include "Distribute.h"
#include "LaneMapping.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

#include <numeric>

using namespace mlir;

namespace sage::tile {
namespace {

/// A number that divides `index` for certain (0: the index is 0).
int64_t getKnownDivisor(Value index, int depth = 0) {
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

/// Registers [first, first + size) of a lane at neighbouring addresses.
struct Access {
  int64_t first;
  int64_t size;
  /// Offsets from the lane's base in the two mapped dimensions.
  int64_t row;
  int64_t column;
};

/// How the elements of a fragment lie in memory.
class AccessPlan {
public:
  template <typename Op>
  static FailureOr<AccessPlan> get(Op op, Value memory, FragmentType fragment) {
    AffineMap map = op.getAccessMap();
    AccessPlan plan(op, memory, op.getIndices(), op.getLimit());
    LayoutAttr layout = fragment.getLayout();
    unsigned last = map.getNumResults() - 1;
    auto columns = LaneFunction::get(
        layout, [&](Position p) { return evaluate(map.getResult(last), {p.first, p.second}); });
    auto rows = LaneFunction::get(layout, [&](Position p) -> std::optional<int64_t> {
      return last == 0 ? std::optional<int64_t>(0)
                       : evaluate(map.getResult(0), {p.first, p.second});
    });
    if (failed(columns) || failed(rows))
      return op.emitOpError(
                 "address must be a sum of what the lane and the register contribute, but ")
             << AffineMapAttr::get(map) << " of " << layout << " is not";
    plan.columns = *columns;
    plan.rows = *rows;
    plan.hasRows = last != 0;
    plan.elementType = fragment.getElementType();
    if (failed(plan.formAccesses(/*gathersBytes=*/false)) &&
        (!std::is_same_v<Op, LoadOp> || failed(plan.formAccesses(/*gathersBytes=*/true))))
      return op.emitOpError("8-bit elements must lie in aligned words, but ")
             << AffineMapAttr::get(map) << " of " << layout << " splits them";
    return plan;
  }

  ArrayRef<Access> getAccesses() const { return accesses; }
  bool hasLimit() const { return bool(limit); }

  VectorType getType(const Access &access) const {
    if (gathersBytes)
      return VectorType::get({1}, IntegerType::get(elementType.getContext(), 8));
    if (elementType.getIntOrFloatBitWidth() == 8)
      return VectorType::get({access.size / 4}, IntegerType::get(elementType.getContext(), 32));
    return VectorType::get({access.size}, elementType);
  }
  /// Position of the access in the lane's vector.
  int64_t getOffset(const Access &access) const {
    return elementType.getIntOrFloatBitWidth() == 8 && !gathersBytes ? access.first / 4
                                                                     : access.first;
  }
  /// The lane's vector while its parts are joined: bytes of a transposed tile are joined one by
  /// one.
  VectorType getJoinedType(VectorType laneType) const {
    if (!gathersBytes)
      return laneType;
    return VectorType::get({laneType.getNumElements() * 4},
                           IntegerType::get(elementType.getContext(), 8));
  }

  /// Whether two accesses are below the limit together.
  bool shareLimit(const Access &a, const Access &b) const {
    return limitOffset(a) == limitOffset(b) && (hasRows || a.size == b.size);
  }

  /// Emits the lane's bases; the builder's position must dominate all accesses.
  void emitBases(OpBuilder &builder) {
    columnBase = add(builder, indices.back(), columns->emitBase(builder, loc));
    if (hasRows)
      rowBase = add(builder, indices[indices.size() - 2], rows->emitBase(builder, loc));
  }
  Value emitBelowLimit(OpBuilder &builder, const Access &access) const {
    Value index = addConstant(builder, hasRows ? rowBase : columnBase, limitOffset(access));
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, index, limit);
  }
  SmallVector<Value> emitIndices(OpBuilder &builder, const Access &access) const {
    SmallVector<Value> result(indices);
    result.back() = addConstant(builder, columnBase, access.column);
    if (hasRows)
      result[result.size() - 2] = addConstant(builder, rowBase, access.row);
    return result;
  }
  /// Whether the executing lane is the first of those with the same addresses; null if all differ.
  Value emitIsFirst(OpBuilder &builder) const {
    Value result;
    auto require = [&](ArrayRef<int64_t> rowSteps, ArrayRef<int64_t> columnSteps,
                       llvm::function_ref<Value()> makeNumber) {
      int64_t mask = 0;
      for (size_t bit = 0; bit < columnSteps.size(); ++bit)
        if (rowSteps[bit] == 0 && columnSteps[bit] == 0)
          mask |= int64_t(1) << bit;
      if (mask == 0)
        return;
      Value bits = arith::AndIOp::create(builder, loc, makeNumber(), constant(builder, mask));
      Value isZero =
          arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, bits, constant(builder, 0));
      result = result ? arith::AndIOp::create(builder, loc, result, isZero).getResult() : isZero;
    };
    require(rows->getLaneSteps(), columns->getLaneSteps(),
            [&] { return LaneIdOp::create(builder, loc).getResult(); });
    require(rows->getWarpSteps(), columns->getWarpSteps(),
            [&] { return WarpIdOp::create(builder, loc).getResult(); });
    return result;
  }

private:
  AccessPlan(Operation *op, Value memory, ValueRange indices, Value limit)
      : loc(op->getLoc()), memory(memory), indices(indices), limit(limit) {}

  int64_t limitOffset(const Access &access) const { return hasRows ? access.row : access.column; }
  Value constant(OpBuilder &builder, int64_t value) const {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  /// Indices are below 2^31 (the contract of a launch), so that sums of 32 bits extend to addresses
  /// term by term.
  Value add(OpBuilder &builder, Value a, Value b) const {
    return b ? arith::AddIOp::create(builder, loc, a, b, arith::IntegerOverflowFlags::nsw)
                   .getResult()
             : a;
  }
  Value addConstant(OpBuilder &builder, Value a, int64_t value) const {
    return value == 0 ? a : add(builder, a, constant(builder, value));
  }

  /// Elements that divide the address of every row's first element, up to 16 bytes.
  int64_t getRowAlignment() const {
    int64_t elementBytes = elementType.getIntOrFloatBitWidth() / 8;
    int64_t alignment = 16 / elementBytes;
    if (auto tile = dyn_cast<SharedType>(memory.getType())) {
      if (tile.getRank() > 1)
        alignment = std::gcd(alignment, tile.getShape().back());
    } else {
      auto [strides, offset] = cast<MemRefType>(memory.getType()).getStridesAndOffset();
      // Dynamic strides are multiples of 16 bytes (the contract of a launch).
      for (int64_t stride : ArrayRef(strides).drop_back())
        if (!ShapedType::isDynamic(stride))
          alignment = std::gcd(alignment, stride);
    }
    return std::gcd(alignment, getKnownDivisor(indices.back()));
  }

  /// With `gathersBytes` every byte is an access of its own, as a transposed tile of 8-bit elements
  /// needs.
  LogicalResult formAccesses(bool gathersBytes) {
    this->gathersBytes = gathersBytes;
    accesses.clear();
    bool packed = elementType.getIntOrFloatBitWidth() == 8;
    if (gathersBytes && (!packed || limit))
      return failure();
    int64_t alignment = std::gcd(getRowAlignment(), columns->getBaseDivisor());
    ArrayRef<int64_t> x = columns->getOffsets(), y = rows->getOffsets();
    int64_t count = x.size();
    for (int64_t first = 0; first < count;) {
      int64_t run = 1;
      while (first + run < count && x[first + run] == x[first] + run && y[first + run] == y[first])
        ++run;
      int64_t size = std::gcd(alignment, x[first]);
      while (size > run)
        size /= 2;
      // Elements of one access are below the limit together.
      if ((limit && !hasRows) || gathersBytes)
        size = 1;
      if (packed && !gathersBytes && (size % 4 != 0 || first % 4 != 0))
        return failure();
      accesses.push_back({first, size, y[first], x[first]});
      first += size;
    }
    return success();
  }

  Location loc;
  Value memory;
  SmallVector<Value> indices;
  Value limit;
  std::optional<LaneFunction> rows, columns;
  bool hasRows = false, gathersBytes = false;
  Type elementType;
  SmallVector<Access> accesses;
  Value rowBase, columnBase;
};

//===----------------------------------------------------------------------===//
// load
//===----------------------------------------------------------------------===//

bool isAccumulator(LoadOp op) {
  return isa<SharedType>(op.getSource().getType()) &&
         llvm::any_of(op.getResult().getUses(), [](OpOperand &use) {
           if (auto mma = dyn_cast<MmaOp>(use.getOwner()))
             return use.get() == mma.getAccumulator();
           auto mma = dyn_cast<MmaAsyncOp>(use.getOwner());
           return mma && use.get() == mma.getAccumulator();
         });
}

struct DistributeLoad : OpConversionPattern<LoadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(LoadOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FragmentType fragment = op.getResult().getType();
    FailureOr<AccessPlan> plan = AccessPlan::get(op, op.getSource(), fragment);
    if (failed(plan))
      return failure();
    plan->emitBases(rewriter);
    Location loc = op.getLoc();
    bool isVolatile = isAccumulator(op);
    ArrayRef<Access> accesses = plan->getAccesses();
    SmallVector<Value> parts;
    for (size_t first = 0, end; first < accesses.size(); first = end) {
      end = first + 1;
      if (!plan->hasLimit()) {
        parts.push_back(load(rewriter, op, *plan, accesses[first], isVolatile));
        continue;
      }
      while (end < accesses.size() && plan->shareLimit(accesses[first], accesses[end]))
        ++end;
      auto together = accesses.slice(first, end - first);
      Value inside = plan->emitBelowLimit(rewriter, accesses[first]);
      auto branch = scf::IfOp::create(
          rewriter, loc, inside,
          [&](OpBuilder &builder, Location) {
            scf::YieldOp::create(builder, loc,
                                 llvm::map_to_vector(together, [&](const Access &access) {
                                   return load(builder, op, *plan, access, isVolatile);
                                 }));
          },
          [&](OpBuilder &builder, Location) {
            scf::YieldOp::create(builder, loc,
                                 llvm::map_to_vector(together, [&](const Access &access) -> Value {
                                   return arith::ConstantOp::create(
                                       builder, loc, builder.getZeroAttr(plan->getType(access)));
                                 }));
          });
      llvm::append_range(parts, branch.getResults());
    }
    rewriter.replaceOp(op, join(rewriter, loc, *plan, parts, fragment.getLaneType()));
    return success();
  }

private:
  static Value load(OpBuilder &builder, LoadOp op, const AccessPlan &plan, const Access &access,
                    bool isVolatile) {
    return LaneLoadOp::create(builder, op.getLoc(), plan.getType(access), op.getSource(),
                              plan.emitIndices(builder, access), isVolatile);
  }

  static Value join(OpBuilder &builder, Location loc, const AccessPlan &plan, ArrayRef<Value> parts,
                    VectorType type) {
    if (parts.size() == 1)
      return parts.front();
    Value result =
        arith::ConstantOp::create(builder, loc, builder.getZeroAttr(plan.getJoinedType(type)));
    for (auto [part, access] : llvm::zip_equal(parts, plan.getAccesses()))
      result = vector::InsertStridedSliceOp::create(builder, loc, part, result,
                                                    ArrayRef<int64_t>{plan.getOffset(access)},
                                                    ArrayRef<int64_t>{1});
    return result.getType() == type
               ? result
               : vector::BitCastOp::create(builder, loc, type, result).getResult();
  }
};

/// A operands from shared tiles: four 8x16-byte matrices are what a lane needs of 16 rows and 32
/// bytes.
struct DistributeLoadOperandA : OpConversionPattern<LoadOp> {
  DistributeLoadOperandA(const TypeConverter &converter, MLIRContext *context)
      : OpConversionPattern(converter, context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(LoadOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FragmentType fragment = op.getResult().getType();
    int64_t elementBytes = fragment.getElementType().getIntOrFloatBitWidth() / 8;
    auto tile = dyn_cast<SharedType>(op.getSource().getType());
    if (!tile || tile.getRank() != 2 || op.getLimit() || op.getMap() || elementBytes > 2)
      return failure();
    LayoutAttr layout = fragment.getLayout();
    int64_t warps = layout.getNumWarps();
    MLIRContext *context = op.getContext();
    LayoutAttr operand = elementBytes == 1
                             ? LayoutAttr::operandA8(context, warps, fragment.getColumns())
                             : LayoutAttr::accumulator(context, warps, fragment.getColumns());
    if (layout != operand || fragment.getColumns() * elementBytes % 32 != 0 ||
        getKnownDivisor(op.getIndices()[1]) * elementBytes % 16 != 0)
      return failure();

    Location loc = op.getLoc();
    auto constant = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(rewriter, loc, value);
    };
    // Lane l names row l mod 16 of the half l floordiv 16 of 32 bytes.
    Value lane = LaneIdOp::create(rewriter, loc);
    Value row = arith::AndIOp::create(rewriter, loc, lane, constant(15));
    row = arith::AddIOp::create(rewriter, loc, op.getIndices()[0], row);
    if (warps > 1) {
      Value first =
          arith::MulIOp::create(rewriter, loc, WarpIdOp::create(rewriter, loc), constant(16));
      row = arith::AddIOp::create(rewriter, loc, row, first);
    }
    Value half = arith::ShRUIOp::create(rewriter, loc, lane, constant(4));
    half = arith::MulIOp::create(rewriter, loc, half, constant(16 / elementBytes));
    Value column = arith::AddIOp::create(rewriter, loc, op.getIndices()[1], half);

    int64_t words = fragment.getColumns() * elementBytes / 8;
    auto wordsType = VectorType::get({words}, rewriter.getI32Type());
    Value result = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(wordsType));
    for (int64_t first = 0; first < words; first += 4) {
      Value at = arith::AddIOp::create(rewriter, loc, column, constant(first * 8 / elementBytes));
      Value part = LoadMatrixOp::create(rewriter, loc, VectorType::get({4}, rewriter.getI32Type()),
                                        op.getSource(), row, at);
      result = vector::InsertStridedSliceOp::create(rewriter, loc, part, result,
                                                    ArrayRef<int64_t>{first}, ArrayRef<int64_t>{1});
    }
    if (result.getType() != fragment.getLaneType())
      result = vector::BitCastOp::create(rewriter, loc, fragment.getLaneType(), result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// store
//===----------------------------------------------------------------------===//

struct DistributeStore : OpConversionPattern<StoreOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(StoreOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FailureOr<AccessPlan> plan = AccessPlan::get(op, op.getTarget(), op.getValue().getType());
    if (failed(plan))
      return failure();
    Location loc = op.getLoc();
    plan->emitBases(rewriter);
    OpBuilder::InsertionGuard guard(rewriter);
    if (Value isFirst = plan->emitIsFirst(rewriter)) {
      auto branch = scf::IfOp::create(rewriter, loc, isFirst, /*withElseRegion=*/false);
      rewriter.setInsertionPointToStart(branch.thenBlock());
    }
    ArrayRef<Access> accesses = plan->getAccesses();
    for (size_t first = 0, end; first < accesses.size(); first = end) {
      end = first + 1;
      OpBuilder::InsertionGuard inside(rewriter);
      if (plan->hasLimit()) {
        while (end < accesses.size() && plan->shareLimit(accesses[first], accesses[end]))
          ++end;
        Value below = plan->emitBelowLimit(rewriter, accesses[first]);
        auto branch = scf::IfOp::create(rewriter, loc, below, /*withElseRegion=*/false);
        rewriter.setInsertionPointToStart(branch.thenBlock());
      }
      for (const Access &access : accesses.slice(first, end - first))
        store(rewriter, op, *plan, access, adaptor.getValue());
    }
    rewriter.eraseOp(op);
    return success();
  }

private:
  static void store(OpBuilder &builder, StoreOp op, const AccessPlan &plan, const Access &access,
                    Value value) {
    VectorType type = plan.getType(access);
    if (value.getType() != type)
      value = vector::ExtractStridedSliceOp::create(
          builder, op.getLoc(), value, ArrayRef<int64_t>{plan.getOffset(access)},
          ArrayRef<int64_t>{type.getNumElements()}, ArrayRef<int64_t>{1});
    LaneStoreOp::create(builder, op.getLoc(), value, op.getTarget(),
                        plan.emitIndices(builder, access));
  }
};

} // namespace

void populateDistributeMemoryPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<DistributeLoad, DistributeLoadOperandA, DistributeStore>(converter,
                                                                        patterns.getContext());
}

} // namespace sage::tile
