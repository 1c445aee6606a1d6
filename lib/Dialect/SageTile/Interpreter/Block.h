// One thread block: its units take turns on the kernel's code.

#ifndef SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_BLOCK_H
#define SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_BLOCK_H

#include "Code.h"
#include "Grid.h"
#include "Memory.h"

#include <deque>
#include <memory>
#include <optional>
#include <random>

namespace sage::tile::interpreter {

/// A fragment's elements in row-major order; one of the vectors is used.
struct Fragment {
  int64_t rows = 0, columns = 0;
  ElementKind kind = ElementKind::F32;
  std::vector<float> numbers;
  std::vector<int32_t> integers;

  explicit Fragment(FragmentType type);
  int64_t size() const { return rows * columns; }
};
using FragmentRef = std::shared_ptr<const Fragment>;

/// What an SSA value holds. Which member is meant follows from the value's type.
struct Value {
  Scalar scalar{};
  FragmentRef fragment; ///< also of a product in flight
  int64_t product = -1; ///< of a product in flight: its number in the unit
  SharedView shared;
  const GlobalView *memref = nullptr;
  const TensorMapDescription *tensorMap = nullptr;
  int barriers = -1; ///< index of the barrier_alloc
};

/// A product between its issue and its wait.
struct Product {
  int64_t number;
  mlir::Operation *op;
  llvm::SmallVector<SharedView, 2> reads;
};

/// A bulk copy between its issue and its landing.
struct BulkCopy {
  mlir::Operation *op;
  SharedView target;
  std::vector<uint8_t> bytes;
  Barrier *barrier;
  Clock issuer;
};

struct Unit {
  int id = 0;
  bool isProducer = false;
  bool inRegion = false; ///< of specialize
  bool finished = false;
  size_t position = 0;
  std::vector<Value> slots;
  Clock clock;
  std::deque<Product> products;
  int64_t numProducts = 0;
  int64_t numGroupCopies = 0; ///< copies in groups issued
  uint32_t numGroups = 0;     ///< groups closed
  bool arrived = false;       ///< at a collective operation
  bool released = false;      ///< from it
  std::string waitsFor;       ///< for the report of a deadlock
};

/// Executes one block. What blocks share is constant, but for the grid's counters.
class Block {
public:
  Block(const Code &code, const std::vector<Value> &arguments, Grid &grid, int64_t blockId,
        uint64_t seed);

  /// Runs to the end, or to the first error.
  std::optional<Failure> run();

private:
  enum class Step { Ran, Blocked, Failed };

  Step execute(Unit &unit);
  Step executeTileOp(Unit &unit, const Instruction &instruction);
  void executeAffine(Unit &unit, const Instruction &instruction);

  // Memory operations (ExecuteMemory.cpp).
  bool runLoad(Unit &unit, const Instruction &instruction);
  bool runStore(Unit &unit, const Instruction &instruction);
  bool runNumber(Unit &unit, const Instruction &instruction);
  bool runRead(Unit &unit, const Instruction &instruction);
  bool runFill(Unit &unit, const Instruction &instruction);
  bool gatherCopy(mlir::Operation *op, const Value &source, llvm::ArrayRef<int64_t> indices,
                  const SharedView &target, std::vector<uint8_t> &bytes);
  bool runCopy(Unit &unit, const Instruction &instruction);
  bool runCopyAsync(Unit &unit, const Instruction &instruction);
  void landCopy(size_t index);
  bool runStage(Unit &unit, const Instruction &instruction);
  bool runSubtile(Unit &unit, const Instruction &instruction);

  // Fragment arithmetic (ExecuteFragments.cpp).
  void runSplat(Unit &unit, const Instruction &instruction);
  void runMap(Unit &unit, const Instruction &instruction);
  void runReduce(Unit &unit, const Instruction &instruction);
  void runConvert(Unit &unit, const Instruction &instruction);
  void runHadamard(Unit &unit, const Instruction &instruction);
  void runPackNibbles(Unit &unit, const Instruction &instruction);
  void runSlice(Unit &unit, const Instruction &instruction);
  void runConcat(Unit &unit, const Instruction &instruction);

