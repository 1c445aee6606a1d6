// Whether accesses to shared memory are ordered by synchronization (vector clocks, as in
// FastTrack).

#include "Block.h"

#include <limits>

using namespace mlir;

namespace sage::tile::interpreter {

static constexpr uint32_t inFlight = std::numeric_limits<uint32_t>::max();

/// Whether `unit` knows that the last write has happened.
bool Block::covers(const Unit &unit, const History &history) const {
  if (history.writer == History::noWriter)
    return true;
  if (history.writer != History::allGroups)
    return unit.clock[history.writer] >= history.writeTime;
  for (const Unit &other : units)
    if (!other.isProducer && unit.clock[getGroupComponent(other.id)] < history.writeTime)
      return false;
  return true;
}

static std::string describe(SharedTile &tile) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << cast<AllocOp>(tile.alloc).getResult().getType();
  return text;
}

bool Block::checkRead(Unit &unit, Operation *op, SharedTile &tile, History &history) {
  if (history.writer == History::noWriter)
    return fail(op, "reads shared memory that was never written", tile.alloc,
                "the tile is allocated here");
  if (covers(unit, history))
    return true;
  bool isCopy =
      history.writer == History::allGroups || history.writer >= static_cast<int>(2 * units.size());
  if (isCopy)
    return fail(op,
                getUnitName(unit) + " reads a tile " + describe(tile) +
                    " whose copy may still be in flight",
                history.writeOp, "wait for this copy before the read");
  return fail(op,
              "race: " + getUnitName(unit) + " reads a tile " + describe(tile) +
                  " that another unit writes without synchronization",
              history.writeOp, "the other access is here");
}

bool Block::checkWrite(Unit &unit, Operation *op, SharedTile &tile, const History &history,
                       int64_t copyInstance) {
  if (history.productsInFlight > 0)
    return fail(op, "writes a tile " + describe(tile) + " that a product in flight reads",
                history.productOp, "wait for this product before the write");
  bool isSameCopy = copyInstance >= 0 && history.copyInstance == copyInstance;
  if (!isSameCopy && !covers(unit, history))
    return fail(op,
                "race: " + getUnitName(unit) + " writes a tile " + describe(tile) +
                    " that is written elsewhere without synchronization",
                history.writeOp, "the other access is here");
  for (size_t reader = 0; reader < history.readTimes.size(); ++reader)
    if (history.readTimes[reader] > unit.clock[reader])
      return fail(op,
                  "race: " + getUnitName(unit) + " writes a tile " + describe(tile) + " that " +
                      getUnitName(units[reader]) + " reads without synchronization",
                  history.readOp, "the other access is here");
  return true;
}

bool Block::recordRead(Unit &unit, Operation *op, SharedTile &tile, int64_t row, int64_t begin,
                       int64_t end) {
  return tile.visit(row, begin, end, [&](History &history) {
    if (!checkRead(unit, op, tile, history))
      return false;
    history.readTimes.resize(units.size());
    history.readTimes[unit.id] = unit.clock[unit.id];
    history.readOp = op;
    return true;
  });
}

bool Block::recordWrite(Unit &unit, Operation *op, SharedTile &tile, int64_t row, int64_t begin,
                        int64_t end) {
  return tile.visit(row, begin, end, [&](History &history) {
    if (!checkWrite(unit, op, tile, history))
      return false;
    history = History();
    history.writer = unit.id;
    history.writeTime = unit.clock[unit.id];
    history.writeOp = op;
    return true;
  });
}

bool Block::recordRead(Unit &unit, Operation *op, const SharedView &view) {
  for (int64_t row = 0; row < view.rows; ++row)
    if (!recordRead(unit, op, *view.tile, view.firstRow + row, 0, view.tile->columns))
      return false;
  return true;
}

bool Block::recordWrite(Unit &unit, Operation *op, const SharedView &view) {
  for (int64_t row = 0; row < view.rows; ++row)
    if (!recordWrite(unit, op, *view.tile, view.firstRow + row, 0, view.tile->columns))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

template <typename Visit> static bool visitView(const SharedView &view, Visit visit) {
  for (int64_t row = 0; row < view.rows; ++row)
    if (!view.tile->visit(view.firstRow + row, 0, view.tile->columns, visit))
      return false;
  return true;
}

/// From the issue on nobody may touch the tile; landCopy gives the time from which waiters may.
bool Block::beginBulkCopy(Unit &unit, Operation *op, const SharedView &target,
                          const Barrier &barrier) {
  return visitView(target, [&](History &history) {
    if (!checkWrite(unit, op, *target.tile, history))
      return false;
    history = History();
    history.writer = barrier.component;
    history.writeTime = inFlight;
    history.writeOp = op;
    return true;
  });
}

void Block::endBulkCopy(const SharedView &target, const Barrier &barrier) {
  visitView(target, [&](History &history) {
    history.writeTime = barrier.phase + 1;
    return true;
  });
}

/// Which part of the tile `unit` moves is not known: all of it must be free.
bool Block::beginGroupCopy(Unit &unit, Operation *op, const SharedView &target) {
  int64_t instance = unit.numGroupCopies;
  return visitView(target, [&](History &history) {
    if (!checkWrite(unit, op, *target.tile, history, instance))
      return false;
    history = History();
    history.writer = History::allGroups;
    history.writeTime = unit.numGroups + 1;
    history.copyInstance = instance;
    history.writeOp = op;
    return true;
  });
}

void Block::changeProductReads(const Product &product, int change) {
  for (const SharedView &view : product.reads)
    visitView(view, [&](History &history) {
      history.productsInFlight += change;
      history.productOp = product.op;
      return true;
    });
}

} // namespace sage::tile::interpreter
