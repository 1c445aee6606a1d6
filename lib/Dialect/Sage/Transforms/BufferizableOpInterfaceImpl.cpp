// One-shot bufferization of `sage.attention`: inputs are read; outputs are written and not read.

#include "sage/Dialect/Sage/Transforms/BufferizableOpInterfaceImpl.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectRegistry.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace sage;

namespace {
struct AttentionModel : DstBufferizableOpInterfaceExternalModel<AttentionModel, AttentionOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    auto attention = cast<AttentionOp>(op);
    // Rows that are in no sequence keep what the outputs hold (Spec N17).
    return attention.isPacked() || !attention.isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options, BufferizationState &state) const {
    auto attention = cast<AttentionOp>(op);
    if (!attention.hasPureTensorSemantics())
      return success();
    SmallVector<Value> buffers;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    OperationState onBuffers(op->getLoc(), op->getName(), buffers, /*types=*/TypeRange(),
                             op->getAttrs());
    rewriter.create(onBuffers);
    replaceOpWithBufferizedValues(rewriter, op,
                                  ArrayRef(buffers).take_back(attention.getOutputs().size()));
    return success();
  }
};
} // namespace

void sage::registerBufferizableOpInterfaceExternalModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, SageDialect *) {
    AttentionOp::attachInterface<AttentionModel>(*context);
  });
}
