// Shared tiles with the history that tells whether an access is synchronized, and views of device
// memory.

#ifndef SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_MEMORY_H
#define SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_MEMORY_H

#include "ElementFormats.h"
#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"

#include <memory>
#include <vector>

namespace sage::tile::interpreter {

/// What ended a block's run.
struct Failure {
  mlir::Operation *op = nullptr;
  std::string message;
  std::vector<std::pair<mlir::Operation *, std::string>> notes;
};

/// For every component (a unit, the copy groups of a unit, the bulk copies of an mbarrier): how
/// much of what it did is known to have happened before now.
using Clock = std::vector<uint32_t>;

inline void join(Clock &clock, const Clock &other) {
  for (size_t i = 0; i < clock.size(); ++i)
    clock[i] = std::max(clock[i], other[i]);
}

/// Who wrote an element last and who read it since.
struct History {
  static constexpr int noWriter = -1;
  /// Copies in groups: every unit moved a part that only it can wait for.
  static constexpr int allGroups = -2;

  int writer = noWriter;
  uint32_t writeTime = 0;
  int64_t copyInstance = -1; ///< which of the units' copies in groups, where `writer` is allGroups
  mlir::Operation *writeOp = nullptr;
  std::vector<uint32_t> readTimes; ///< per unit; empty if none read
  mlir::Operation *readOp = nullptr;
  int productsInFlight = 0; ///< that read the element
  mlir::Operation *productOp = nullptr;
};

/// A tile in shared memory; stages are rows. Histories are kept per row while all of the row has
/// one.
class SharedTile {
public:
  SharedTile(SharedType type, mlir::Operation *alloc);

  uint8_t *getData(int64_t row, int64_t column) {
    return data.data() + (row * columns + column) * elementBytes;
  }
  /// Calls `visit` for the histories of [begin, end) of a row; false as soon as one call is.
  template <typename Visit> bool visit(int64_t row, int64_t begin, int64_t end, Visit visit);

  int64_t rows, columns, elementBytes;
  ElementKind kind;
  mlir::Operation *alloc;

private:
  std::vector<uint8_t> data;
  std::vector<std::vector<History>> histories; ///< per row: one, or one per column
};

template <typename Visit>
bool SharedTile::visit(int64_t row, int64_t begin, int64_t end, Visit visit) {
  std::vector<History> &history = histories[row];
  bool whole = begin == 0 && end == columns;
  if (history.size() == 1 && (whole || columns == 1))
    return visit(history[0]);
  if (history.size() == 1)
    history.resize(columns, History(history[0]));
  for (int64_t column = begin; column < end; ++column)
    if (!visit(history[column]))
      return false;
  return true;
}

/// Rows of a shared tile: a stage, a subtile, or all of it.
struct SharedView {
  SharedTile *tile = nullptr;
  int64_t firstRow = 0;
  int64_t rows = 0;
};

/// A memref argument. Sizes that are not static are unknown; the buffer's size is checked instead.
struct GlobalView {
  DeviceBuffer buffer;
  ElementKind kind = ElementKind::I8;
  llvm::SmallVector<int64_t> sizes; ///< negative: unknown
  llvm::SmallVector<int64_t> strides;

  /// Address of an element; null with `message` set if it is outside.
  uint8_t *find(llvm::ArrayRef<int64_t> indices, std::string &message) const;
};

/// An mbarrier (PTX ISA, "mbarrier").
struct Barrier {
  BarrierAllocOp alloc;
  int slot = 0;
  int component = 0;  ///< of the copies that arrive on it
  uint32_t phase = 0; ///< completed phases
  int64_t missingArrivals = 0;
  int64_t missingBytes = 0;
  Clock current;   ///< what arrivals of this phase release
  Clock completed; ///< what waiters acquire
};

} // namespace sage::tile::interpreter

#endif // SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_MEMORY_H
