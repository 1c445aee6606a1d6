// Flattens the structured control flow of a kernel into jumps.

#include "Code.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace sage::tile::interpreter {
namespace {

class Compiler {
public:
  explicit Compiler(KernelOp kernel) : code(std::make_unique<Code>()) { code->kernel = kernel; }

  std::unique_ptr<Code> run();

private:
  LogicalResult compileBlock(Block &block);
  LogicalResult compileOp(Operation *op);
  LogicalResult compileFor(scf::ForOp op);
  LogicalResult compileIf(scf::IfOp op);
  LogicalResult compileWhile(scf::WhileOp op);
  LogicalResult compileSpecialize(SpecializeOp op);
  LogicalResult compileTileOp(Operation *op);

  Instruction &add(Opcode opcode, Operation *op, ValueRange operands = {},
                   ValueRange results = {}) {
    Instruction &instruction = code->instructions.emplace_back();
    instruction.opcode = opcode;
    instruction.op = op;
    for (Value value : operands)
      instruction.operands.push_back(slots.get(value));
    for (Value value : results)
      instruction.results.push_back(slots.get(value));
    return instruction;
  }
  void move(Operation *op, ValueRange from, ValueRange to) {
    if (!from.empty())
      add(Opcode::Move, op, from, to);
  }
  int here() const { return static_cast<int>(code->instructions.size()); }
  /// Adds a jump whose target is set later, and returns its position.
  int addJump(Opcode opcode, Operation *op, ValueRange operands = {}) {
    add(opcode, op, operands);
    return here() - 1;
  }
  void land(int jump) { code->instructions[jump].target = here(); }

  std::unique_ptr<Code> code;
  SlotMap slots;
};

} // namespace

std::unique_ptr<Code> Compiler::run() {
  KernelOp kernel = code->kernel;
  if (!kernel.getBody().hasOneBlock()) {
    kernel.emitOpError(
        "kernel must have one block to be interpreted, with structured control flow");
    return nullptr;
  }
  code->numConsumers = kernel.getUnits();
  for (BlockArgument argument : kernel.getBody().getArguments())
    code->argumentSlots.push_back(slots.get(argument));
  if (failed(compileBlock(kernel.getBody().front())))
    return nullptr;
  code->numSlots = slots.size();
  return std::move(code);
}

LogicalResult Compiler::compileBlock(Block &block) {
  for (Operation &op : block)
    if (failed(compileOp(&op)))
      return failure();
  return success();
}

LogicalResult Compiler::compileOp(Operation *op) {
  if (isa<SageTileDialect>(op->getDialect())) {
    if (auto specialize = dyn_cast<SpecializeOp>(op))
      return compileSpecialize(specialize);
    if (isa<ReturnOp>(op)) {
      add(Opcode::Return, op);
      return success();
    }
    return compileTileOp(op);
  }
  if (isa<scf::YieldOp, scf::ConditionOp>(op))
    return success(); // The parent's code moves the values.
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return compileFor(loop);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return compileIf(branch);
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return compileWhile(loop);
  auto addAffine = [&](AffineMap map, bool isMin) {
    auto data = std::make_unique<AffineData>();
    data->map = map;
    data->isMin = isMin;
    add(Opcode::Affine, op, op->getOperands(), op->getResults()).data = std::move(data);
    return success();
  };
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op))
    return addAffine(apply.getAffineMap(), false);
  if (auto minimum = dyn_cast<affine::AffineMinOp>(op))
    return addAffine(minimum.getAffineMap(), true);
  if (auto maximum = dyn_cast<affine::AffineMaxOp>(op))
    return addAffine(maximum.getAffineMap(), false);
  // Values that are fragments or tiles are moved, not computed.
  if (auto select = dyn_cast<arith::SelectOp>(op);
      select && !getElementKind(select.getResult().getType())) {
    int otherwise = addJump(Opcode::JumpUnless, op, select.getCondition());
    move(op, select.getTrueValue(), select.getResult());
    int end = addJump(Opcode::Jump, op);
    land(otherwise);
    move(op, select.getFalseValue(), select.getResult());
    land(end);
    return success();
  }
  if (std::optional<ElementOp> element = getElementOp(op)) {
    auto data = std::make_unique<ElementData>();
    data->op = *element;
    add(Opcode::Element, op, op->getOperands(), op->getResults()).data = std::move(data);
    return success();
  }
  return op->emitOpError("cannot be interpreted");
}