  // Matrix products (ExecuteMma.cpp).
  FragmentRef multiply(Unit &unit, const Instruction &instruction, Product *product);
  bool runMma(Unit &unit, const Instruction &instruction);
  bool runMmaAsync(Unit &unit, const Instruction &instruction);
  bool runWait(Unit &unit, const Instruction &instruction);

  // Barriers and collective operations (ExecuteBarriers.cpp).
  Step runCollective(Unit &unit, const Instruction &instruction);
  bool runTogether(const Instruction &instruction, llvm::ArrayRef<Unit *> group);
  bool runCount(const Instruction &instruction, llvm::ArrayRef<Unit *> group);
  bool runAwait(const Instruction &instruction, Unit &unit);
  uint8_t *findCounter(const Instruction &instruction, Unit &unit);
  llvm::SmallVector<Unit *> getGroup(const Unit &unit);
  /// The mbarrier that operands `operand` (array) and the next (slot) name; null after a failure.
  Barrier *getBarrier(Unit &unit, const Instruction &instruction, int operand);
  bool arrive(Unit &unit, mlir::Operation *op, Barrier &barrier);
  bool completePhase(mlir::Operation *op, Barrier &barrier);
  bool runBarrierExpect(Unit &unit, const Instruction &instruction);
  bool runBarrierArrive(Unit &unit, const Instruction &instruction);
  Step runBarrierWait(Unit &unit, const Instruction &instruction);
  void runWaitGroup(Unit &unit, int64_t pending);

  // Order of accesses (History.cpp).
  bool covers(const Unit &unit, const History &history) const;
  bool checkRead(Unit &unit, mlir::Operation *op, SharedTile &tile, History &history);
  bool checkWrite(Unit &unit, mlir::Operation *op, SharedTile &tile, const History &history,
                  int64_t copyInstance = -1);
  bool recordRead(Unit &unit, mlir::Operation *op, SharedTile &tile, int64_t row, int64_t begin,
                  int64_t end);
  bool recordWrite(Unit &unit, mlir::Operation *op, SharedTile &tile, int64_t row, int64_t begin,
                   int64_t end);
  bool recordRead(Unit &unit, mlir::Operation *op, const SharedView &view);
  bool recordWrite(Unit &unit, mlir::Operation *op, const SharedView &view);
  bool beginBulkCopy(Unit &unit, mlir::Operation *op, const SharedView &target,
                     const Barrier &barrier);
  void endBulkCopy(const SharedView &target, const Barrier &barrier);
  bool beginGroupCopy(Unit &unit, mlir::Operation *op, const SharedView &target);
  void changeProductReads(const Product &product, int change);

  bool fail(mlir::Operation *op, std::string message);
  bool fail(mlir::Operation *op, std::string message, mlir::Operation *noteOp, std::string note);
  void reportDeadlock();
  std::string getUnitName(const Unit &unit) const;

  Value &getOperand(Unit &unit, const Instruction &instruction, int index) {
    return unit.slots[instruction.operands[index]];
  }
  Value &getResult(Unit &unit, const Instruction &instruction) {
    return unit.slots[instruction.results[0]];
  }
  int64_t getIndex(Unit &unit, const Instruction &instruction, int index) {
    return getOperand(unit, instruction, index).scalar.integer;
  }

  // Components of clocks: units, then their copy groups, then the mbarriers.
  int getGroupComponent(int unit) const { return static_cast<int>(units.size()) + unit; }

  const Code &code;
  Grid &grid;
  int64_t blockId;
  bool isRandom;
  std::mt19937_64 random;
  std::vector<std::unique_ptr<SharedTile>> tiles;
  std::vector<std::vector<Barrier>> barriers; ///< per barrier_alloc, per slot
  std::vector<Unit> units;
  std::deque<BulkCopy> copies;
  std::optional<Failure> failure;
};

} // namespace sage::tile::interpreter

#endif // SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_BLOCK_H
