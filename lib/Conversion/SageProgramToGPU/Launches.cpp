// Launches: grids, arguments, tensor maps.

#include "HostFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "sage/Schedule/ScheduleLookup.h"

using namespace mlir;
using namespace sage;

namespace {

constexpr StringLiteral encodeName = "sage_encode_tensor_map";
/// CUtensorMap is an opaque struct of 16 words, aligned to 64 bytes.
constexpr int64_t mapWords = 16, mapAlignment = 64;
constexpr unsigned rankLimit = 5;

/// Memory of this call where a tensor map is described and encoded; used by one map after the
/// other.
struct MapScratch {
  Value map, extents, strides, box;
};

class LaunchEmitter {
public:
  LaunchEmitter(HostValues &values, const LaunchContext &context)
      : values(values), context(context), program(context.program), checks(context.checks),
        pointer(LLVM::LLVMPointerType::get(values.getContext())) {}

  LogicalResult emit(Block &block) {
    for (Operation &op : block) {
      LogicalResult result = success();
      if (auto launch = dyn_cast<tile::LaunchOp>(op))
        result = emit(launch);
      else if (auto repeat = dyn_cast<tile::RepeatOp>(op))
        result = emit(repeat);
      if (failed(result))
        return failure();
    }
    return success();
  }

private:
  LogicalResult emit(tile::LaunchOp launch);
  LogicalResult emit(tile::RepeatOp repeat);
  FailureOr<LLVM::LLVMFuncOp> findKernel(tile::LaunchOp launch);
  Value getArgument(Attribute argument);
  Value getInteger(tile::IntegerArgAttr argument);
  Value getTensorMap(tile::TensorMapArgAttr argument);
  Value getAddress(StringRef buffer);
  Value toPointer(Value address) {
    return LLVM::IntToPtrOp::create(values, pointer, values.toI64(address));
  }
  Value constant(Type type, int64_t value) {
    return arith::ConstantOp::create(values, values.getIntegerAttr(type, value));
  }
  void createScratch();
  void declareEncoder();

  HostValues &values;
  const LaunchContext &context;
  tile::ProgramOp program;
  bool checks;
  Type pointer;
  MapScratch scratch;
};

FailureOr<LLVM::LLVMFuncOp> LaunchEmitter::findKernel(tile::LaunchOp launch) {
  Operation *symbol =
      SymbolTable::lookupNearestSymbolFrom(program->getParentOp(), launch.getKernelAttr());
  if (auto kernel = dyn_cast_or_null<LLVM::LLVMFuncOp>(symbol))
    return kernel;
  InFlightDiagnostic diagnostic = launch.emitOpError("kernel must be at the NVVM level, but got ")
                                  << launch.getKernelAttr();
  diagnostic.attachNote() << "run sage-to-nvvm before this pass, and gpu-module-to-binary after it";
  return diagnostic;
}

/// Those of the largest product with the kernel's chip: more blocks of a persistent kernel than run
/// at once do no harm.
static FailureOr<int64_t> getMultiprocessors(LLVM::LLVMFuncOp kernel) {
  ArrayAttr targets = kernel->getParentOfType<gpu::GPUModuleOp>().getTargetsAttr();
  auto target = targets && targets.size() == 1 ? dyn_cast<NVVM::NVVMTargetAttr>(targets[0])
                                               : NVVM::NVVMTargetAttr();
  if (!target)
    return kernel->emitOpError("persistent kernel must be in a module with one NVVM target");
  FailureOr<RatesAttr> rates =
      lookupRates(kernel->getContext(), target.getChip(), [&] { return kernel->emitOpError(); });
  if (failed(rates))
    return failure();
  return rates->getMultiprocessors();
}

LogicalResult LaunchEmitter::emit(tile::LaunchOp launch) {
  FailureOr<LLVM::LLVMFuncOp> kernel = findKernel(launch);
  if (failed(kernel))
    return failure();
  auto threads =
      (*kernel)->getAttrOfType<DenseI32ArrayAttr>(NVVM::NVVMDialect::getMaxntidAttrName());
  if (!threads || threads.empty())
    return kernel->emitOpError(
        "must have nvvm.maxntid, from which the launch takes its block size");
  auto shared = (*kernel)->getAttrOfType<IntegerAttr>("sage.shared_bytes");
  bool hasMap = llvm::any_of(launch.getArgs(), llvm::IsaPred<tile::TensorMapArgAttr>);
  if (hasMap && !scratch.map)
    createScratch();

  // An empty grid is a launch error.
  Value grid = values.evaluate(launch.getGrid());
  Value isNotEmpty =
      arith::CmpIOp::create(values, arith::CmpIPredicate::sgt, grid, values.constant(0));
  auto branch = scf::IfOp::create(values, isNotEmpty);
  OpBuilder::InsertionGuard guard(values);
  values.setInsertionPointToStart(branch.thenBlock());
  if (checks)
    emitCheck(
        values, program,
        arith::CmpIOp::create(values, arith::CmpIPredicate::sle, grid, values.constant(0x7fffffff)),
        "grid of kernel @" + kernel->getSymName() +
            " must be at most 2147483647: split the call by batches or heads");
  if ((*kernel)->hasAttr("sage.persistent")) {
    FailureOr<int64_t> blocks = getMultiprocessors(*kernel);
    if (failed(blocks))
      return failure();
    grid = arith::MinUIOp::create(values, grid, values.constant(*blocks));
  }
  SmallVector<Value> arguments;
  for (Attribute argument : launch.getArgs())
    arguments.push_back(getArgument(argument));
  Type i64 = values.getI64Type();
  auto getThreads = [&](unsigned axis) {
    return constant(i64, axis < threads.size() ? threads[axis] : 1);
  };
  Value one = constant(i64, 1);
  gpu::LaunchFuncOp::create(values, launch.getKernelAttr(),
                            gpu::KernelDim3{values.toI64(grid), one, one},
                            gpu::KernelDim3{getThreads(0), getThreads(1), getThreads(2)},
                            constant(values.getI32Type(), shared ? shared.getInt() : 0), arguments,
                            context.arguments.back());
  return success();
}

LogicalResult LaunchEmitter::emit(tile::RepeatOp repeat) {
  FailureOr<func::FuncOp> step = createStepFunction(values, repeat, context);
  if (failed(step))
    return failure();
  Value count = values.evaluate(repeat.getCount());
  auto loop = scf::ForOp::create(values, values.constant(0), count, values.constant(1));
  OpBuilder::InsertionGuard guard(values);
  values.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> arguments(context.arguments);
  arguments.push_back(loop.getInductionVar());
  func::CallOp::create(values, *step, arguments);
  return success();
}

Value LaunchEmitter::getArgument(Attribute argument) {
  if (auto buffer = dyn_cast<tile::PointerArgAttr>(argument))
    return toPointer(getAddress(buffer.getBuffer()));
  if (auto integer = dyn_cast<tile::IntegerArgAttr>(argument))
    return getInteger(integer);
  if (auto scale = dyn_cast<tile::ScaleArgAttr>(argument)) {
    // Rounded once, as the runtime does.
    double product = scale.getFactor().getValueAsDouble() * values.getSignature().scale;
    return arith::ConstantOp::create(values, values.getF32FloatAttr(static_cast<float>(product)));
  }
  return getTensorMap(cast<tile::TensorMapArgAttr>(argument));
}

Value LaunchEmitter::getInteger(tile::IntegerArgAttr argument) {
  Value value = values.toI64(values.evaluate(argument.getValue()));
  if (argument.getType().isInteger(64))
    return value;
  Value narrow = arith::TruncIOp::create(values, argument.getType(), value);
  if (checks) {
    Value again = arith::ExtSIOp::create(values, value.getType(), narrow);
    emitCheck(values, program,
              arith::CmpIOp::create(values, arith::CmpIPredicate::eq, again, value),
              "extents must be so small that 32-bit arguments hold them");
  }
  return narrow;
}

Value LaunchEmitter::getAddress(StringRef buffer) {
  if (auto slice = context.slices.find(buffer); slice != context.slices.end())
    return slice->second;
  return values.getView(*values.getSignature().find(buffer)).address;
}

//===----------------------------------------------------------------------===//
// Tensor maps
//===----------------------------------------------------------------------===//

void LaunchEmitter::declareEncoder() {
  Operation *module = program->getParentOp();
  if (SymbolTable::lookupSymbolIn(module, encodeName))
    return;
  OpBuilder builder = OpBuilder::atBlockBegin(&module->getRegion(0).front());
  Type i32 = builder.getI32Type();
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()),
                                  {pointer, i32, i32, pointer, pointer, pointer, pointer, i32});
  LLVM::LLVMFuncOp::create(builder, program.getLoc(), encodeName, type);
}

