// Distribution of loads and stores: the widest accesses that layout and alignment allow.

#include "AccessPlan.h"
#include "Distribute.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sage::tile {
namespace {

Value insert(OpBuilder &builder, Location loc, Value part, Value into, int64_t offset) {
  return vector::InsertStridedSliceOp::create(builder, loc, part, into, ArrayRef<int64_t>{offset},
                                              ArrayRef<int64_t>{1});
}

Value extract(OpBuilder &builder, Location loc, Value from, int64_t offset, int64_t size) {
  if (cast<VectorType>(from.getType()).getNumElements() == size)
    return from;
  return vector::ExtractStridedSliceOp::create(builder, loc, from, ArrayRef<int64_t>{offset},
                                               ArrayRef<int64_t>{size}, ArrayRef<int64_t>{1});
}

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

bool hasOptions(LoadOp op) {
  return op.getLimit() || op.getColumnLimit() || op.getColumns() || op.getMap();
}

/// The parts of one load.
class Loader {
public:
  Loader(LoadOp op, const AccessPlan &plan)
      : op(op), loc(op.getLoc()), plan(plan), isVolatile(isAccumulator(op)) {}

  /// All accesses, in the order of the groups. As a rule all tokens of a fragment exist and rows
  /// are aligned: loads of a block without branches are in flight together.
  SmallVector<Value> load(OpBuilder &builder) {
    ArrayRef<SmallVector<Access>> groups = plan.getGroups();
    auto loadGroups = [&](OpBuilder &inner) {
      SmallVector<Value> parts;
      for (ArrayRef<Access> group : groups)
        llvm::append_range(parts, load(inner, group));
      return parts;
    };
    std::optional<AccessGuard> common = plan.getCommonGuard();
    if (groups.size() == 1 || !plan.getAligned() || !common)
      return loadGroups(builder);
    Value inside = plan.emitGuard(builder, *common);
    auto branch = scf::IfOp::create(
        builder, loc, arith::AndIOp::create(builder, loc, inside, plan.getAligned()),
        [&](OpBuilder &inner, Location) {
          SmallVector<Value> parts;
          for (ArrayRef<Access> group : groups)
            llvm::append_range(parts, loadWide(inner, group));
          scf::YieldOp::create(inner, loc, parts);
        },
        [&](OpBuilder &inner, Location) { scf::YieldOp::create(inner, loc, loadGroups(inner)); });
    return SmallVector<Value>(branch.getResults());
  }

private:
  /// The accesses of `group` as far as their guard holds, zeros otherwise.
  SmallVector<Value> load(OpBuilder &builder, ArrayRef<Access> group) {
    const AccessGuard &guard = group.front().guard;
    if (guard.isNever)
      return zeros(builder, group);
    if (guard.isAlways())
      return loadAligned(builder, group);
    auto branch = scf::IfOp::create(
        builder, loc, plan.emitGuard(builder, guard),
        [&](OpBuilder &inner, Location) {
          scf::YieldOp::create(inner, loc, loadAligned(inner, group));
        },
        [&](OpBuilder &inner, Location) { scf::YieldOp::create(inner, loc, zeros(inner, group)); });
    return SmallVector<Value>(branch.getResults());
  }

  SmallVector<Value> zeros(OpBuilder &builder, ArrayRef<Access> group) {
    return llvm::map_to_vector(group, [&](const Access &access) -> Value {
      return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(plan.getType(access)));
    });
  }
  SmallVector<Value> loadWide(OpBuilder &builder, ArrayRef<Access> group) {
    return llvm::map_to_vector(group, [&](const Access &access) -> Value {
      return LaneLoadOp::create(builder, loc, plan.getType(access), op.getSource(),
                                plan.emitIndices(builder, access), isVolatile);
    });
  }
  Value loadElements(OpBuilder &builder, const Access &access) {
    auto elementType = VectorType::get({1}, plan.getElementUnit());
    auto joinedType = VectorType::get({access.size}, plan.getElementUnit());
    Value joined = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(joinedType));
    for (int64_t i = 0; i < access.size; ++i) {
      Value element = LaneLoadOp::create(builder, loc, elementType, op.getSource(),
                                         plan.emitIndices(builder, access, i), isVolatile);
      joined = insert(builder, loc, element, joined, i);
    }
    VectorType type = plan.getType(access);
    return joinedType == type ? joined
                              : vector::BitCastOp::create(builder, loc, type, joined).getResult();
  }
  SmallVector<Value> loadAligned(OpBuilder &builder, ArrayRef<Access> group) {
    bool isWide = llvm::any_of(group, [](const Access &access) { return access.size > 1; });
    if (!plan.getAligned() || !isWide)
      return loadWide(builder, group);
    auto branch = scf::IfOp::create(
        builder, loc, plan.getAligned(),
        [&](OpBuilder &inner, Location) {
          scf::YieldOp::create(inner, loc, loadWide(inner, group));
        },
        [&](OpBuilder &inner, Location) {
          scf::YieldOp::create(inner, loc, llvm::map_to_vector(group, [&](const Access &access) {
                                 return loadElements(inner, access);
                               }));
        });
    return SmallVector<Value>(branch.getResults());
  }

  LoadOp op;
  Location loc;
  const AccessPlan &plan;
  bool isVolatile;
};

