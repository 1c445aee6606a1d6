// Between thread blocks and between launches: counters, ids.

#include "sage/Dialect/SageTile/IR/SageTile.h"

using namespace mlir;

namespace sage::tile {

//===----------------------------------------------------------------------===//
// Counters
//===----------------------------------------------------------------------===//

static LogicalResult verifyCounters(Operation *op, Value counters) {
  auto type = cast<MemRefType>(counters.getType());
  if (type.getRank() != 1 || !type.getElementType().isInteger(32))
    return op->emitOpError("counters must be a memref of rank 1 of i32, but got ") << type;
  for (Operation *user : counters.getUsers())
    if (isa<LoadOp, ReadOp>(user)) {
      InFlightDiagnostic diagnostic =
          op->emitOpError("counters must be read by counting and waiting only");
      diagnostic.attachNote(user->getLoc()) << "read here";
      return diagnostic;
    }
  return success();
}

LogicalResult CountOp::verify() { return verifyCounters(*this, getCounters()); }
LogicalResult AwaitOp::verify() { return verifyCounters(*this, getCounters()); }
LogicalResult TicketsOp::verify() { return verifyCounters(*this, getCounters()); }

//===----------------------------------------------------------------------===//
// Numbers from a producer to its consumers
//===----------------------------------------------------------------------===//

/// Whether `op` is below a region of a `sage_tile.specialize`, the producer's or the consumers'.
static bool isIn(Operation *op, Region &(SpecializeOp::*region)()) {
  auto specialize = op->getParentOfType<SpecializeOp>();
  return specialize && (specialize.*region)().isAncestor(op->getParentRegion());
}

static LogicalResult verifyNumbers(Operation *op, SharedType type) {
  if (type.getRank() != 1 || !type.getElementType().isInteger(32))
    return op->emitOpError("numbers must be a vector of i32, but got ") << type;
  return success();
}

LogicalResult PutOp::verify() {
  if (!isIn(*this, &SpecializeOp::getProducer))
    return emitOpError("must be in a producer's region");
  return verifyNumbers(*this, getTarget().getType());
}

LogicalResult GetOp::verify() {
  if (!isIn(*this, &SpecializeOp::getConsumer))
    return emitOpError("must be in the consumers' region");
  return verifyNumbers(*this, getSource().getType());
}

} // namespace sage::tile
