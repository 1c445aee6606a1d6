// Where units wait for each other and for copies.

#include "Block.h"

using namespace mlir;

namespace sage::tile::interpreter {

//===----------------------------------------------------------------------===//
// sync, fill, copy, count, await: all units of a region together
//===----------------------------------------------------------------------===//

/// Units that run the region that `unit` is in: above specialize all, below it consumers or the
/// producer.
SmallVector<Unit *> Block::getGroup(const Unit &unit) {
  SmallVector<Unit *> group;
  for (Unit &other : units)
    if (!unit.inRegion || other.isProducer == unit.isProducer)
      group.push_back(&other);
  return group;
}

Block::Step Block::runCollective(Unit &unit, const Instruction &instruction) {
  if (unit.released) {
    unit.released = false;
    return Step::Ran;
  }
  unit.arrived = true;
  SmallVector<Unit *> group = getGroup(unit);
  for (Unit *other : group) {
    if (other->arrived && other->inRegion == unit.inRegion)
      continue;
    unit.waitsFor = getUnitName(*other) + " to arrive here";
    return Step::Blocked;
  }
  for (Unit *other : group) {
    Operation *op = code.instructions[other->position].op;
    if (op == instruction.op || (isa<SyncOp>(op) && isa<SyncOp>(instruction.op)))
      continue;
    fail(instruction.op, "must be executed by all units together", op,
         getUnitName(*other) + " is here");
    return Step::Failed;
  }
  auto synchronize = [&] {
    Clock all = unit.clock;
    for (Unit *other : group)
      join(all, other->clock);
    for (Unit *other : group) {
      other->clock = all;
      ++other->clock[other->id];
    }
  };
  synchronize();
  if (!runTogether(instruction, group))
    return Step::Failed;
  synchronize();
  for (Unit *other : group) {
    other->arrived = false;
    other->released = other != &unit;
  }
  return Step::Ran;
}

/// What the units do between the two barriers of a collective operation.
bool Block::runTogether(const Instruction &instruction, ArrayRef<Unit *> group) {
  Unit &first = *group.front();
  for (Unit *other : group)
    for (auto [index, slot] : llvm::enumerate(instruction.operands)) {
      Value &a = first.slots[slot], &b = other->slots[slot];
      if (a.scalar.integer != b.scalar.integer || a.shared.tile != b.shared.tile ||
          a.shared.firstRow != b.shared.firstRow)
        return fail(instruction.op,
                    "operand #" + std::to_string(index) + " must be the same in all units");
    }
  if (isa<CopyOp>(instruction.op))
    return runCopy(first, instruction);
  if (auto fill = dyn_cast<FillOp>(instruction.op))
    return runFill(first, instruction);
  if (isa<CountOp>(instruction.op))
    return runCount(instruction, group);
  if (isa<AwaitOp>(instruction.op))
    return runAwait(instruction, first);
  return true;
}

uint8_t *Block::findCounter(const Instruction &instruction, Unit &unit) {
  std::string message;
  uint8_t *counter =
      getOperand(unit, instruction, 0).memref->find({getIndex(unit, instruction, 1)}, message);
  if (!counter)
    fail(instruction.op, std::move(message));
  return counter;
}

bool Block::runCount(const Instruction &instruction, ArrayRef<Unit *> group) {
  uint8_t *counter = findCounter(instruction, *group.front());
  if (!counter)
    return false;
  bool wraps = cast<CountOp>(instruction.op).getWraps() != nullptr;
  int64_t number = grid.count(counter, wraps ? getIndex(*group.front(), instruction, 2) : 0);
  for (Unit *unit : group)
    getResult(*unit, instruction).scalar.integer = number;
  return true;
}

bool Block::runAwait(const Instruction &instruction, Unit &unit) {
  uint8_t *counter = findCounter(instruction, unit);
  if (!counter)
    return false;
  int64_t number = getIndex(unit, instruction, 2);
  return grid.await(counter, number) ||
         fail(instruction.op, "deadlock: counter " +
                                  std::to_string(getIndex(unit, instruction, 1)) + " must reach " +
                                  std::to_string(number) + ", but no block that runs can raise it");
}

//===----------------------------------------------------------------------===//
// mbarriers
//===----------------------------------------------------------------------===//

Barrier *Block::getBarrier(Unit &unit, const Instruction &instruction, int operand) {
  std::vector<Barrier> &slots = barriers[getOperand(unit, instruction, operand).barriers];
  int64_t slot = getIndex(unit, instruction, operand + 1);
  if (slot < 0 || slot >= static_cast<int64_t>(slots.size())) {
    fail(instruction.op, "slot must be less than " + std::to_string(slots.size()) + ", but got " +
                             std::to_string(slot));
    return nullptr;
  }
  return &slots[slot];
}

bool Block::arrive(Unit &unit, Operation *op, Barrier &barrier) {
  if (barrier.missingArrivals == 0)
    return fail(op,
                "arrivals of a phase must be at most " +
                    std::to_string(barrier.alloc.getArrivals()) + ", but got one more by " +
                    getUnitName(unit),
                barrier.alloc, "the barrier is allocated here");
  join(barrier.current, unit.clock);
  ++unit.clock[unit.id];
  --barrier.missingArrivals;
  return completePhase(op, barrier);
}

bool Block::completePhase(Operation *op, Barrier &barrier) {
  if (barrier.missingArrivals > 0 || barrier.missingBytes > 0)
    return true;
  if (barrier.missingBytes < 0)
    return fail(op,
                "copies must move the bytes announced for the phase, but moved " +
                    std::to_string(-barrier.missingBytes) + " more",
                barrier.alloc, "the barrier is allocated here");
  ++barrier.phase;
  barrier.missingArrivals = barrier.alloc.getArrivals();
  join(barrier.completed, barrier.current);
  return true;
}

bool Block::runBarrierExpect(Unit &unit, const Instruction &instruction) {
  Barrier *barrier = getBarrier(unit, instruction, 0);
  if (!barrier)
    return false;
  barrier->missingBytes += cast<BarrierExpectOp>(instruction.op).getBytes();
  return arrive(unit, instruction.op, *barrier);
}

bool Block::runBarrierArrive(Unit &unit, const Instruction &instruction) {
  Barrier *barrier = getBarrier(unit, instruction, 0);
  return barrier && arrive(unit, instruction.op, *barrier);
}

Block::Step Block::runBarrierWait(Unit &unit, const Instruction &instruction) {
  Barrier *barrier = getBarrier(unit, instruction, 0);
  if (!barrier)
    return Step::Failed;
  int64_t parity = getIndex(unit, instruction, 2);
  if (parity != 0 && parity != 1) {
    fail(instruction.op, "parity must be 0 or 1, but got " + std::to_string(parity));
    return Step::Failed;
  }
  if ((barrier->phase & 1) == parity) {
    unit.waitsFor = "parity " + std::to_string(parity) + " of slot " +
                    std::to_string(barrier->slot) + ": phase " + std::to_string(barrier->phase) +
                    " lacks " + std::to_string(barrier->missingArrivals) + " of " +
                    std::to_string(barrier->alloc.getArrivals()) + " arrivals and " +
                    std::to_string(barrier->missingBytes) + " bytes";
    return Step::Blocked;
  }
  join(unit.clock, barrier->completed);
  return Step::Ran;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

void Block::landCopy(size_t index) {
  BulkCopy copy = std::move(copies[index]);
  copies.erase(copies.begin() + index);
  Barrier &barrier = *copy.barrier;
  std::copy(copy.bytes.begin(), copy.bytes.end(),
            copy.target.tile->getData(copy.target.firstRow, 0));
  endBulkCopy(copy.target, barrier);
  join(barrier.current, copy.issuer);
  barrier.current[barrier.component] = barrier.phase + 1;
  barrier.missingBytes -= static_cast<int64_t>(copy.bytes.size());
  completePhase(copy.op, barrier);
}

void Block::runWaitGroup(Unit &unit, int64_t pending) {
  uint32_t &known = unit.clock[getGroupComponent(unit.id)];
  if (unit.numGroups > pending)
    known = std::max<uint32_t>(known, unit.numGroups - pending);
}

void Block::reportDeadlock() {
  Failure report;
  for (const Unit &unit : units) {
    if (unit.finished)
      continue;
    Operation *op = code.instructions[unit.position].op;
    if (!report.op) {
      report.op = op;
      report.message = "deadlock: no unit can continue";
    }
    report.notes.emplace_back(op, getUnitName(unit) + " waits for " + unit.waitsFor);
  }
  if (!failure)
    failure = std::move(report);
}

} // namespace sage::tile::interpreter
