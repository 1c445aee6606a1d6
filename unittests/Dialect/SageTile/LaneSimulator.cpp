// Executes what `sage-tile-distribute` makes of loads and stores, lane after lane.

#include "LaneSimulator.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstring>

using namespace mlir;

namespace sage::tile {

static unsigned getWidth(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
}

static uint64_t truncate(uint64_t bits, unsigned width) {
  return width >= 64 ? bits : bits & ((uint64_t(1) << width) - 1);
}

static int64_t extendSign(uint64_t bits, unsigned width) {
  return width >= 64 ? int64_t(bits) : int64_t(bits << (64 - width)) >> (64 - width);
}

/// Elements in memory order: of `width` bits each.
static std::vector<uint8_t> toBytes(const std::vector<uint64_t> &elements, unsigned width) {
  std::vector<uint8_t> bytes;
  for (uint64_t element : elements)
    for (unsigned bit = 0; bit < width; bit += 8)
      bytes.push_back(uint8_t(element >> bit));
  return bytes;
}

static std::vector<uint64_t> fromBytes(const uint8_t *bytes, size_t count, unsigned width) {
  std::vector<uint64_t> elements(count, 0);
  for (size_t i = 0; i < count; ++i)
    std::memcpy(&elements[i], bytes + i * width / 8, width / 8);
  return elements;
}

LaneSimulator::LaneSimulator(KernelOp kernel, std::vector<LaneArgument> arguments)
    : kernel(kernel), arguments(std::move(arguments)) {}

bool LaneSimulator::fail(Operation &op, const std::string &message) {
  error = op.getName().getStringRef().str() + ": " + message;
  return false;
}

bool LaneSimulator::run() {
  uint64_t warps = kernel.getThreadsPerUnit() / 32;
  for (warp = 0; warp < warps; ++warp)
    for (lane = 0; lane < 32; ++lane) {
      values.clear();
      for (auto [argument, value] : llvm::zip_equal(kernel.getBody().getArguments(), arguments))
        values[argument] = {value.integer};
      if (!runBlock(kernel.getBody().front()))
        return false;
    }
  return true;
}

bool LaneSimulator::runBlock(Block &block) {
  for (Operation &op : block)
    if (!op.hasTrait<OpTrait::IsTerminator>() && !runOp(op))
      return false;
  return true;
}

bool LaneSimulator::runIf(Operation &op) {
  auto branch = cast<scf::IfOp>(op);
  Block *block = get(branch.getCondition())[0] ? branch.thenBlock() : branch.elseBlock();
  if (!block)
    return true;
  if (!runBlock(*block))
    return false;
  for (auto [result, value] :
       llvm::zip_equal(op.getResults(), block->getTerminator()->getOperands()))
    values[result] = Bits(get(value));
  return true;
}

uint8_t *LaneSimulator::getAddress(Operation &op, Value memory, ValueRange indices, int64_t bytes) {
  auto type = cast<MemRefType>(memory.getType());
  const LaneArgument &argument = arguments[cast<BlockArgument>(memory).getArgNumber()];
  int64_t element = 0;
  for (auto [index, stride] : llvm::zip_equal(indices, argument.strides))
    element += extendSign(get(index)[0], 64) * stride;
  int64_t at = element * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  if (at < 0 || at + bytes > argument.bytes) {
    fail(op, "outside of the memory");
    return nullptr;
  }
  if (at % bytes != 0) {
    fail(op, "access of " + std::to_string(bytes) + " bytes is not aligned");
    return nullptr;
  }
  return argument.data + at;
}

bool LaneSimulator::runOp(Operation &op) {
  if (isa<scf::IfOp>(op))
    return runIf(op);
  if (isa<LaneIdOp, WarpIdOp>(op)) {
    values[op.getResult(0)] = {isa<LaneIdOp>(op) ? lane : warp};
    return true;
  }
  if (auto load = dyn_cast<LaneLoadOp>(op)) {
    VectorType type = load.getResult().getType();
    unsigned width = getWidth(type);
    uint8_t *address =
        getAddress(op, load.getSource(), load.getIndices(), type.getNumElements() * width / 8);
    if (address)
      values[op.getResult(0)] = fromBytes(address, type.getNumElements(), width);
    return address;
  }
  if (auto store = dyn_cast<LaneStoreOp>(op)) {
    std::vector<uint8_t> bytes =
        toBytes(get(store.getValue()), getWidth(store.getValue().getType()));
    uint8_t *address = getAddress(op, store.getTarget(), store.getIndices(), bytes.size());
    if (address)
      std::copy(bytes.begin(), bytes.end(), address);
    return address;
  }
  return isa<vector::VectorDialect>(op.getDialect()) ? runVector(op) : runArithmetic(op);
}

bool LaneSimulator::runVector(Operation &op) {
  Bits result;
  if (auto insert = dyn_cast<vector::InsertStridedSliceOp>(op)) {
    result = get(insert.getDest());
    const Bits &part = get(insert.getValueToStore());
    llvm::copy(part, result.begin() + cast<IntegerAttr>(insert.getOffsets()[0]).getInt());
  } else if (auto extract = dyn_cast<vector::ExtractStridedSliceOp>(op)) {
    auto first =
        get(extract->getOperand(0)).begin() + cast<IntegerAttr>(extract.getOffsets()[0]).getInt();
    result.assign(first, first + extract.getType().getNumElements());
  } else if (auto cast = dyn_cast<vector::BitCastOp>(op)) {
    auto bytes = toBytes(get(cast.getSource()), getWidth(cast.getSource().getType()));
    result = fromBytes(bytes.data(), cast.getResultVectorType().getNumElements(),
                       getWidth(cast.getResultVectorType()));
  } else if (auto shuffle = dyn_cast<vector::ShuffleOp>(op)) {
    Bits both = get(shuffle.getV1());
    llvm::append_range(both, get(shuffle.getV2()));
    for (int64_t index : shuffle.getMask())
      result.push_back(both[index]);
  } else {
    return fail(op, "not known");
  }
  values[op.getResult(0)] = std::move(result);
  return true;
}

bool LaneSimulator::runArithmetic(Operation &op) {
  Bits result;
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto bits = [](Attribute value) {
      APInt integer = isa<FloatAttr>(value) ? cast<FloatAttr>(value).getValue().bitcastToAPInt()
                                            : cast<IntegerAttr>(value).getValue();
      return integer.getZExtValue();
    };
    if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue()))
      for (Attribute value : dense.getValues<Attribute>())
        result.push_back(bits(value));
    else
      result.push_back(bits(constant.getValue()));
    values[op.getResult(0)] = std::move(result);
    return true;
  }
  using Function = uint64_t (*)(uint64_t, uint64_t);
  auto binary =
      TypeSwitch<Operation *, Function>(&op)
          .Case<arith::AddIOp>([](auto) { return [](uint64_t a, uint64_t b) { return a + b; }; })
          .Case<arith::SubIOp>([](auto) { return [](uint64_t a, uint64_t b) { return a - b; }; })
          .Case<arith::MulIOp>([](auto) { return [](uint64_t a, uint64_t b) { return a * b; }; })
          .Case<arith::AndIOp>([](auto) { return [](uint64_t a, uint64_t b) { return a & b; }; })
          .Case<arith::OrIOp>([](auto) { return [](uint64_t a, uint64_t b) { return a | b; }; })
          .Case<arith::ShLIOp>([](auto) { return [](uint64_t a, uint64_t b) { return a << b; }; })
          .Case<arith::ShRUIOp>([](auto) { return [](uint64_t a, uint64_t b) { return a >> b; }; })
          .Default([](auto) { return Function(); });
  if (op.getNumResults() != 1)
    return fail(op, "not known");
  unsigned from = getWidth(op.getOperand(0).getType()), to = getWidth(op.getResult(0).getType());
  for (size_t i = 0, count = get(op.getOperand(0)).size(); i < count; ++i) {
    uint64_t a = get(op.getOperand(0))[i];
    if (binary)
      result.push_back(truncate(binary(a, get(op.getOperand(1))[i]), to));
    else if (auto compare = dyn_cast<arith::CmpIOp>(op))
      result.push_back(arith::applyCmpPredicate(compare.getPredicate(), APInt(from, a),
                                                APInt(from, get(op.getOperand(1))[i])));
    else if (isa<arith::ExtUIOp>(op))
      result.push_back(a);
    else if (isa<arith::IndexCastOp>(op))
      result.push_back(truncate(extendSign(a, from), to));
    else
      return fail(op, "not known");
  }
  values[op.getResult(0)] = std::move(result);
  return true;
}

} // namespace sage::tile
