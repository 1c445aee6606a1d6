// mma.sync products of one warp, and the ldmatrix loads of their operands.

#include "../KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sage::tile {
namespace {

/// One instruction: 16 rows, 8 columns and 32 bytes of depth; A has four words and B two. `c` are
/// the four elements of the accumulator that a lane holds.
using Atom = SmallVector<Value> (*)(KernelLowering &, ArrayRef<Value> a, ArrayRef<Value> b,
                                    ArrayRef<Value> c);

SmallVector<Value> extractAll(KernelLowering &lowering, Value structure, int64_t count) {
  SmallVector<Value> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(
        LLVM::ExtractValueOp::create(lowering.builder, lowering.getLoc(), structure, i));
  return values;
}

Type getStruct(ArrayRef<Value> values) {
  return LLVM::LLVMStructType::getLiteral(values.front().getContext(),
                                          SmallVector<Type>(ValueRange(values).getTypes()));
}

SmallVector<Value> m16n8k32_s32_s8_s8(KernelLowering &lowering, ArrayRef<Value> a,
                                      ArrayRef<Value> b, ArrayRef<Value> c) {
  auto op = NVVM::MmaOp::create(
      lowering.builder, lowering.getLoc(), getStruct(c), a, b, c, ArrayRef<int64_t>{16, 8, 32},
      std::nullopt, NVVM::MMAIntOverflow::wrapped,
      std::array<NVVM::MMATypes, 2>{NVVM::MMATypes::s8, NVVM::MMATypes::s8},
      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col});
  return extractAll(lowering, op.getRes(), 4);
}

SmallVector<Value> callIntrinsic(KernelLowering &lowering, StringRef name, Type type,
                                 ArrayRef<Value> a, ArrayRef<Value> b, ArrayRef<Value> c,
                                 int64_t count) {
  SmallVector<Value> operands(a);
  llvm::append_range(operands, b);
  llvm::append_range(operands, c);
  auto call = LLVM::CallIntrinsicOp::create(lowering.builder, lowering.getLoc(), type,
                                            lowering.builder.getStringAttr(name), operands);
  return extractAll(lowering, call.getResults(), count);
}

SmallVector<Value> m16n8k32_f32_e4m3_e4m3(KernelLowering &lowering, ArrayRef<Value> a,
                                          ArrayRef<Value> b, ArrayRef<Value> c) {
  return callIntrinsic(lowering, "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32", getStruct(c),
                       a, b, c, 4);
}

/// `values` two by two, as vectors.
SmallVector<Value> toPairs(KernelLowering &lowering, ArrayRef<Value> values) {
  SmallVector<Value> pairs;
  for (size_t i = 0; i < values.size(); i += 2)
    pairs.push_back(lowering.fromElements(values.slice(i, 2)));
  return pairs;
}

SmallVector<Value> m16n8k32_f16_e4m3_e4m3(KernelLowering &lowering, ArrayRef<Value> a,
                                          ArrayRef<Value> b, ArrayRef<Value> c) {
  SmallVector<Value> pairs = toPairs(lowering, c), result;
  pairs = callIntrinsic(lowering, "llvm.nvvm.mma.m16n8k32.row.col.f16.e4m3.e4m3.f16",
                        getStruct(pairs), a, b, pairs, 2);
  for (Value pair : pairs)
    llvm::append_range(result, lowering.toElements(pair));
  return result;
}

SmallVector<Value> asHalves(KernelLowering &lowering, ArrayRef<Value> words) {
  auto type = VectorType::get({2}, lowering.builder.getF16Type());
  return llvm::map_to_vector(words, [&](Value word) -> Value {
    return LLVM::BitcastOp::create(lowering.builder, lowering.getLoc(), type, word);
  });
}

SmallVector<Value> m16n8k16_f32_f16_f16(KernelLowering &lowering, ArrayRef<Value> a,
                                        ArrayRef<Value> b, ArrayRef<Value> c) {
  return callIntrinsic(lowering, "llvm.nvvm.mma.m16n8k16.row.col.f32.f32", getStruct(c),
                       asHalves(lowering, a), asHalves(lowering, b), c, 4);
}