/// Once for a call, at the level of the function: memory of a loop's body would pile up.
void LaunchEmitter::createScratch() {
  declareEncoder();
  auto allocate = [&](Type type, int64_t count, unsigned alignment) -> Value {
    Value number = LLVM::ConstantOp::create(values, values.getI64IntegerAttr(count));
    return LLVM::AllocaOp::create(values, pointer, type, number, alignment);
  };
  scratch.map = allocate(values.getI64Type(), mapWords, mapAlignment);
  scratch.extents = allocate(values.getI64Type(), rankLimit, 8);
  scratch.strides = allocate(values.getI64Type(), rankLimit - 1, 8);
  scratch.box = allocate(values.getI32Type(), rankLimit, 4);
}

/// As `sage_encode_tensor_map` numbers them.
int64_t getElementCode(Type type) {
  if (type.getIntOrFloatBitWidth() == 8)
    return 0;
  return type.isF16() ? 1 : 2;
}

Value LaunchEmitter::getTensorMap(tile::TensorMapArgAttr argument) {
  Type i32 = values.getI32Type();
  auto store = [&](Value value, Value array, int32_t index) {
    Value place =
        LLVM::GEPOp::create(values, pointer, value.getType(), array, ArrayRef<LLVM::GEPArg>{index});
    LLVM::StoreOp::create(values, value, place);
  };
  int32_t rank = argument.getBox().size();
  for (int32_t i = 0; i < rank; ++i) {
    store(values.toI64(values.evaluate(argument.getExtents(), i)), scratch.extents, i);
    if (i + 1 < rank)
      store(values.toI64(values.evaluate(argument.getStrides(), i)), scratch.strides, i);
    store(constant(i32, argument.getBox()[i]), scratch.box, i);
  }
  Value call[] = {scratch.map,         constant(i32, getElementCode(argument.getElementType())),
                  constant(i32, rank), toPointer(getAddress(argument.getBuffer())),
                  scratch.extents,     scratch.strides,
                  scratch.box,         constant(i32, argument.getSwizzle())};
  LLVM::CallOp::create(values, TypeRange(), encodeName, call);
  auto words = LLVM::LLVMArrayType::get(values.getI64Type(), mapWords);
  return LLVM::LoadOp::create(values, words, scratch.map);
}

} // namespace

LogicalResult sage::emitLaunches(HostValues &values, Block &block, const LaunchContext &context) {
  return LaunchEmitter(values, context).emit(block);
}
