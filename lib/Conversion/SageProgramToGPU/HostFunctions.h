// The functions of a host program.

#ifndef SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTFUNCTIONS_H
#define SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTFUNCTIONS_H

#include "HostValues.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "sage/Conversion/SageProgramToGPU/Passes.h"

namespace sage {

struct HostFunctions {
  HostSignature signature;
  mlir::func::FuncOp run, workspaceBytes;
};

/// Writes the functions of `program` before it; the program stays.
mlir::FailureOr<HostFunctions> createHostFunctions(tile::ProgramOp program, bool checks);

/// Workspace slices start at multiples of this (docs/Artifact.md).
inline constexpr int64_t workspaceAlignment = 1024;

/// Asserts what the runtime checks at a launch: extents that agree, alignments, dense strides where
/// no expression names them.
void emitCallChecks(HostValues &values, tile::ProgramOp program);
/// Asserts that `condition` holds; `what` goes on with "must".
void emitCheck(HostValues &values, tile::ProgramOp program, mlir::Value condition,
               const llvm::Twine &what);

/// What launches are emitted from; `slices` are addresses.
struct LaunchContext {
  tile::ProgramOp program;
  const llvm::StringMap<mlir::Value> &slices;
  /// Of the function: tensors, workspace, stream.
  mlir::ValueRange arguments;
  bool checks;
};
/// Launches the kernels of `block` in order.
mlir::LogicalResult emitLaunches(HostValues &values, mlir::Block &block,
                                 const LaunchContext &context);
/// Writes the function that launches the kernels of `repeat` for one step, its last argument.
mlir::FailureOr<mlir::func::FuncOp> createStepFunction(HostValues &values, tile::RepeatOp repeat,
                                                       const LaunchContext &context);

/// Replaces `invoke` by a call.
mlir::LogicalResult convertInvoke(tile::InvokeOp invoke, const HostFunctions &functions,
                                  WorkspaceMemory memory);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTFUNCTIONS_H
