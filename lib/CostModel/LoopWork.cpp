// Counts the work of a loop of tile operations.

#include "sage/CostModel/LoopWork.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace sage;
using namespace sage::tile;

static constexpr double lanes = 32;
/// What one instruction of a matrix product takes of a row of its operands.
static constexpr double bytesPerProductStep = 32;
/// Of ldmatrix.x4 (a warp) and of 16-byte copies (a lane).
static constexpr double bytesPerMatrixLoad = 512, bytesPerCopy = 16;

LoopWork &LoopWork::operator+=(const LoopWork &other) {
  elements += other.elements;
  products.f16 += other.products.f16;
  products.int8 += other.products.int8;
  products.int4 += other.products.int4;
  products.e4m3 += other.products.e4m3;
  special += other.special;
  fma += other.fma;
  alu += other.alu;
  convert += other.convert;
  instructions += other.instructions;
  sharedBytes += other.sharedBytes;
  chains += other.chains;
  return *this;
}

namespace {

/// Elements of a fragment that one lane holds.
double countRegisters(Type type) {
  if (auto async = dyn_cast<AsyncType>(type))
    type = async.getValueType();
  auto fragment = dyn_cast<FragmentType>(type);
  return fragment ? double(fragment.getLayout().getNumRegisters()) : 0;
}

double countBytes(Type elementType) {
  return elementType.isIndex() ? 8 : double(std::max(elementType.getIntOrFloatBitWidth(), 8u)) / 8;
}

/// Adds `count` executions of a scalar operation on every lane.
void addScalar(Operation &op, double count, LoopWork &work) {
  double LoopWork::*pipe = nullptr;
  double each = 1;
  llvm::TypeSwitch<Operation *>(&op)
      .Case<math::Exp2Op, math::TanhOp, math::LogOp, math::Log2Op>(
          [&](auto) { pipe = &LoopWork::special; })
      .Case<arith::AddFOp, arith::SubFOp, arith::MulFOp, math::FmaOp>(
          [&](auto) { pipe = &LoopWork::fma; })
      .Case<arith::SIToFPOp, arith::UIToFPOp, arith::FPToSIOp, arith::FPToUIOp, arith::TruncFOp>(
          [&](auto) { pipe = &LoopWork::convert; })
      // Free: sources have a sign and an absolute value, registers have no type.
      .Case<arith::ConstantOp, arith::NegFOp, arith::BitcastOp, arith::IndexCastOp, arith::ExtSIOp,
            arith::ExtUIOp, arith::TruncIOp, math::AbsFOp, tile::YieldOp>([&](auto) { each = 0; })
      .Case<arith::DivFOp>([&](auto) {
        // A reciprocal, and a multiplication.
        work.special += count;
        work.instructions += count;
        pipe = &LoopWork::fma;
      })
      .Default([&](auto) { pipe = &LoopWork::alu; });
  if (pipe)
    work.*pipe += each * count;
  work.instructions += each * count;
}

/// Scalars of a loop are the same for all lanes: they use the uniform path, and take issue slots.
void addUniform(Operation &op, LoopWork &work) {
  if (isa<arith::ConstantOp, arith::IndexCastOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(
          op))
    return;
  work.instructions += 1;
}

void addReduction(ReduceOp reduce, Unit unit, LoopWork &work) {
  auto source = cast<FragmentType>(reduce.getSource().getType());
  auto result = cast<FragmentType>(reduce.getResult().getType());
  double from = countRegisters(source), to = countRegisters(result);
  double merged = double(source.getRows() * source.getColumns()) /
                  double(result.getRows() * result.getColumns());
  double inLane = from - to;
  // Hopper has a maximum of three integers.
  if (reduce.getKind() == ReduceKind::MaxSI && unit == Unit::Warpgroup)
    inLane /= 2;
  double steps = to * std::max(std::log2(merged * to / from), 0.0);
  bool isSum = reduce.getKind() == ReduceKind::AddF;
  (isSum ? work.fma : work.alu) += inLane + steps;
  // Each step exchanges a register between lanes, through the path to shared memory.
  work.instructions += inLane + 2 * steps;
  work.sharedBytes += steps * lanes * 4 * double(work.warps);
}

void addProduct(Type a, SharedType b, FragmentType accumulator, bool isInt4, bool isAsync,
                LoopWork &work) {
  double rows = double(accumulator.getRows()), columns = double(accumulator.getColumns());
  double depthBytes = double(b.getShape().back()) * countBytes(b.getElementType());
  double multiplyAdds = rows * columns * double(b.getShape().back()) * (isInt4 ? 2 : 1);
  Type element = b.getElementType();
  if (isInt4)
    work.products.int4 += multiplyAdds;
  else if (element.isInteger(8))
    work.products.int8 += multiplyAdds;
  else if (element.getIntOrFloatBitWidth() == 8)
    work.products.e4m3 += multiplyAdds;
  else
    work.products.f16 += multiplyAdds;
  double bytes = columns * depthBytes + (isa<SharedType>(a) ? rows * depthBytes : 0);
  work.sharedBytes += bytes;
  double steps = depthBytes / bytesPerProductStep;
  // A warpgroup's product is one instruction a step, between a fence and a commit.
  work.instructions +=
      isAsync ? steps + 2 : rows / 16 * columns / 8 * steps + bytes / bytesPerMatrixLoad;
}

void addMemoryAccess(FragmentType fragment, Type memory, LoopWork &work) {
  double bytes = countRegisters(fragment) * countBytes(fragment.getElementType());
  // Neighbouring elements of a lane come in pairs.
  work.instructions += std::ceil(bytes / 8);
  if (isa<SharedType>(memory))
    work.sharedBytes += bytes * lanes * double(work.warps);
}

/// A constant that accumulators start from, unless it is zero, which costs nothing.
void addSplat(SplatOp splat, LoopWork &work) {
  bool startsProduct =
      llvm::any_of(splat->getUsers(), [](Operation *user) { return isa<MmaOp, MmaAsyncOp>(user); });
  if (!startsProduct || matchPattern(splat.getValue(), m_Zero()) ||
      matchPattern(splat.getValue(), m_AnyZeroFloat()))
    return;
  double loads = countRegisters(splat.getResult().getType()) / 4;
  work.instructions += loads;
  work.sharedBytes += loads * 16 * double(work.warps);
}

/// Copies that the threads of all units make themselves.
void addCopy(CopyAsyncOp copy, int64_t units, LoopWork &work) {
  double bytes = double(copy.getTarget().getType().getSizeInBytes()) / double(units);
  work.sharedBytes += bytes;
  // An address and a copy.
  work.instructions += 2 * std::ceil(bytes / (bytesPerCopy * lanes * double(work.warps)));
}

void addOperation(Operation &op, KernelOp kernel, LoopWork &work) {
  llvm::TypeSwitch<Operation *>(&op)
      .Case([&](MapOp map) {
        double count = countRegisters(map->getResult(0).getType());
        for (Operation &inner : map.getBody().front())
          addScalar(inner, count, work);
      })
      .Case([&](ReduceOp reduce) { addReduction(reduce, kernel.getUnit(), work); })
      .Case([&](ConvertOp convert) {
        // Two elements an instruction.
        double pairs = countRegisters(convert.getSource().getType()) / 2;
        work.convert += pairs;
        work.instructions += pairs;
      })
      .Case([&](MmaOp mma) {
        addProduct(mma.getA().getType(), mma.getB().getType(),
                   cast<FragmentType>(mma.getResult().getType()), mma.getInt4(), false, work);
        work.chains += 1;
      })
      .Case([&](MmaAsyncOp mma) {
        addProduct(mma.getA().getType(), mma.getB().getType(),
                   cast<FragmentType>(mma.getResult().getType().getValueType()), mma.getInt4(),
                   true, work);
      })
      .Case([&](WaitOp wait) {
        work.chains += wait.getPending() == 0;
        work.instructions += 1;
      })
      .Case([&](LoadOp load) {
        addMemoryAccess(cast<FragmentType>(load.getResult().getType()), load.getSource().getType(),
                        work);
      })
      .Case([&](StoreOp store) {
        addMemoryAccess(cast<FragmentType>(store.getValue().getType()), store.getTarget().getType(),
                        work);
      })
      .Case([&](SplatOp splat) { addSplat(splat, work); })
      .Case([&](OrderAfterOp order) {
        double count = countRegisters(order.getValue().getType());
        work.fma += count;
        work.instructions += count;
      })
      .Case([&](CopyAsyncOp copy) { addCopy(copy, kernel.getUnits(), work); })
      // A test, a branch, and the phase; an election and an arrival.
      .Case([&](BarrierWaitOp) { work.instructions += 3; })
      .Case<BarrierArriveOp, BarrierExpectOp>([&](auto) { work.instructions += 2; })
      .Case<SliceOp, ConcatOp, scf::YieldOp>([](auto) {})
      .Case([&](scf::IfOp choice) {
        work += countWork(*choice.thenBlock(), kernel);
        work.instructions += 2;
      })
      .Default([&](Operation *other) { addUniform(*other, work); });
}

/// What of P the products of the loop read from registers: rows times keys. Operands that were
/// loaded are Q.
double countScores(Block &body) {
  SmallPtrSet<Value, 8> seen;
  double elements = 0;
  body.walk([&](Operation *op) {
    Value a;
    if (auto mma = dyn_cast<MmaOp>(op))
      a = mma.getA();
    else if (auto async = dyn_cast<MmaAsyncOp>(op))
      a = async.getA();
    auto fragment = a ? dyn_cast<FragmentType>(a.getType()) : FragmentType();
    Operation *definition = fragment ? a.getDefiningOp() : nullptr;
    if (!definition || isa<LoadOp>(definition) || !body.findAncestorOpInBlock(*definition) ||
        !seen.insert(a).second)
      return;
    elements += double(fragment.getRows() * fragment.getColumns());
  });
  return elements;
}

bool hasProduct(scf::ForOp loop) {
  return loop
      .walk([](Operation *op) {
        return isa<MmaOp, MmaAsyncOp>(op) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

} // namespace

LoopWork sage::countWork(Block &body, KernelOp kernel) {
  LoopWork work;
  work.warps = kernel.getThreadsPerUnit() / int64_t(lanes);
  for (Operation &op : body)
    addOperation(op, kernel, work);
  return work;
}

FailureOr<LoopWork> sage::countMainLoop(KernelOp kernel) {
  std::optional<LoopWork> least;
  kernel.walk([&](scf::ForOp loop) {
    bool hasInner =
        loop.getBody()
            ->walk([&](scf::ForOp inner) {
              return hasProduct(inner) ? WalkResult::interrupt() : WalkResult::advance();
            })
            .wasInterrupted();
    if (hasInner || !hasProduct(loop))
      return;
    LoopWork work = countWork(*loop.getBody(), kernel);
    work.elements = countScores(*loop.getBody());
    // Counter, comparison, branch.
    work.instructions += 3;
    if (work.elements > 0 &&
        (!least || work.instructions / work.elements < least->instructions / least->elements))
      least = work;
  });
  if (!least)
    return kernel.emitOpError("must have a loop whose matrix products read P from registers, to be "
                              "explained");
  return *least;
}
