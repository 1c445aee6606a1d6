// A kernel as a list of instructions with jumps, so that a unit can stop at any of them and go on
// later.

#ifndef SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_CODE_H
#define SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_CODE_H

#include "ElementOps.h"
#include "sage/Dialect/SageTile/IR/SageTile.h"

#include <memory>
#include <vector>

namespace sage::tile::interpreter {

enum class Opcode : uint8_t {
  Element,        // scalar arith or math; data: ElementData
  Affine,         // affine.apply, min, max; data: AffineData
  Move,           // results := operands, all at once
  Jump,           // to target
  JumpUnless,     // to target unless operand 0
  LoopTest,       // to target unless operand 0 < operand 1
  LoopNext,       // result 0 := operand 0 + operand 1, to target
  JumpIfProducer, // enters specialize; to target in the producer
  LeaveRegion,    // of specialize
  Tile,           // an operation of the dialect: by `op`
  Return
};

/// What compilation computed for an instruction; shared by all blocks.
struct InstructionData {
  virtual ~InstructionData() = default;
};

struct Instruction {
  Opcode opcode;
  mlir::Operation *op = nullptr;
  llvm::SmallVector<int, 4> operands;
  llvm::SmallVector<int, 2> results;
  int target = -1;
  std::unique_ptr<InstructionData> data;
};

struct ElementData : InstructionData {
  ElementOp op;
};

struct AffineData : InstructionData {
  mlir::AffineMap map;
  bool isMin = false;
};

/// For every element of a fragment: the element of another that it reads. Empty: the same one.
using Gather = std::vector<int32_t>;

/// The body of `sage_tile.map` on registers that are strips of scalars.
struct MapData : InstructionData {
  struct Step {
    ElementOp op;
    llvm::SmallVector<int, 3> operands;
    int result;
  };
  std::vector<Gather> gathers; ///< one per input
  std::vector<Step> steps;
  int numRegisters = 0;
  int firstInput = 0;                        ///< register of the first input
  std::vector<std::pair<int, int>> captured; ///< register and frame slot of outer scalars
  int result = 0;
};

/// Elements of a result, each with the source elements that are combined to it, in order.
struct ReduceData : InstructionData {
  std::vector<int32_t> first; ///< per result element, its begin in `members`; one more at the end
  std::vector<int32_t> members;
};

/// convert, slice: element i of the result is element gather[i] of the source.
struct GatherData : InstructionData {
  Gather gather;
};

/// load, store: offsets that the map adds to the last one or two indices.
struct AccessData : InstructionData {
  unsigned numResults = 2;
  std::vector<std::array<int32_t, 2>> offsets;
  /// Among the instruction's operands; -1: none.
  int limitOperand = -1, columnLimitOperand = -1;
  int numIndices = 0;
  /// Columns of the fragment, and how many of them are accessed.
  int64_t columns = 0, accessedColumns = 0;
};

struct Code {
  KernelOp kernel;
  std::vector<Instruction> instructions;
  int numSlots = 0;
  std::vector<int> argumentSlots;
  int numConsumers = 0;
  bool isSpecialized = false;
  std::vector<AllocOp> tiles;
  std::vector<BarrierAllocOp> barriers;
  llvm::DenseMap<mlir::Operation *, int> tileIndex, barrierIndex;

  int getNumUnits() const { return numConsumers + (isSpecialized ? 1 : 0); }
};

/// Null after a diagnostic: an operation that the interpreter does not know.
std::unique_ptr<Code> compile(KernelOp kernel);

/// Slots of values, given out in the order of definition.
class SlotMap {
public:
  int get(mlir::Value value) {
    return slots.try_emplace(value, static_cast<int>(slots.size())).first->second;
  }
  bool contains(mlir::Value value) const { return slots.contains(value); }
  int size() const { return static_cast<int>(slots.size()); }

private:
  llvm::DenseMap<mlir::Value, int> slots;
};

/// The data of a fragment operation; null after a diagnostic.
std::unique_ptr<InstructionData> compileMap(MapOp op, SlotMap &slots);
std::unique_ptr<InstructionData> compileReduce(ReduceOp op);
std::unique_ptr<InstructionData> compileConvert(ConvertOp op);
std::unique_ptr<InstructionData> compilePackNibbles(PackNibblesOp op);
std::unique_ptr<InstructionData> compileLoad(LoadOp op);
std::unique_ptr<InstructionData> compileStore(StoreOp op);

} // namespace sage::tile::interpreter

#endif // SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_CODE_H
