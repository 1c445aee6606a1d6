// Known errors, to test the tests.

#include "Maps.h"
#include "TileAccesses.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/IR/Matchers.h"

namespace sage::tile {
#define GEN_PASS_DEF_INJECTFAULT
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

//===----------------------------------------------------------------------===//
// Recognition
//===----------------------------------------------------------------------===//

bool isInProducer(Operation *op) {
  auto specialize = op->getParentOfType<SpecializeOp>();
  return specialize && specialize.getProducer().isAncestor(op->getParentRegion());
}

bool isInLoop(Operation *op) { return bool(op->getParentOfType<scf::ForOp>()); }

/// A row of factors in memory, one for each column: `isShared` for the key scales, else the scales
/// of V.
bool loadsColumnFactors(Value value, bool isShared) {
  auto load = value.getDefiningOp<LoadOp>();
  return load && isa<SharedType>(load.getSource().getType()) == isShared &&
         load.getResult().getType().getRows() == 1 &&
         load.getResult().getType().getElementType().isF32();
}

/// The select of a mask: keeps a score where the column is below a limit.
arith::SelectOp findMask(MapOp map) {
  if (!map.getPositions())
    return {};
  auto select = getYieldedValue(map).getDefiningOp<arith::SelectOp>();
  if (!select || !getInputNumber(map, select.getTrueValue()))
    return {};
  auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>();
  bool isMask = compare && compare.getLhs() == map.getBody().getArgument(1) &&
                compare.getPredicate() == arith::CmpIPredicate::slt;
  return isMask ? select : arith::SelectOp();
}

/// Whether `map` rescales an accumulated output: its result is accumulated into, or it adds a
/// product.
bool isRescale(MapOp map) {
  auto isFloatProduct = [](Value value) {
    auto type = dyn_cast<FragmentType>(value.getType());
    return type && isa<FloatType>(type.getElementType()) &&
           isa_and_nonnull<MmaOp, WaitOp>(value.getDefiningOp());
  };
  // Masks and exponentials of float products are none.
  if (!isa_and_nonnull<arith::MulFOp, math::FmaOp>(getYieldedValue(map).getDefiningOp()))
    return false;
  bool isAccumulator = llvm::any_of(map->getUsers(), [&](Operation *user) {
    auto product = dyn_cast<MmaOp>(user);
    return product && product.getAccumulator() == map.getResult();
  });
  return isAccumulator || llvm::any_of(map.getInputs(), isFloatProduct);
}

//===----------------------------------------------------------------------===//
// Faults: each returns whether it applied
//===----------------------------------------------------------------------===//

/// Applies `plant` to every `Op` of the kernel, until one returns true if `once`.
template <typename Op>
bool plantIn(KernelOp kernel, bool once, llvm::function_ref<bool(Op)> plant) {
  SmallVector<Op> ops;
  kernel.walk<WalkOrder::PreOrder>([&](Op op) { ops.push_back(op); });
  bool planted = false;
  for (Op op : ops) {
    planted |= plant(op);
    if (planted && once)
      break;
  }
  return planted;
}

void replaceArgument(MapOp map, unsigned input, double value) {
  Block &body = map.getBody().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  BlockArgument argument = body.getArgument(input + (map.getPositions() ? 2 : 0));
  argument.replaceAllUsesWith(createFloat(builder, map.getLoc(), value));
}

bool plantWrongScaleIndex(KernelOp kernel) {
  return plantIn<LoadOp>(kernel, false, [](LoadOp load) {
    if (!loadsColumnFactors(load.getResult(), /*isShared=*/true))
      return false;
    AffineExpr column = getAffineDimExpr(1, load.getContext());
    int64_t columns = load.getResult().getType().getColumns();
    load.setMapAttr(AffineMapAttr::get(AffineMap::get(2, 0, columns - 1 - column)));
    return true;
  });
}

bool plantMissingRescale(KernelOp kernel) {
  return plantIn<MapOp>(kernel, false, [](MapOp map) {
    if (!isInLoop(map) || !isRescale(map))
      return false;
    bool planted = false;
    for (auto [i, input] : llvm::enumerate(map.getInputs()))
      if (auto type = cast<FragmentType>(input.getType());
          type.getColumns() == 1 && type.getElementType().isF32()) {
        replaceArgument(map, i, 1.0);
        planted = true;
      }
    return planted;
  });
}

bool plantMaskOffByOne(KernelOp kernel) {
  return plantIn<MapOp>(kernel, false, [](MapOp map) {
    arith::SelectOp mask = findMask(map);
    if (!mask)
      return false;
    mask.getCondition().getDefiningOp<arith::CmpIOp>().setPredicate(arith::CmpIPredicate::sle);
    return true;
  });
}

bool plantUnmaskedTail(KernelOp kernel) {
  return plantIn<MapOp>(kernel, false, [](MapOp map) {
    arith::SelectOp mask = findMask(map);
    if (!mask)
      return false;
    mask.replaceAllUsesWith(mask.getTrueValue());
    return true;
  });
}

bool plantSwappedValueOrder(KernelOp kernel) {
  return plantIn<ConvertOp>(kernel, false, [](ConvertOp convert) {
    std::optional<AffineMap> order = convert.getOrder();
    if (!order)
      return false;
    AffineExpr position = getAffineDimExpr(0, convert.getContext());
    AffineExpr neighbour = position + 1 - (position % 2) * 2;
    convert.setOrderAttr(AffineMapAttr::get(order->compose(AffineMap::get(1, 0, neighbour))));
    return true;
  });
}

bool plantDroppedLseCorrection(KernelOp kernel) {
  return plantIn<MapOp>(kernel, false, [](MapOp map) {
    if (!isElementwise<arith::AddFOp>(map) || !map.getInputs()[1].getDefiningOp<LoadOp>())
      return false;
    map.getResult().replaceAllUsesWith(map.getInputs()[0]);
    return true;
  });
}

bool plantMissingValueScale(KernelOp kernel) {
  return plantIn<MapOp>(kernel, false, [](MapOp map) {
    bool planted = false;
    for (auto [i, input] : llvm::enumerate(map.getInputs()))
      if (loadsColumnFactors(input, /*isShared=*/false)) {
        replaceArgument(map, i, 1.0);
        planted = true;
      }
    return planted;
  });
}

bool plantWrongTileOrder(KernelOp kernel) {
  return plantIn<arith::SubIOp>(kernel, false, [](arith::SubIOp sub) {
    auto loop = sub->getParentOfType<scf::ForOp>();
    if (!loop || sub.getRhs() != loop.getInductionVar())
      return false;
    sub.replaceAllUsesWith(sub.getRhs());
    return true;
  });
}

bool plantStaleStage(KernelOp kernel) {
  return plantIn<StageOp>(kernel, true, [](StageOp stage) {
    bool isCopied =
        llvm::any_of(stage->getUsers(), [](Operation *user) { return isa<CopyAsyncOp>(user); });
    if (!isInLoop(stage) || isInProducer(stage) || isCopied)
      return false;
    OpBuilder builder(stage);
    Location loc = stage.getLoc();
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    Value stages =
        arith::ConstantIndexOp::create(builder, loc, stage.getSource().getType().getShape()[0]);
    Value next = arith::AddIOp::create(builder, loc, stage.getIndex(), one);
    stage.getIndexMutable().set(arith::RemUIOp::create(builder, loc, next, stages));
    return true;
  });
}

/// Erases the first wait for a barrier in a loop of the producer or of the consumers.
bool eraseBarrierWait(KernelOp kernel, bool ofProducer) {
  return plantIn<BarrierWaitOp>(kernel, true, [&](BarrierWaitOp wait) {
    if (!isInLoop(wait) || isInProducer(wait) != ofProducer)
      return false;
    wait.erase();
    return true;
  });
}

/// Erases the first `Op` in a loop of a kernel without a producer.
template <typename Op> bool eraseInLoop(KernelOp kernel) {
  return plantIn<Op>(kernel, true, [](Op op) {
    if (!isInLoop(op))
      return false;
    op.erase();
    return true;
  });
}

bool plantMissingFullWait(KernelOp kernel) {
  return eraseBarrierWait(kernel, /*ofProducer=*/false) || eraseInLoop<WaitGroupOp>(kernel);
}

bool plantMissingEmptyWait(KernelOp kernel) {
  return eraseBarrierWait(kernel, /*ofProducer=*/true) || eraseInLoop<SyncOp>(kernel);
}

struct Fault {
  StringLiteral kind;
  bool (*plant)(KernelOp);
};

constexpr Fault faults[] = {
    {"wrong-scale-index", plantWrongScaleIndex},
    {"missing-rescale", plantMissingRescale},
    {"mask-off-by-one", plantMaskOffByOne},
    {"swapped-value-order", plantSwappedValueOrder},
    {"dropped-lse-correction", plantDroppedLseCorrection},
    {"missing-value-scale", plantMissingValueScale},
    {"wrong-tile-order", plantWrongTileOrder},
    {"unmasked-tail", plantUnmaskedTail},
    {"stale-stage", plantStaleStage},
    {"missing-full-wait", plantMissingFullWait},
    {"missing-empty-wait", plantMissingEmptyWait},
};

struct InjectFault : impl::InjectFaultBase<InjectFault> {
  using InjectFaultBase::InjectFaultBase;

  void runOnOperation() override {
    KernelOp kernel = getOperation();
    if (!kernelName.empty() && kernel.getSymName() != kernelName)
      return;
    const auto *fault =
        llvm::find_if(faults, [&](const Fault &fault) { return fault.kind == kind; });
    if (fault == std::end(faults)) {
      InFlightDiagnostic diagnostic =
          kernel.emitError("kind of fault must be a known one, but got '")
          << kind.getValue() << "'";
      diagnostic.attachNote() << "known are "
                              << llvm::join(llvm::map_range(faults,
                                                            [](const Fault &fault) {
                                                              return fault.kind.str();
                                                            }),
                                            ", ");
      return signalPassFailure();
    }
    if (!fault->plant(kernel)) {
      kernel.emitError("kernel must have what fault '") << kind.getValue() << "' breaks";
      return signalPassFailure();
    }
    eraseDeadOps(kernel);
  }
};

} // namespace
} // namespace sage::tile