LogicalResult Compiler::compileFor(scf::ForOp op) {
  add(Opcode::Move, op, op.getLowerBound(), op.getInductionVar());
  move(op, op.getInitArgs(), op.getRegionIterArgs());
  int test = here();
  Value bounds[] = {op.getInductionVar(), op.getUpperBound()};
  int exit = addJump(Opcode::LoopTest, op, bounds);
  if (failed(compileBlock(*op.getBody())))
    return failure();
  move(op, op.getYieldedValues(), op.getRegionIterArgs());
  Value step[] = {op.getInductionVar(), op.getStep()};
  add(Opcode::LoopNext, op, step, op.getInductionVar()).target = test;
  land(exit);
  move(op, op.getRegionIterArgs(), op.getResults());
  return success();
}

LogicalResult Compiler::compileIf(scf::IfOp op) {
  int otherwise = addJump(Opcode::JumpUnless, op, op.getCondition());
  if (failed(compileBlock(*op.thenBlock())))
    return failure();
  if (op.getNumResults())
    move(op, op.thenYield().getResults(), op.getResults());
  if (!op.elseBlock()) {
    land(otherwise);
    return success();
  }
  int end = addJump(Opcode::Jump, op);
  land(otherwise);
  if (failed(compileBlock(*op.elseBlock())))
    return failure();
  if (op.getNumResults())
    move(op, op.elseYield().getResults(), op.getResults());
  land(end);
  return success();
}

LogicalResult Compiler::compileWhile(scf::WhileOp op) {
  move(op, op.getInits(), op.getBeforeArguments());
  int begin = here();
  if (failed(compileBlock(*op.getBeforeBody())))
    return failure();
  int exit = addJump(Opcode::JumpUnless, op, op.getConditionOp().getCondition());
  move(op, op.getConditionOp().getArgs(), op.getAfterArguments());
  if (failed(compileBlock(*op.getAfterBody())))
    return failure();
  move(op, op.getYieldOp().getResults(), op.getBeforeArguments());
  add(Opcode::Jump, op).target = begin;
  land(exit);
  move(op, op.getConditionOp().getArgs(), op.getResults());
  return success();
}

LogicalResult Compiler::compileSpecialize(SpecializeOp op) {
  code->isSpecialized = true;
  int producer = addJump(Opcode::JumpIfProducer, op);
  if (failed(compileBlock(op.getConsumer().front())))
    return failure();
  int end = addJump(Opcode::Jump, op);
  land(producer);
  if (failed(compileBlock(op.getProducer().front())))
    return failure();
  land(end);
  add(Opcode::LeaveRegion, op);
  return success();
}

LogicalResult Compiler::compileTileOp(Operation *op) {
  std::unique_ptr<InstructionData> data;
  bool hasData = true;
  // A map's body captures values: they get slots like its operands.
  if (auto map = dyn_cast<MapOp>(op))
    data = compileMap(map, slots);
  else if (auto reduce = dyn_cast<ReduceOp>(op))
    data = compileReduce(reduce);
  else if (auto convert = dyn_cast<ConvertOp>(op))
    data = compileConvert(convert);
  else if (auto pack = dyn_cast<PackNibblesOp>(op))
    data = compilePackNibbles(pack);
  else if (auto load = dyn_cast<LoadOp>(op))
    data = compileLoad(load);
  else if (auto store = dyn_cast<StoreOp>(op))
    data = compileStore(store);
  else
    hasData = false;
  if (hasData && !data)
    return failure();
  bool isKnown =
      hasData ||
      isa<BlockIdOp, BlockCountOp, UnitIdOp, AllocOp, StageOp, SubtileOp, FillOp, CopyOp,
          CopyAsyncOp, CommitGroupOp, WaitGroupOp, SyncOp, BarrierAllocOp, BarrierExpectOp,
          BarrierArriveOp, BarrierWaitOp, PrefetchOp, ReadOp, SplatOp, SliceOp, HadamardOp,
          ConcatOp, OrderAfterOp, ScheduleBarrierOp, MmaOp, MmaAsyncOp, WaitOp, CountOp, AwaitOp,
          GridWaitOp, GridReleaseOp, TicketsOp, PutOp, GetOp>(op);
  if (!isKnown)
    return op->emitOpError("cannot be interpreted: the interpreter works on fragments");
  for (Type type : op->getOperandTypes())
    if (isa<VectorType>(type))
      return op->emitOpError("cannot be interpreted on lane vectors");
  if (auto alloc = dyn_cast<AllocOp>(op)) {
    code->tileIndex[op] = static_cast<int>(code->tiles.size());
    code->tiles.push_back(alloc);
  }
  if (auto alloc = dyn_cast<BarrierAllocOp>(op)) {
    code->barrierIndex[op] = static_cast<int>(code->barriers.size());
    code->barriers.push_back(alloc);
  }
  add(Opcode::Tile, op, op->getOperands(), op->getResults()).data = std::move(data);
  return success();
}

std::unique_ptr<Code> compile(KernelOp kernel) { return Compiler(kernel).run(); }

} // namespace sage::tile::interpreter
