// Construction and recognition of sage_tile.map.

#include "Maps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Iterators.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace sage::tile {

Value createMap(OpBuilder &builder, Location loc, FragmentType type, ValueRange inputs,
                ArrayRef<AffineMap> maps, MapBodyBuilder buildBody) {
  ArrayAttr mapsAttr = maps.empty() ? ArrayAttr() : builder.getAffineMapArrayAttr(maps);
  auto map = MapOp::create(builder, loc, type, inputs, mapsAttr, /*positions=*/false);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&map.getBody());
  for (Value input : inputs)
    body->addArgument(cast<FragmentType>(input.getType()).getElementType(), loc);
  Value element = buildBody(builder, body->getArguments());
  YieldOp::create(builder, loc, ValueRange(element));
  return map.getResult();
}

SmallVector<AffineMap> getInputMaps(MapOp map) {
  SmallVector<AffineMap> maps;
  for (unsigned i = 0; i < map.getInputs().size(); ++i)
    maps.push_back(map.getInputMap(i));
  return maps;
}

Value getYieldedValue(MapOp map) {
  return cast<YieldOp>(map.getBody().front().getTerminator()).getValues().front();
}

std::optional<unsigned> getInputNumber(MapOp map, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  unsigned positions = map.getPositions() ? 2 : 0;
  if (!argument || argument.getOwner() != &map.getBody().front() ||
      argument.getArgNumber() < positions)
    return std::nullopt;
  return argument.getArgNumber() - positions;
}

Value createFloat(OpBuilder &builder, Location loc, double value) {
  return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
}

Value createInteger(OpBuilder &builder, Location loc, int32_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(value));
}

bool isMinusInfinity(Value value) {
  FloatAttr attr;
  return matchPattern(value, m_Constant(&attr)) && attr.getValue().isInfinity() &&
         attr.getValue().isNegative();
}

void eraseDeadOps(Operation *root) {
  bool changed = true;
  while (changed) {
    changed = false;
    // Users come after definitions, so that a reversed post-order visit finds chains in one sweep.
    root->walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
      if (op == root || !isOpTriviallyDead(op))
        return;
      op->erase();
      changed = true;
    });
  }
}

} // namespace sage::tile
