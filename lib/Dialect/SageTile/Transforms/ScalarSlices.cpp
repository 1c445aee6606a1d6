// Scalars of a loop body as functions of the induction variable, recomputed elsewhere.

#include "ScalarSlices.h"

#include "TileAccesses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace sage::tile {

FailureOr<Value> cloneScalar(OpBuilder &builder, Value value, Region &region, IRMapping &mapping) {
  if (Value mapped = mapping.lookupOrNull(value))
    return mapped;
  if (!region.isAncestor(value.getParentRegion()))
    return value;
  Operation *op = value.getDefiningOp();
  if (!op || !isScalarOp(op) || isa<UnitIdOp>(op) || op->getNumRegions() != 0) {
    InFlightDiagnostic diagnostic =
        emitError(value.getLoc(), "index of a copy must be computed from the induction variable "
                                  "and from scalars above the loop");
    if (op)
      diagnostic.attachNote(op->getLoc()) << "it depends on '" << op->getName() << "'";
    else
      diagnostic.attachNote(value.getLoc()) << "it depends on a loop-carried value";
    return failure();
  }
  for (Value operand : op->getOperands()) {
    FailureOr<Value> cloned = cloneScalar(builder, operand, region, mapping);
    if (failed(cloned))
      return failure();
    mapping.map(operand, *cloned);
  }
  builder.clone(*op, mapping);
  return mapping.lookup(value);
}

Value createIterationNumber(OpBuilder &builder, scf::ForOp loop, Value inductionVariable) {
  Location loc = loop.getLoc();
  Value number = inductionVariable;
  if (!isConstantIntValue(loop.getLowerBound(), 0))
    number = arith::SubIOp::create(builder, loc, number, loop.getLowerBound());
  if (!isConstantIntValue(loop.getStep(), 1))
    number = arith::DivUIOp::create(builder, loc, number, loop.getStep());
  return number;
}

Value createRemainder(OpBuilder &builder, Location loc, Value value, int64_t divisor) {
  return arith::RemUIOp::create(builder, loc, value,
                                arith::ConstantIndexOp::create(builder, loc, divisor));
}

Value createQuotient(OpBuilder &builder, Location loc, Value value, int64_t divisor) {
  return arith::DivUIOp::create(builder, loc, value,
                                arith::ConstantIndexOp::create(builder, loc, divisor));
}

} // namespace sage::tile