SmallVector<Value> m16n8k16_f16_f16_f16(KernelLowering &lowering, ArrayRef<Value> a,
                                        ArrayRef<Value> b, ArrayRef<Value> c) {
  SmallVector<Value> pairs = toPairs(lowering, c), result;
  pairs = callIntrinsic(lowering, "llvm.nvvm.mma.m16n8k16.row.col.f16.f16", getStruct(pairs),
                        asHalves(lowering, a), asHalves(lowering, b), pairs, 2);
  for (Value pair : pairs)
    llvm::append_range(result, lowering.toElements(pair));
  return result;
}

SmallVector<Value> m16n8k16_f32_bf16_bf16(KernelLowering &lowering, ArrayRef<Value> a,
                                          ArrayRef<Value> b, ArrayRef<Value> c) {
  return callIntrinsic(lowering, "llvm.nvvm.mma.m16n8k16.row.col.bf16", getStruct(c), a, b, c, 4);
}

/// Null if there is none.
Atom getAtom(Type operand, Type accumulator) {
  if (operand.isInteger(8))
    return m16n8k32_s32_s8_s8;
  if (isa<Float8E4M3FNType>(operand))
    return accumulator.isF16() ? m16n8k32_f16_e4m3_e4m3 : m16n8k32_f32_e4m3_e4m3;
  if (operand.isF16())
    return accumulator.isF16() ? m16n8k16_f16_f16_f16 : m16n8k16_f32_f16_f16;
  return operand.isBF16() ? m16n8k16_f32_bf16_bf16 : nullptr;
}

//===----------------------------------------------------------------------===//
// Operands in shared memory
//===----------------------------------------------------------------------===//

SmallVector<Value> emitLdMatrix(KernelLowering &lowering, Value pointer, int64_t count) {
  OpBuilder &builder = lowering.builder;
  Type i32 = builder.getI32Type(), type = i32;
  if (count > 1)
    type = LLVM::LLVMStructType::getLiteral(builder.getContext(), SmallVector<Type>(count, i32));
  MLIRContext *context = builder.getContext();
  Value result = NVVM::LdMatrixOp::create(
      builder, lowering.getLoc(), type, pointer, builder.getI32IntegerAttr(count),
      NVVM::MMALayoutAttr::get(context, NVVM::MMALayout::row),
      NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
      NVVM::LdStMatrixEltTypeAttr::get(context, NVVM::LdStMatrixEltType::B16));
  return count == 1 ? SmallVector<Value>{result} : extractAll(lowering, result, count);
}

/// Addresses of four 8x16-byte matrices that cover 16 rows and 32 bytes of a tile.
class MatrixAddresses {
public:
  /// With `rowsFirst`, matrices 0 and 1 are two groups of rows (A operand); else two groups of
  /// columns (B operand).
  MatrixAddresses(KernelLowering &lowering, Value tile, bool rowsFirst)
      : lowering(lowering), type(cast<SharedType>(tile.getType())) {
    Value lane = lowering.getLane();
    Value rowInMatrix = lowering.mask(lane, 7);
    Value bit3 = lowering.mask(lowering.shiftRight(lane, 3), 1),
          bit4 = lowering.shiftRight(lane, 4);
    Value row = lowering.add(rowInMatrix, lowering.mul(rowsFirst ? bit3 : bit4, 8));
    Value column = lowering.mul(rowsFirst ? bit4 : bit3, 16);
    rowBytes = type.getShape()[1] * type.getElementType().getIntOrFloatBitWidth() / 8;
    // The swizzle depends on the row in the matrix only, and a step in depth changes higher bits
    // than `column`: what is XORed once serves all steps.
    swizzledColumn = column;
    if (Value pattern = lowering.getSwizzlePattern(type, rowInMatrix))
      swizzledColumn = arith::XOrIOp::create(lowering.builder, lowering.getLoc(), column, pattern);
    rowPointer = lowering.offset(lowering.getTile(tile).pointer, lowering.mul(row, rowBytes));
  }

  /// The lane's address for the matrices that start at (row, byte); `row` is a multiple of 8,
  /// `byte` of 32.
  Value get(int64_t row, int64_t byte) {
    Value &pointer = pointers[byte];
    if (!pointer) {
      Value column = swizzledColumn;
      if (byte != 0)
        column = type.getSwizzle() != 0 ? arith::XOrIOp::create(lowering.builder, lowering.getLoc(),
                                                                column, lowering.constant(byte))
                                              .getResult()
                                        : lowering.add(column, lowering.constant(byte));
      pointer = lowering.offset(rowPointer, column);
    }
    return lowering.offset(pointer, row * rowBytes);
  }

private:
  KernelLowering &lowering;
  SharedType type;
  int64_t rowBytes;
  Value swizzledColumn, rowPointer;
  llvm::SmallDenseMap<int64_t, Value> pointers;
};

