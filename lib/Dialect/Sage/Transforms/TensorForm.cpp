// The passes of the `sage` dialect work on tensors.

#include "TensorForm.h"

using namespace mlir;

LogicalResult sage::requireTensors(AttentionOp op) {
  if (op.hasPureTensorSemantics())
    return success();
  auto diagnostic = op.emitOpError() << "operands must be tensors for this pass, but got "
                                     << op.getQuery().getType();
  diagnostic.attachNote() << "run the pass before bufferization";
  return diagnostic;
}
