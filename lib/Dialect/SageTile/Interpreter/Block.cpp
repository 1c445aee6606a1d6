// The scheduler of a block's units, and what they execute.

#include "Block.h"

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;

namespace sage::tile::interpreter {

Fragment::Fragment(FragmentType type)
    : rows(type.getRows()), columns(type.getColumns()),
      kind(*getElementKind(type.getElementType())) {
  if (isFloat(kind))
    numbers.resize(size());
  else
    integers.resize(size());
}

Block::Block(const Code &code, const std::vector<Value> &arguments, Grid &grid, int64_t blockId,
             uint64_t seed)
    : code(code), grid(grid), blockId(blockId), isRandom(seed != 0),
      random(seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(blockId)) {
  for (AllocOp alloc : code.tiles)
    tiles.push_back(std::make_unique<SharedTile>(alloc.getResult().getType(), alloc));
  units.resize(code.getNumUnits());
  int components = 2 * static_cast<int>(units.size());
  for (BarrierAllocOp alloc : code.barriers) {
    std::vector<Barrier> &slots = barriers.emplace_back(alloc.getResult().getType().getCount());
    for (auto [index, barrier] : llvm::enumerate(slots)) {
      barrier.alloc = alloc;
      barrier.slot = static_cast<int>(index);
      barrier.component = components++;
      barrier.missingArrivals = alloc.getArrivals();
    }
  }
  for (std::vector<Barrier> &slots : barriers)
    for (Barrier &barrier : slots)
      barrier.current = barrier.completed = Clock(components);
  for (auto [index, unit] : llvm::enumerate(units)) {
    unit.id = static_cast<int>(index);
    unit.isProducer = unit.id == code.numConsumers;
    unit.slots.resize(code.numSlots);
    unit.clock.resize(components);
    unit.clock[unit.id] = 1;
    for (auto [slot, argument] : llvm::zip_equal(code.argumentSlots, arguments))
      unit.slots[slot] = argument;
  }
}

std::optional<Failure> Block::run() {
  std::vector<bool> blocked(units.size());
  size_t next = 0;
  while (true) {
    SmallVector<Unit *> candidates;
    for (Unit &unit : units)
      if (!unit.finished && !blocked[unit.id])
        candidates.push_back(&unit);
    if (candidates.empty()) {
      if (llvm::all_of(units, [](const Unit &unit) { return unit.finished; }))
        break;
      if (copies.empty()) {
        reportDeadlock();
        return failure;
      }
      landCopy(isRandom ? random() % copies.size() : 0);
      blocked.assign(units.size(), false);
    } else {
      Unit &unit = *candidates[(isRandom ? random() : next++) % candidates.size()];
      int64_t count = isRandom ? 1 + random() % 16 : std::numeric_limits<int64_t>::max();
      bool progress = false;
      Step step = Step::Ran;
      for (; count > 0 && !unit.finished && step == Step::Ran; --count) {
        step = execute(unit);
        progress |= step == Step::Ran;
      }
      if (progress)
        blocked.assign(units.size(), false);
      if (step == Step::Blocked)
        blocked[unit.id] = true;
      if (isRandom && !copies.empty() && random() % 4 == 0) {
        landCopy(random() % copies.size());
        blocked.assign(units.size(), false);
      }
    }
    if (failure)
      return failure;
  }
  if (!copies.empty())
    fail(copies.front().op, "copy must land before the end of the kernel");
  return failure;
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

void Block::executeAffine(Unit &unit, const Instruction &instruction) {
  const auto &data = static_cast<const AffineData &>(*instruction.data);
  SmallVector<int64_t> dims, symbols;
  for (auto [index, slot] : llvm::enumerate(instruction.operands))
    (index < data.map.getNumDims() ? dims : symbols).push_back(unit.slots[slot].scalar.integer);
  std::optional<int64_t> result;
  for (AffineExpr expr : data.map.getResults()) {
    std::optional<int64_t> value = evaluate(expr, dims, symbols);
    if (!value) {
      fail(instruction.op, "must not divide by a value that is not positive");
      return;
    }
    if (!result || (data.isMin ? *value < *result : *value > *result))
      result = value;
  }
  getResult(unit, instruction).scalar.integer = *result;
}

Block::Step Block::execute(Unit &unit) {
  const Instruction &instruction = code.instructions[unit.position];
  switch (instruction.opcode) {
  case Opcode::Element: {
    const Scalar *operands[3] = {};
    for (auto [index, slot] : llvm::enumerate(instruction.operands))
      operands[index] = &unit.slots[slot].scalar;
    Scalar result{};
    static_cast<const ElementData &>(*instruction.data).op.apply(operands, &result, 1);
    getResult(unit, instruction).scalar = result;
    break;
  }
  case Opcode::Affine:
    executeAffine(unit, instruction);
    break;
  case Opcode::Move: {
    SmallVector<Value, 8> values;
    for (int slot : instruction.operands)
      values.push_back(unit.slots[slot]);
    for (auto [slot, value] : llvm::zip_equal(instruction.results, values))
      unit.slots[slot] = std::move(value);
    break;
  }
  case Opcode::Jump:
    unit.position = instruction.target;
    return Step::Ran;
  case Opcode::JumpUnless:
    if (getIndex(unit, instruction, 0))
      break;
    unit.position = instruction.target;
    return Step::Ran;
  case Opcode::LoopTest:
    if (getIndex(unit, instruction, 0) < getIndex(unit, instruction, 1))
      break;
    unit.position = instruction.target;
    return Step::Ran;
  case Opcode::LoopNext:
    getResult(unit, instruction).scalar.integer =
        getIndex(unit, instruction, 0) + getIndex(unit, instruction, 1);
    unit.position = instruction.target;
    return Step::Ran;
  case Opcode::JumpIfProducer:
    unit.inRegion = true;
    if (!unit.isProducer)
      break;
    unit.position = instruction.target;
    return Step::Ran;
  case Opcode::LeaveRegion:
    unit.inRegion = false;
    break;
  case Opcode::Return:
    unit.finished = true;
    if (!unit.products.empty())
      fail(unit.products.front().op, "product must be waited for before the end of the kernel");
    break;
  case Opcode::Tile: {
    Step step = executeTileOp(unit, instruction);
    if (step == Step::Ran)
      ++unit.position;
    return step;
  }
  }
  if (failure)
    return Step::Failed;
  ++unit.position;
  return Step::Ran;
}

Block::Step Block::executeTileOp(Unit &unit, const Instruction &instruction) {
  Operation *op = instruction.op;
  // A unit is interpreted as a whole.
  if (auto sync = dyn_cast<SyncOp>(op); sync && sync.getUnit())
    return Step::Ran;
  if (isa<SyncOp, FillOp, CopyOp, CountOp, AwaitOp>(op))
    return runCollective(unit, instruction);
  if (isa<BarrierWaitOp>(op))
    return runBarrierWait(unit, instruction);
  bool succeeded = true;
  TypeSwitch<Operation *>(op)
      .Case([&](MapOp) { runMap(unit, instruction); })
      .Case([&](LoadOp) { succeeded = runLoad(unit, instruction); })
      .Case([&](StoreOp) { succeeded = runStore(unit, instruction); })
      .Case([&](ReadOp) { succeeded = runRead(unit, instruction); })
      .Case([&](MmaOp) { succeeded = runMma(unit, instruction); })
      .Case([&](MmaAsyncOp) { succeeded = runMmaAsync(unit, instruction); })
      .Case([&](WaitOp) { succeeded = runWait(unit, instruction); })
      .Case([&](ReduceOp) { runReduce(unit, instruction); })
      .Case([&](HadamardOp) { runHadamard(unit, instruction); })
      .Case([&](ConvertOp) { runConvert(unit, instruction); })
      .Case([&](PackNibblesOp) { runPackNibbles(unit, instruction); })
      .Case([&](SliceOp) { runSlice(unit, instruction); })
      .Case([&](ConcatOp) { runConcat(unit, instruction); })
      .Case([&](SplatOp) { runSplat(unit, instruction); })
      .Case([&](OrderAfterOp) { getResult(unit, instruction) = getOperand(unit, instruction, 0); })
      .Case([&](StageOp) { succeeded = runStage(unit, instruction); })
      .Case([&](SubtileOp) { succeeded = runSubtile(unit, instruction); })
      .Case([&](CopyAsyncOp) { succeeded = runCopyAsync(unit, instruction); })
      .Case([&](CommitGroupOp) { ++unit.numGroups; })
      // Launches are interpreted one after the other.
      .Case<GridWaitOp, GridReleaseOp, TicketsOp, PrefetchOp>([](auto) {})
      .Case<PutOp, GetOp>([&](auto) { succeeded = runNumber(unit, instruction); })
      .Case([&](BlockCountOp) { getResult(unit, instruction).scalar.integer = grid.getBlocks(); })
      .Case([&](WaitGroupOp wait) { runWaitGroup(unit, wait.getPending()); })
      .Case([&](BarrierExpectOp) { succeeded = runBarrierExpect(unit, instruction); })
      .Case([&](BarrierArriveOp) { succeeded = runBarrierArrive(unit, instruction); })
      .Case([&](BlockIdOp) { getResult(unit, instruction).scalar.integer = blockId; })
      .Case([&](UnitIdOp) {
        bool isAlone = unit.inRegion && unit.isProducer;
        getResult(unit, instruction).scalar.integer = isAlone ? 0 : unit.id;
      })
      .Case([&](AllocOp) {
        SharedTile *tile = tiles[code.tileIndex.lookup(op)].get();
        getResult(unit, instruction).shared = {tile, 0, tile->rows};
      })
      .Case([&](BarrierAllocOp) {
        getResult(unit, instruction).barriers = code.barrierIndex.lookup(op);
      });
  return succeeded && !failure ? Step::Ran : Step::Failed;
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

bool Block::fail(Operation *op, std::string message) {
  if (!failure)
    failure = Failure{op, std::move(message), {}};
  return false;
}

bool Block::fail(Operation *op, std::string message, Operation *noteOp, std::string note) {
  if (!failure)
    failure = Failure{op, std::move(message), {{noteOp, std::move(note)}}};
  return false;
}

std::string Block::getUnitName(const Unit &unit) const {
  return unit.isProducer ? "the producer" : "unit " + std::to_string(unit.id);
}

} // namespace sage::tile::interpreter
