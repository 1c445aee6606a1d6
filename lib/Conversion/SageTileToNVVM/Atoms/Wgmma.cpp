// wgmma products of one warpgroup (PTX ISA, "Asynchronous warpgroup level matrix instructions").

#include "../KernelLowering.h"
#include "InlinePtx.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace sage::tile {
namespace {

int64_t getRowBytes(SharedType type) {
  return type.getShape()[1] * type.getElementType().getIntOrFloatBitWidth() / 8;
}

/// The descriptor of a K-major tile, `bytes` from its start. The words are joined last: ptxas 13.0
/// drops the upper half of a 64-bit constant that is added to a uniform value, and LLVM would fold
/// 64-bit arithmetic into that form.
Value getDescriptor(KernelLowering &lowering, Value tile, int64_t bytes) {
  auto type = cast<SharedType>(tile.getType());
  Value low = lowering.getTile(tile).descriptor;
  if (bytes != 0)
    low = lowering.add(low, lowering.constant(bytes / 16));
  // Stride between groups of 8 rows in units of 16 bytes; swizzling mode in the top bits.
  int64_t mode = type.getSwizzle() == 128 ? 1 : type.getSwizzle() == 64 ? 2 : 3;
  int64_t high = (8 * getRowBytes(type) / 16) | (mode << 30);
  Value words = lowering.fromElements({low, lowering.constant(int32_t(uint32_t(high)))});
  return LLVM::BitcastOp::create(lowering.builder, lowering.getLoc(), lowering.builder.getI64Type(),
                                 words);
}

/// The most columns up to `columns` that one instruction computes; integers have fewer choices.
int64_t getInstructionColumns(int64_t columns, Type operand) {
  int64_t most = std::min<int64_t>(columns, 256);
  if (!operand.isInteger(8) || most <= 24 || most == 32)
    return most;
  return most / 16 * 16;
}

/// A product that has been checked and taken apart.
struct Product {
  SharedType b;
  SmallVector<StringRef> kinds;
  Type registerType;
  int64_t columns, depthBytes, registersPerColumnBlock;
};

StringRef getKind(Type type) {
  if (type.isInteger(8))
    return "s8";
  if (isa<Float8E4M3FNType>(type))
    return "e4m3";
  if (isa<Float8E5M2Type>(type))
    return "e5m2";
  if (type.isBF16())
    return "bf16";
  if (type.isF16())
    return "f16";
  return type.isF32() ? "f32" : "s32";
}

template <typename Op> FailureOr<Product> getProduct(Op op, KernelLowering &lowering) {
  SharedType b = op.getB().getType();
  if (op.getInt4()) {
    InFlightDiagnostic diagnostic = op.emitOpError("product of a warpgroup must be of whole bytes");
    diagnostic.attachNote() << "unpack 4-bit integers to i8: wgmma has no 4-bit operands";
    return diagnostic;
  }
  if (std::optional<int64_t> chip = lowering.getChip(); chip && *chip != 90) {
    InFlightDiagnostic diagnostic =
        op.emitOpError("product of a warpgroup must be for sm_90a, but the target is sm_") << *chip;
    diagnostic.attachNote() << "other chips multiply in kernels whose unit is a warp";
    return diagnostic;
  }
  auto accumulator = cast<VectorType>(AsyncType::getArrived(op.getAccumulator().getType()));
  Product product;
  product.b = b;
  Type element = b.getElementType();
  product.kinds = {getKind(accumulator.getElementType()), getKind(element), getKind(element)};
  bool isHalf = accumulator.getElementType().isF16();
  product.registerType =
      isHalf ? IntegerType::get(op.getContext(), 32) : accumulator.getElementType();
  product.registersPerColumnBlock = isHalf ? 2 : 4;
  product.columns = b.getShape()[0];
  product.depthBytes = getRowBytes(b);
  for (Value operand : {Value(op.getA()), Value(op.getB())})
    if (auto tile = dyn_cast<SharedType>(operand.getType()); tile && tile.getSwizzle() == 0)
      return op.emitOpError("tile must be swizzled for wgmma, but got ") << tile;
  if (product.columns % 8 != 0 || accumulator.getNumElements() != product.columns / 8 * 4)
    return op.emitOpError("product must have 64 rows and columns in eights, but got ")
           << accumulator << " for " << product.columns << " columns";
  return product;
}

/// `vector` in 32-bit registers.
SmallVector<Value> toRegisters(KernelLowering &lowering, Value vector) {
  auto type = cast<VectorType>(vector.getType());
  if (type.getElementTypeBitWidth() == 16)
    vector = vector::BitCastOp::create(
        lowering.builder, lowering.getLoc(),
        VectorType::get({type.getNumElements() / 2}, lowering.builder.getI32Type()), vector);
  return lowering.toElements(vector);
}

Value fromRegisters(KernelLowering &lowering, ArrayRef<Value> registers, VectorType type) {
  Value vector = lowering.fromElements(registers);
  if (vector.getType() != type)
    vector = vector::BitCastOp::create(lowering.builder, lowering.getLoc(), type, vector);
  return vector;
}

bool isZero(Value value) {
  return matchPattern(value, m_AnyZeroFloat()) || matchPattern(value, m_Zero());
}

/// Issues the product as a group of its own; `read` receives the registers of A.
template <typename Op>
FailureOr<SmallVector<Value>> emitProduct(Op op, KernelLowering &lowering,
                                          SmallVector<Value> &read) {
  FailureOr<Product> product = getProduct(op, lowering);
  if (failed(product))
    return failure();
  OpBuilder &builder = lowering.builder;
  Location loc = op.getLoc();
  bool fresh = isZero(op.getAccumulator());
  SmallVector<Value> all;
  if (!fresh)
    all = toRegisters(lowering, lowering.getInFlight(op.getAccumulator()));
  if (!isa<SharedType>(op.getA().getType()))
    read = toRegisters(lowering, op.getA());

  if (!lowering.isFenced())
    NVVM::WgmmaFenceAlignedOp::create(builder, loc);
  SmallVector<Value> results;
  int64_t depth = product->b.getElementType().getIntOrFloatBitWidth() == 8 ? 32 : 16;
  for (int64_t column = 0, width; column < product->columns; column += width) {
    width = getInstructionColumns(product->columns - column, product->b.getElementType());
    SmallVector<Value> part;
    if (!fresh)
      part.assign(all.begin() + column / 8 * product->registersPerColumnBlock,
                  all.begin() + (column + width) / 8 * product->registersPerColumnBlock);
    for (int64_t byte = 0; byte < product->depthBytes; byte += 32) {
      SmallVector<Value> a;
      if (read.empty())
        a.push_back(getDescriptor(lowering, op.getA(), byte));
      else
        a.assign(read.begin() + byte / 8, read.begin() + byte / 8 + 4);
      Value b = getDescriptor(lowering, op.getB(), column * product->depthBytes + byte);
      part =
          emitWgmma(builder, loc, width, depth, product->kinds, product->registerType, part, a, b);
    }
    llvm::append_range(results, part);
  }
  NVVM::WgmmaGroupSyncAlignedOp::create(builder, loc);
  return results;
}

} // namespace

