// Calls of a host program's functions.

#include "HostFunctions.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sage;

namespace {

class InvokeConversion {
public:
  InvokeConversion(tile::InvokeOp invoke, HostFunctions functions, WorkspaceMemory memory)
      : invoke(invoke), functions(functions), memory(memory),
        builder(invoke.getLoc(), invoke.getOperation()),
        pointer(LLVM::LLVMPointerType::get(builder.getContext())),
        workspaceType(MemRefType::get({ShapedType::kDynamic}, builder.getI8Type())) {}

  LogicalResult run() {
    if (failed(bufferizeOperands()))
      return failure();
    emitCall();
    replaceResults();
    return success();
  }

private:
  LogicalResult bufferizeOperands();
  /// `value` as the buffer that argument `tensor` takes; remembers the buffer with its own extents.
  LogicalResult addOperand(Value value, const HostTensor &tensor);
  void emitCall();
  void callOnDeviceMemory(Value bytes);
  void callOnHostMemory(Value bytes);
  LLVM::CallOp callWrapper(StringRef name, TypeRange results, ValueRange operands);
  void replaceResults();

  tile::InvokeOp invoke;
  HostFunctions functions;
  WorkspaceMemory memory;
  ImplicitLocOpBuilder builder;
  Type pointer;
  MemRefType workspaceType;
  SmallVector<Value> arguments, outputs;
};

LogicalResult InvokeConversion::bufferizeOperands() {
  SmallVector<Value> operands(invoke.getInputs());
  llvm::append_range(operands, invoke.getOutputs());
  ArrayRef<HostTensor> tensors = functions.signature.tensors;
  if (operands.size() != tensors.size()) {
    InFlightDiagnostic diagnostic = invoke.emitOpError("must have ")
                                    << tensors.size() << " operands, but got " << operands.size();
    diagnostic.attachNote(functions.run.getLoc())
        << "the program takes query, key, value, then what its problem names, output and lse";
    return diagnostic;
  }
  for (auto [operand, tensor] : llvm::zip_equal(operands, tensors))
    if (failed(addOperand(operand, tensor)))
      return failure();
  return success();
}

LogicalResult InvokeConversion::addOperand(Value value, const HostTensor &tensor) {
  auto refuse = [&](Type expected) {
    InFlightDiagnostic diagnostic = invoke.emitOpError()
                                    << tensor.name << " must be a buffer of type " << expected
                                    << ", but got " << value.getType();
    diagnostic.attachNote() << "the last dimension must be dense, in the default memory space";
    return diagnostic;
  };
  if (auto type = dyn_cast<RankedTensorType>(value.getType())) {
    if (type.getRank() != tensor.type.getRank())
      return refuse(tensor.type);
    auto buffer = MemRefType::get(type.getShape(), type.getElementType(), tensor.type.getLayout());
    value = bufferization::ToBufferOp::create(builder, buffer, value, !tensor.isOutput);
  }
  auto type = dyn_cast<MemRefType>(value.getType());
  if (!type || !memref::CastOp::areCastCompatible(type, tensor.type))
    return refuse(tensor.type);
  // A cast may assume strides that the type leaves open.
  if (type.getStridesAndOffset().first.back() != 1 &&
      tensor.type.getStridesAndOffset().first.back() == 1)
    return refuse(tensor.type);
  if (tensor.isOutput)
    outputs.push_back(value);
  if (type != tensor.type)
    value = memref::CastOp::create(builder, tensor.type, value);
  arguments.push_back(value);
  return success();
}

/// Calls one of the functions that gpu-to-llvm calls too, and declares them alike.
LLVM::CallOp InvokeConversion::callWrapper(StringRef name, TypeRange results, ValueRange operands) {
  auto module = invoke->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol(name)) {
    Type result = results.empty() ? LLVM::LLVMVoidType::get(builder.getContext()) : results[0];
    OpBuilder atStart = OpBuilder::atBlockBegin(module.getBody());
    LLVM::LLVMFuncOp::create(
        atStart, invoke.getLoc(), name,
        LLVM::LLVMFunctionType::get(result, SmallVector<Type>(operands.getTypes())));
  }
  return LLVM::CallOp::create(builder, results, name, operands);
}

void InvokeConversion::emitCall() {
  Value bytes = func::CallOp::create(builder, functions.workspaceBytes, arguments).getResult(0);
  if (memory == WorkspaceMemory::Gpu)
    callOnDeviceMemory(bytes);
  else
    callOnHostMemory(bytes);
}

/// The stream is that of a token of the gpu dialect, which gpu-to-llvm creates, waits for and
/// destroys.
void InvokeConversion::callOnDeviceMemory(Value bytes) {
  Type token = gpu::AsyncTokenType::get(builder.getContext());
  Value stream = gpu::WaitOp::create(builder, token, ValueRange()).getAsyncToken();
  auto workspace = gpu::AllocOp::create(builder, workspaceType, token, ValueRange(stream),
                                        ValueRange(bytes), ValueRange());
  Value ready = workspace.getAsyncToken();
  Value handle = UnrealizedConversionCastOp::create(builder, pointer, ready).getResult(0);
  arguments.append({workspace.getMemref(), handle});
  func::CallOp::create(builder, functions.run, arguments);
  Value done = gpu::DeallocOp::create(builder, token, ValueRange(ready), workspace.getMemref())
                   .getAsyncToken();
  gpu::WaitOp::create(builder, Type(), ValueRange(done));
}

/// No operation of the gpu dialect stands between the start and the end of the stream, and a wait
/// for a fresh token is folded away: the calls that gpu-to-llvm would make.
void InvokeConversion::callOnHostMemory(Value bytes) {
  Value workspace = memref::AllocOp::create(builder, workspaceType, bytes);
  Value stream = callWrapper("mgpuStreamCreate", pointer, {}).getResult();
  arguments.append({workspace, stream});
  func::CallOp::create(builder, functions.run, arguments);
  callWrapper("mgpuStreamSynchronize", {}, stream);
  callWrapper("mgpuStreamDestroy", {}, stream);
  memref::DeallocOp::create(builder, workspace);
}

void InvokeConversion::replaceResults() {
  SmallVector<Value> results;
  for (auto [result, output] : llvm::zip(invoke.getResults(), outputs))
    results.push_back(bufferization::ToTensorOp::create(builder, result.getType(), output,
                                                        /*restrict=*/true, /*writable=*/true));
  invoke->replaceAllUsesWith(results);
  invoke.erase();
}

} // namespace

LogicalResult sage::convertInvoke(tile::InvokeOp invoke, const HostFunctions &functions,
                                  WorkspaceMemory memory) {
  return InvokeConversion(invoke, functions, memory).run();
}