struct DistributeLoad : OpConversionPattern<LoadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(LoadOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FailureOr<AccessPlan> plan = AccessPlan::get(op, op.getSource(), op.getResult().getType());
    if (failed(plan))
      return failure();
    Location loc = op.getLoc();
    plan->emitBases(rewriter);
    Loader loader(op, *plan);
    VectorType type = plan->getUnitsType();
    SmallVector<Value> parts = loader.load(rewriter);
    Value units = parts.front();
    if (parts.size() > 1) {
      units = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(type));
      ArrayRef<Value> rest = parts;
      for (ArrayRef<Access> group : plan->getGroups())
        for (const Access &access : group) {
          units = insert(rewriter, loc, rest.front(), units, plan->getOffset(access));
          rest = rest.drop_front();
        }
    }
    rewriter.replaceOp(op, plan->fromUnits(rewriter, units));
    return success();
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
    int64_t elementBits = fragment.getElementType().getIntOrFloatBitWidth();
    int64_t elementBytes = elementBits / 8;
    auto tile = dyn_cast<SharedType>(op.getSource().getType());
    if (!tile || tile.getRank() != 2 || hasOptions(op) || (elementBits != 8 && elementBits != 16))
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

/// The parts of one store.
class Storer {
public:
  Storer(StoreOp op, const AccessPlan &plan, Value units)
      : op(op), loc(op.getLoc()), plan(plan), units(units) {}

  void store(OpBuilder &builder, ArrayRef<Access> group) {
    const AccessGuard &guard = group.front().guard;
    if (guard.isNever)
      return;
    if (guard.isAlways())
      return storeAligned(builder, group);
    auto branch = scf::IfOp::create(builder, loc, plan.emitGuard(builder, guard),
                                    /*withElseRegion=*/false);
    OpBuilder inner = branch.getThenBodyBuilder(builder.getListener());
    storeAligned(inner, group);
  }

private:
  void storeWide(OpBuilder &builder, ArrayRef<Access> group) {
    for (const Access &access : group)
      LaneStoreOp::create(builder, loc, getPart(builder, access), op.getTarget(),
                          plan.emitIndices(builder, access));
  }
  Value getPart(OpBuilder &builder, const Access &access) {
    return extract(builder, loc, units, plan.getOffset(access),
                   plan.getType(access).getNumElements());
  }
  void storeElements(OpBuilder &builder, ArrayRef<Access> group) {
    for (const Access &access : group) {
      Value part = getPart(builder, access);
      auto elementsType = VectorType::get({access.size}, plan.getElementUnit());
      if (part.getType() != elementsType)
        part = vector::BitCastOp::create(builder, loc, elementsType, part);
      for (int64_t i = 0; i < access.size; ++i)
        LaneStoreOp::create(builder, loc, extract(builder, loc, part, i, 1), op.getTarget(),
                            plan.emitIndices(builder, access, i));
    }
  }
  void storeAligned(OpBuilder &builder, ArrayRef<Access> group) {
    bool isWide = llvm::any_of(group, [](const Access &access) { return access.size > 1; });
    if (!plan.getAligned() || !isWide)
      return storeWide(builder, group);
    auto branch = scf::IfOp::create(builder, loc, plan.getAligned(), /*withElseRegion=*/true);
    OpBuilder wide = branch.getThenBodyBuilder(builder.getListener());
    OpBuilder narrow = branch.getElseBodyBuilder(builder.getListener());
    storeWide(wide, group);
    storeElements(narrow, group);
  }

  StoreOp op;
  Location loc;
  const AccessPlan &plan;
  Value units;
};

struct DistributeStore : OpConversionPattern<StoreOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(StoreOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FailureOr<AccessPlan> plan = AccessPlan::get(op, op.getTarget(), op.getValue().getType());
    if (failed(plan))
      return failure();
    plan->emitBases(rewriter);
    Storer storer(op, *plan, plan->toUnits(rewriter, adaptor.getValue()));
    OpBuilder::InsertionGuard guard(rewriter);
    if (Value isFirst = plan->emitIsFirst(rewriter)) {
      auto branch = scf::IfOp::create(rewriter, op.getLoc(), isFirst, /*withElseRegion=*/false);
      rewriter.setInsertionPointToStart(branch.thenBlock());
    }
    for (ArrayRef<Access> group : plan->getGroups())
      storer.store(rewriter, group);
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void populateDistributeMemoryPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<DistributeLoad, DistributeLoadOperandA, DistributeStore>(converter,
                                                                        patterns.getContext());
}

} // namespace sage::tile