/// All words of an A operand, 16 rows after 16 rows, 32 bytes of depth after 32 bytes.
SmallVector<Value> getOperandA(MmaOp op, int64_t rows, int64_t depthBytes,
                               KernelLowering &lowering) {
  SmallVector<Value> words;
  if (isa<SharedType>(op.getA().getType())) {
    MatrixAddresses addresses(lowering, op.getA(), /*rowsFirst=*/true);
    for (int64_t row = 0; row < rows; row += 16)
      for (int64_t byte = 0; byte < depthBytes; byte += 32)
        llvm::append_range(words, emitLdMatrix(lowering, addresses.get(row, byte), 4));
    return words;
  }
  Value a = op.getA();
  auto type = cast<VectorType>(a.getType());
  if (type.getElementTypeBitWidth() == 16)
    a = vector::BitCastOp::create(
        lowering.builder, op.getLoc(),
        VectorType::get({type.getNumElements() / 2}, lowering.builder.getI32Type()), a);
  return lowering.toElements(a);
}

} // namespace

LogicalResult lowerMmaSync(MmaOp op, KernelLowering &lowering) {
  SharedType b = op.getB().getType();
  auto accumulatorType = cast<VectorType>(op.getAccumulator().getType());
  Atom atom = getAtom(b.getElementType(), accumulatorType.getElementType());
  int64_t columns = b.getShape()[0];
  int64_t depthBytes = b.getShape()[1] * b.getElementType().getIntOrFloatBitWidth() / 8;
  // A lane holds four elements of every 16x8 block.
  int64_t blocks = columns / 8, rows = accumulatorType.getNumElements() / (blocks * 4) * 16;
  if (!atom || columns % 8 != 0 || depthBytes % 32 != 0)
    return op.emitOpError("product must be of i8, f8E4M3FN, f16 or bf16 with columns in eights and "
                          "depth in 32 bytes, but b is ")
           << b;
  SmallVector<Value> a = getOperandA(op, rows, depthBytes, lowering);
  SmallVector<Value> c = lowering.toElements(op.getAccumulator());
  MatrixAddresses addresses(lowering, op.getB(), /*rowsFirst=*/false);
  int64_t steps = depthBytes / 32;
  for (int64_t step = 0; step < steps; ++step)
    for (int64_t block = 0; block < blocks; block += 2) {
      // Two column blocks in one load; the last of an odd number comes alone.
      int64_t count = std::min<int64_t>(2, blocks - block);
      SmallVector<Value> words =
          emitLdMatrix(lowering, addresses.get(block * 8, step * 32), 2 * count);
      for (int64_t i = 0; i < count; ++i)
        for (int64_t row = 0; row < rows / 16; ++row) {
          auto *at = c.begin() + 4 * (row * blocks + block + i);
          SmallVector<Value> result = atom(lowering, ArrayRef(a).slice(4 * (row * steps + step), 4),
                                           ArrayRef(words).slice(2 * i, 2), ArrayRef<Value>(at, 4));
          llvm::copy(result, at);
        }
    }
  op.getResult().replaceAllUsesWith(lowering.fromElements(c));
  return success();
}

LogicalResult lowerLoadMatrix(LoadMatrixOp op, KernelLowering &lowering) {
  SharedType type = op.getSource().getType();
  int64_t elementBytes = type.getElementType().getIntOrFloatBitWidth() / 8;
  Value column = lowering.mul(lowering.toI32(op.getColumn()), elementBytes);
  Value at = lowering.getSwizzledOffset(type, lowering.toI32(op.getRow()), column);
  Value pointer = lowering.offset(lowering.getTile(op.getSource()).pointer, at);
  SmallVector<Value> words =
      emitLdMatrix(lowering, pointer, op.getResult().getType().getNumElements());
  op.getResult().replaceAllUsesWith(lowering.fromElements(words));
  return success();
}

} // namespace sage::tile
