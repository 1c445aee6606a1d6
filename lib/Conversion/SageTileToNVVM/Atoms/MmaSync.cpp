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

SmallVector<Value> multiplyIntegers(KernelLowering &lowering, ArrayRef<Value> a, ArrayRef<Value> b,
                                    ArrayRef<Value> c, int64_t depth, NVVM::MMATypes type) {
  auto op = NVVM::MmaOp::create(
      lowering.builder, lowering.getLoc(), getStruct(c), a, b, c, ArrayRef<int64_t>{16, 8, depth},
      std::nullopt, NVVM::MMAIntOverflow::wrapped, std::array<NVVM::MMATypes, 2>{type, type},
      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col});
  return extractAll(lowering, op.getRes(), 4);
}

SmallVector<Value> m16n8k32_s32_s8_s8(KernelLowering &lowering, ArrayRef<Value> a,
                                      ArrayRef<Value> b, ArrayRef<Value> c) {
  return multiplyIntegers(lowering, a, b, c, 32, NVVM::MMATypes::s8);
}

SmallVector<Value> m16n8k64_s32_s4_s4(KernelLowering &lowering, ArrayRef<Value> a,
                                      ArrayRef<Value> b, ArrayRef<Value> c) {
  return multiplyIntegers(lowering, a, b, c, 64, NVVM::MMATypes::s4);
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

/// An intrinsic that adds into pairs of f16.
SmallVector<Value> callHalfIntrinsic(KernelLowering &lowering, StringRef name, ArrayRef<Value> a,
                                     ArrayRef<Value> b, ArrayRef<Value> c) {
  SmallVector<Value> pairs = toPairs(lowering, c), result;
  pairs = callIntrinsic(lowering, name, getStruct(pairs), a, b, pairs, 2);
  for (Value pair : pairs)
    llvm::append_range(result, lowering.toElements(pair));
  return result;
}

SmallVector<Value> m16n8k32_f16_e4m3_e4m3(KernelLowering &lowering, ArrayRef<Value> a,
                                          ArrayRef<Value> b, ArrayRef<Value> c) {
  return callHalfIntrinsic(lowering, "llvm.nvvm.mma.m16n8k32.row.col.f16.e4m3.e4m3.f16", a, b, c);
}

SmallVector<Value> m16n8k32_f32_e5m2_e5m2(KernelLowering &lowering, ArrayRef<Value> a,
                                          ArrayRef<Value> b, ArrayRef<Value> c) {
  return callIntrinsic(lowering, "llvm.nvvm.mma.m16n8k32.row.col.f32.e5m2.e5m2.f32", getStruct(c),
                       a, b, c, 4);
}

SmallVector<Value> m16n8k32_f16_e5m2_e5m2(KernelLowering &lowering, ArrayRef<Value> a,
                                          ArrayRef<Value> b, ArrayRef<Value> c) {
  return callHalfIntrinsic(lowering, "llvm.nvvm.mma.m16n8k32.row.col.f16.e5m2.e5m2.f16", a, b, c);
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
  return callHalfIntrinsic(lowering, "llvm.nvvm.mma.m16n8k16.row.col.f16.f16",
                           asHalves(lowering, a), asHalves(lowering, b), c);
}

SmallVector<Value> m16n8k16_f32_bf16_bf16(KernelLowering &lowering, ArrayRef<Value> a,
                                          ArrayRef<Value> b, ArrayRef<Value> c) {
  return callIntrinsic(lowering, "llvm.nvvm.mma.m16n8k16.row.col.bf16", getStruct(c), a, b, c, 4);
}

/// Null if there is none.
Atom getAtom(Type operand, Type accumulator, bool isInt4) {
  if (operand.isInteger(8))
    return isInt4 ? m16n8k64_s32_s4_s4 : m16n8k32_s32_s8_s8;
  if (isa<Float8E4M3FNType>(operand))
    return accumulator.isF16() ? m16n8k32_f16_e4m3_e4m3 : m16n8k32_f32_e4m3_e4m3;
  if (isa<Float8E5M2Type>(operand))
    return accumulator.isF16() ? m16n8k32_f16_e5m2_e5m2 : m16n8k32_f32_e5m2_e5m2;
  if (operand.isF16())
    return accumulator.isF16() ? m16n8k16_f16_f16_f16 : m16n8k16_f32_f16_f16;
  return operand.isBF16() ? m16n8k16_f32_bf16_bf16 : nullptr;
}

/// An instruction that the chip lacks would end in a failure of instruction selection.
LogicalResult verifyChip(MmaOp op, KernelLowering &lowering) {
  std::optional<int64_t> chip = lowering.getChip();
  Type operand = op.getB().getType().getElementType();
  auto refuse = [&](StringRef what, StringRef remedy) {
    InFlightDiagnostic diagnostic = op.emitOpError(what) << ", but the target is sm_" << *chip;
    diagnostic.attachNote() << remedy;
    return diagnostic;
  };
  if (chip && op.getInt4() && *chip >= 90)
    return refuse("4-bit products must be for a chip from sm_80 to sm_89",
                  "unpack the operands to i8: later chips emulate the instruction");
  if (chip && isa<Float8E4M3FNType, Float8E5M2Type>(operand) && *chip < 89)
    return refuse("8-bit float products must be for sm_89 or later",
                  "use f16 operands on this chip");
  return success();
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

/// The words of an A operand, from registers or, step by step, from shared memory.
class OperandA {
public:
  OperandA(MmaOp op, int64_t rows, int64_t steps, KernelLowering &lowering)
      : rows(rows), steps(steps), lowering(lowering) {
    if (isa<SharedType>(op.getA().getType())) {
      addresses.emplace(lowering, op.getA(), /*rowsFirst=*/true);
      return;
    }
    Value a = op.getA();
    auto type = cast<VectorType>(a.getType());
    if (type.getElementTypeBitWidth() == 16)
      a = vector::BitCastOp::create(
          lowering.builder, op.getLoc(),
          VectorType::get({type.getNumElements() / 2}, lowering.builder.getI32Type()), a);
    words = lowering.toElements(a);
  }

  /// Four words for every 16 rows.
  SmallVector<Value> get(int64_t step) {
    SmallVector<Value> result;
    for (int64_t row = 0; row < rows; row += 16) {
      if (addresses)
        llvm::append_range(result, emitLdMatrix(lowering, addresses->get(row, step * 32), 4));
      else
        llvm::append_range(result, ArrayRef(words).slice(4 * (row / 16 * steps + step), 4));
    }
    return result;
  }

private:
  int64_t rows, steps;
  KernelLowering &lowering;
  std::optional<MatrixAddresses> addresses;
  SmallVector<Value> words;
};

} // namespace

LogicalResult lowerMmaSync(MmaOp op, KernelLowering &lowering) {
  if (failed(verifyChip(op, lowering)))
    return failure();
  SharedType b = op.getB().getType();
  auto accumulatorType = cast<VectorType>(op.getAccumulator().getType());
  Atom atom = getAtom(b.getElementType(), accumulatorType.getElementType(), op.getInt4());
  int64_t columns = b.getShape()[0];
  int64_t depthBytes = b.getShape()[1] * b.getElementType().getIntOrFloatBitWidth() / 8;
  // A lane holds four elements of every 16x8 block.
  int64_t blocks = columns / 8, rows = accumulatorType.getNumElements() / (blocks * 4) * 16;
  if (!atom || columns % 8 != 0 || depthBytes % 32 != 0)
    return op.emitOpError("product must be of i8, f8E4M3FN, f8E5M2, f16 or bf16 with columns in "
                          "eights and depth in 32 bytes, but b is ")
           << b;
  int64_t steps = depthBytes / 32;
  OperandA operandA(op, rows, steps, lowering);
  SmallVector<Value> c = lowering.toElements(op.getAccumulator());
  MatrixAddresses addresses(lowering, op.getB(), /*rowsFirst=*/false);
  for (int64_t step = 0; step < steps; ++step) {
    SmallVector<Value> a = operandA.get(step);
    for (int64_t block = 0; block < blocks; block += 2) {
      // Two column blocks in one load; the last of an odd number comes alone.
      int64_t count = std::min<int64_t>(2, blocks - block);
      SmallVector<Value> words =
          emitLdMatrix(lowering, addresses.get(block * 8, step * 32), 2 * count);
      for (int64_t i = 0; i < count; ++i)
        for (int64_t row = 0; row < rows / 16; ++row) {
          auto *at = c.begin() + 4 * (row * blocks + block + i);
          SmallVector<Value> result = atom(lowering, ArrayRef(a).slice(4 * row, 4),
                                           ArrayRef(words).slice(2 * i, 2), ArrayRef<Value>(at, 4));
          llvm::copy(result, at);
        }
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