LogicalResult lowerWgmma(MmaOp op, KernelLowering &lowering) {
  SmallVector<Value> read;
  FailureOr<SmallVector<Value>> registers = emitProduct(op, lowering, read);
  if (failed(registers))
    return failure();
  SmallVector<Value> done = emitWgmmaWait(lowering.builder, op.getLoc(), 0, *registers, read);
  op.getResult().replaceAllUsesWith(
      fromRegisters(lowering, done, cast<VectorType>(op.getResult().getType())));
  return success();
}

LogicalResult lowerWgmmaAsync(MmaAsyncOp op, KernelLowering &lowering) {
  SmallVector<Value> read;
  FailureOr<SmallVector<Value>> registers = emitProduct(op, lowering, read);
  if (failed(registers))
    return failure();
  auto type = cast<VectorType>(op.getResult().getType().getValueType());
  lowering.setInFlight(op.getResult(), fromRegisters(lowering, *registers, type));
  // A product that continues another keeps what that one reads too.
  llvm::append_range(read, lowering.getRegistersRead(op.getAccumulator()));
  lowering.getRegistersRead(op.getResult()) = read;
  return success();
}

LogicalResult lowerWgmmaWait(WaitOp op, KernelLowering &lowering) {
  // A carried value has changed its type with the loop that carries it.
  Value source = op->getOperand(0);
  Value vector = lowering.getInFlight(source);
  SmallVector<Value> done =
      emitWgmmaWait(lowering.builder, op.getLoc(), op.getPending(), toRegisters(lowering, vector),
                    lowering.getRegistersRead(source));
  op.getResult().replaceAllUsesWith(
      fromRegisters(lowering, done, cast<VectorType>(vector.getType())));
  return success();
}

} // namespace sage::tile
