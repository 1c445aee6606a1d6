// Affine maps of fragment operations become index tables, bodies of maps become register code.

#include "Code.h"

#include "mlir/IR/AffineExpr.h"

using namespace mlir;

namespace sage::tile::interpreter {

/// Where `map` takes element (row, column) of `to` in `from`, for all elements in row-major order.
static Gather getGather(FragmentType to, AffineMap map, FragmentType from) {
  if (map.isIdentity() && to.getShape() == from.getShape())
    return {};
  Gather gather;
  gather.reserve(to.getRows() * to.getColumns());
  for (int64_t row = 0; row < to.getRows(); ++row)
    for (int64_t column = 0; column < to.getColumns(); ++column) {
      int64_t r = *evaluate(map.getResult(0), {row, column});
      int64_t c = *evaluate(map.getResult(1), {row, column});
      gather.push_back(static_cast<int32_t>(r * from.getColumns() + c));
    }
  return gather;
}

std::unique_ptr<InstructionData> compileMap(MapOp op, SlotMap &slots) {
  auto data = std::make_unique<MapData>();
  SlotMap registers;
  Block &body = op.getBody().front();
  for (BlockArgument argument : body.getArguments())
    registers.get(argument);
  data->firstInput = op.getPositions() ? 2 : 0;
  for (auto [index, input] : llvm::enumerate(op.getInputs()))
    data->gathers.push_back(getGather(op.getResult().getType(), op.getInputMap(index),
                                      cast<FragmentType>(input.getType())));
  auto getRegister = [&](Value value) {
    bool isNew = !registers.contains(value);
    int reg = registers.get(value);
    if (isNew)
      data->captured.emplace_back(reg, slots.get(value));
    return reg;
  };
  for (Operation &nested : body.without_terminator()) {
    std::optional<ElementOp> element = getElementOp(&nested);
    if (!element) {
      nested.emitOpError("cannot be interpreted");
      return nullptr;
    }
    MapData::Step step;
    step.op = *element;
    for (Value operand : nested.getOperands())
      step.operands.push_back(getRegister(operand));
    step.result = registers.get(nested.getResult(0));
    data->steps.push_back(step);
  }
  data->result = getRegister(body.getTerminator()->getOperand(0));
  data->numRegisters = registers.size();
  return data;
}

std::unique_ptr<InstructionData> compileReduce(ReduceOp op) {
  auto data = std::make_unique<ReduceData>();
  FragmentType source = op.getSource().getType(), result = op.getResult().getType();
  AffineMap map = op.getReductionMap();
  std::vector<std::vector<int32_t>> groups(result.getRows() * result.getColumns());
  for (int64_t row = 0; row < source.getRows(); ++row)
    for (int64_t column = 0; column < source.getColumns(); ++column) {
      int64_t r = *evaluate(map.getResult(0), {row, column});
      int64_t c = *evaluate(map.getResult(1), {row, column});
      groups[r * result.getColumns() + c].push_back(
          static_cast<int32_t>(row * source.getColumns() + column));
    }
  for (const std::vector<int32_t> &group : groups) {
    data->first.push_back(static_cast<int32_t>(data->members.size()));
    data->members.insert(data->members.end(), group.begin(), group.end());
  }
  data->first.push_back(static_cast<int32_t>(data->members.size()));
  return data;
}

std::unique_ptr<InstructionData> compilePackNibbles(PackNibblesOp op) {
  auto data = std::make_unique<GatherData>();
  AffineExpr row = getAffineDimExpr(0, op.getContext()),
             column = getAffineDimExpr(1, op.getContext());
  // Of the low nibble; the high one is the element after it.
  AffineMap map = AffineMap::get(2, 0, {row, column * 2}, op.getContext());
  data->gather = getGather(op.getResult().getType(), map, op.getSource().getType());
  return data;
}

std::unique_ptr<InstructionData> compileConvert(ConvertOp op) {
  auto data = std::make_unique<GatherData>();
  MLIRContext *context = op.getContext();
  AffineExpr column = getAffineDimExpr(1, context);
  if (std::optional<AffineMap> order = op.getOrder())
    column = order->getResult(0).replaceDims({column});
  AffineMap map = AffineMap::get(2, 0, {getAffineDimExpr(0, context), column}, context);
  data->gather = getGather(op.getResult().getType(), map, op.getSource().getType());
  return data;
}

template <typename Op>
static std::unique_ptr<InstructionData> compileAccess(Op op, FragmentType fragment,
                                                      int firstIndex) {
  auto data = std::make_unique<AccessData>();
  AffineMap map = op.getAccessMap();
  data->numResults = map.getNumResults();
  data->numIndices = static_cast<int>(op.getIndices().size());
  int next = firstIndex + data->numIndices;
  data->limitOperand = op.getLimit() ? next++ : -1;
  data->columnLimitOperand = op.getColumnLimit() ? next : -1;
  data->columns = fragment.getColumns();
  data->accessedColumns = op.getColumns().value_or(fragment.getColumns());
  for (int64_t row = 0; row < fragment.getRows(); ++row)
    for (int64_t column = 0; column < fragment.getColumns(); ++column) {
      std::array<int32_t, 2> offset{};
      for (unsigned i = 0; i < map.getNumResults(); ++i) {
        std::optional<int64_t> value = evaluate(map.getResult(i), {row, column});
        if (!value) {
          op.emitOpError("map must not divide by a value that is not positive");
          return nullptr;
        }
        offset[i] = static_cast<int32_t>(*value);
      }
      data->offsets.push_back(offset);
    }
  return data;
}

std::unique_ptr<InstructionData> compileLoad(LoadOp op) {
  return compileAccess(op, op.getResult().getType(), 1);
}

std::unique_ptr<InstructionData> compileStore(StoreOp op) {
  return compileAccess(op, op.getValue().getType(), 2);
}

} // namespace sage::tile::interpreter
