// The functions of a host program: signatures, the workspace, the order of things.

#include "HostFunctions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sage;

namespace {
/// Offsets of the workspace slices, and the end of the last.
struct WorkspaceSlices {
  llvm::StringMap<Value> offsets;
  Value bytes;
};
} // namespace

static WorkspaceSlices layOutWorkspace(HostValues &values, tile::ProgramOp program) {
  WorkspaceSlices slices{{}, values.constant(0)};
  for (auto slice : program.getBody().getOps<tile::WorkspaceOp>()) {
    slices.offsets[slice.getName()] = slices.bytes;
    Value bytes = values.roundUp(values.evaluate(slice.getBytes()), workspaceAlignment);
    slices.bytes = arith::AddIOp::create(values, slices.bytes, bytes);
  }
  return slices;
}

static func::FuncOp createFunction(OpBuilder &builder, Location loc, const Twine &name,
                                   ArrayRef<Type> inputs, ArrayRef<Type> results) {
  auto function =
      func::FuncOp::create(builder, loc, name.str(), builder.getFunctionType(inputs, results));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(), builder.getUnitAttr());
  function.addEntryBlock();
  return function;
}

/// The size of the workspace, and room to align its start.
static void fillWorkspaceBytes(func::FuncOp function, const HostSignature &signature,
                               tile::ProgramOp program) {
  HostValues values(program.getLoc(), signature, function.getBody().front());
  Value bytes = layOutWorkspace(values, program).bytes;
  bool hasSlices = !program.getBody().getOps<tile::WorkspaceOp>().empty();
  if (hasSlices)
    bytes = arith::AddIOp::create(values, bytes, values.constant(workspaceAlignment - 1));
  func::ReturnOp::create(values, bytes);
}

/// Launches the kernels of `block` in a function of tensors, workspace and stream.
static LogicalResult fillLaunches(HostValues &values, func::FuncOp function,
                                  tile::ProgramOp program, Block &block, bool checks) {
  unsigned numTensors = values.getSignature().tensors.size();
  Value workspace = function.getArgument(numTensors);
  WorkspaceSlices slices = layOutWorkspace(values, program);
  Value start = memref::ExtractAlignedPointerAsIndexOp::create(values, workspace);
  Value aligned = values.roundUp(start, workspaceAlignment);
  if (checks && !slices.offsets.empty()) {
    Value has = memref::DimOp::create(values, workspace, 0);
    Value skipped = arith::SubIOp::create(values, aligned, start);
    Value needs = arith::AddIOp::create(values, slices.bytes, skipped);
    emitCheck(values, program, arith::CmpIOp::create(values, arith::CmpIPredicate::sge, has, needs),
              "workspace: bytes must be what @" + program.getSymName() + "_workspace_bytes says");
  }
  for (auto &slice : slices.offsets)
    slice.second = arith::AddIOp::create(values, aligned, slice.second);
  LaunchContext context{program, slices.offsets, function.getArguments().take_front(numTensors + 2),
                        checks};
  if (failed(emitLaunches(values, block, context)))
    return failure();
  func::ReturnOp::create(values);
  return success();
}

/// A function, so that the stack on which arguments are passed is given back after every step.
FailureOr<func::FuncOp> sage::createStepFunction(HostValues &values, tile::RepeatOp repeat,
                                                 const LaunchContext &context) {
  tile::ProgramOp program = context.program;
  OpBuilder builder(program);
  std::string name;
  for (unsigned i = 0; name.empty() || SymbolTable::lookupSymbolIn(program->getParentOp(), name);
       ++i)
    name = (program.getSymName() + "_step_" + Twine(i)).str();
  SmallVector<Type> types(context.arguments.getTypes());
  types.push_back(builder.getIndexType());
  auto function =
      func::FuncOp::create(builder, repeat.getLoc(), name, builder.getFunctionType(types, {}));
  function.setPrivate();
  HostValues inside(repeat.getLoc(), values.getSignature(), *function.addEntryBlock());
  inside.setStep(function.getArguments().back());
  if (failed(fillLaunches(inside, function, program, repeat.getBody().front(), context.checks)))
    return failure();
  return function;
}

static LogicalResult fillRun(func::FuncOp function, const HostSignature &signature,
                             tile::ProgramOp program, bool checks) {
  HostValues values(program.getLoc(), signature, function.getBody().front());
  if (checks)
    emitCallChecks(values, program);
  return fillLaunches(values, function, program, program.getBody().front(), checks);
}

FailureOr<HostFunctions> sage::createHostFunctions(tile::ProgramOp program, bool checks) {
  FailureOr<HostSignature> signature = HostSignature::get(program);
  if (failed(signature))
    return failure();
  std::string sizeName = (program.getSymName() + "_workspace_bytes").str();
  if (Operation *other = SymbolTable::lookupSymbolIn(program->getParentOp(), sizeName)) {
    InFlightDiagnostic diagnostic = program.emitOpError("function @")
                                    << sizeName << " must be new, but the module has one";
    diagnostic.attachNote(other->getLoc()) << "rename this symbol";
    return diagnostic;
  }
  OpBuilder builder(program);
  SmallVector<Type> types = signature->getTensorTypes();
  HostFunctions functions{*signature, {}, {}};
  functions.workspaceBytes =
      createFunction(builder, program.getLoc(), sizeName, types, builder.getIndexType());
  fillWorkspaceBytes(functions.workspaceBytes, *signature, program);
  types.push_back(MemRefType::get({ShapedType::kDynamic}, builder.getI8Type()));
  types.push_back(LLVM::LLVMPointerType::get(builder.getContext()));
  functions.run = createFunction(builder, program.getLoc(), program.getSymName(), types, {});
  if (failed(fillRun(functions.run, *signature, program, checks)))
    return failure();
  return functions;
}
