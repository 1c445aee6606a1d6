// Types of the sage_tile dialect: shared tiles, fragments, tensor maps.

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#define GET_TYPEDEF_CLASSES
#include "sage/Dialect/SageTile/IR/SageTileTypes.cpp.inc"

namespace sage::tile {

void SageTileDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "sage/Dialect/SageTile/IR/SageTileTypes.cpp.inc"
      >();
}

static bool isFragmentElement(Type type) {
  return type.isF32() || type.isF16() || type.isBF16() ||
         isa<Float8E4M3FNType, Float8E5M2Type>(type) || type.isInteger(32) || type.isInteger(8) ||
         type.isInteger(1);
}

/// Above any tile that fits a chip; sizes of three extents stay inside 64 bits.
static constexpr int64_t maxExtent = 1 << 16;
/// A fragment's layout is checked element by element.
static constexpr int64_t maxFragmentElements = 1 << 18;

static LogicalResult verifyElementType(function_ref<InFlightDiagnostic()> emitError, Type type) {
  if (isFragmentElement(type))
    return success();
  return emitError()
         << "element type must be f32, f16, bf16, f8E4M3FN, f8E5M2, i32, i8 or i1, but got "
         << type;
}

//===----------------------------------------------------------------------===//
// Shared tiles and tensor maps: `<2x128x128xi8, swizzle = 128>`
//===----------------------------------------------------------------------===//

static ParseResult parseTile(AsmParser &parser, SmallVector<int64_t> &shape, Type &elementType,
                             int64_t &swizzle) {
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return failure();
  if (succeeded(parser.parseOptionalComma()) &&
      (parser.parseKeyword("swizzle") || parser.parseEqual() || parser.parseInteger(swizzle)))
    return failure();
  return parser.parseGreater();
}

static void printTile(AsmPrinter &printer, ArrayRef<int64_t> shape, Type elementType,
                      int64_t swizzle) {
  printer << "<";
  printer.printDimensionList(shape);
  printer << "x" << elementType;
  if (swizzle != 0)
    printer << ", swizzle = " << swizzle;
  printer << ">";
}

static LogicalResult verifySwizzle(function_ref<InFlightDiagnostic()> emitError, int64_t columns,
                                   Type elementType, int64_t swizzle) {
  if (swizzle == 0)
    return success();
  if (swizzle != 32 && swizzle != 64 && swizzle != 128)
    return emitError() << "swizzle must be 0, 32, 64 or 128 bytes, but got " << swizzle;
  int64_t rowBytes = columns * elementType.getIntOrFloatBitWidth() / 8;
  if (rowBytes != swizzle)
    return emitError() << "swizzle must equal the bytes of a row, " << rowBytes << ", but got "
                       << swizzle;
  return success();
}

Type SharedType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  int64_t swizzle = 0;
  if (parseTile(parser, shape, elementType, swizzle))
    return {};
  return parser.getChecked<SharedType>(loc, parser.getContext(), shape, elementType, swizzle);
}

void SharedType::print(AsmPrinter &printer) const {
  printTile(printer, getShape(), getElementType(), getSwizzle());
}

LogicalResult SharedType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, Type elementType, int64_t swizzle) {
  if (shape.empty() || shape.size() > 3)
    return emitError() << "shared tile must have rank 1, 2 or 3, but got " << shape.size();
  for (int64_t extent : shape)
    if (extent <= 0 || extent > maxExtent)
      return emitError() << "shared tile must have extents from 1 to " << maxExtent << ", but got "
                         << extent;
  if (failed(verifyElementType(emitError, elementType)) ||
      failed(verifySwizzle(emitError, shape.back(), elementType, swizzle)))
    return failure();
  // The pattern repeats every 8 rows: a stage that ends inside would shift that of the next.
  if (swizzle != 0 && (shape.size() == 1 || shape[shape.size() - 2] % 8 != 0))
    return emitError() << "swizzled tile must have a multiple of 8 rows, but got "
                       << (shape.size() == 1 ? 1 : shape[shape.size() - 2]);
  return success();
}

int64_t SharedType::getNumElements() const {
  int64_t count = 1;
  for (int64_t extent : getShape())
    count *= extent;
  return count;
}

int64_t SharedType::getSizeInBytes() const {
  return getNumElements() * std::max(8u, getElementType().getIntOrFloatBitWidth()) / 8;
}

SharedType SharedType::getStageType() const {
  if (!isStaged())
    return *this;
  return get(getContext(), getShape().drop_front(), getElementType(), getSwizzle());
}

SharedType SharedType::withStages(int64_t stages) const {
  SmallVector<int64_t> shape{stages};
  llvm::append_range(shape, getStageType().getShape());
  return get(getContext(), shape, getElementType(), getSwizzle());
}

Type TensorMapType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  int64_t swizzle = 0;
  if (parseTile(parser, shape, elementType, swizzle))
    return {};
  return parser.getChecked<TensorMapType>(loc, parser.getContext(), shape, elementType, swizzle);
}

void TensorMapType::print(AsmPrinter &printer) const {
  printTile(printer, getShape(), getElementType(), getSwizzle());
}

LogicalResult TensorMapType::verify(function_ref<InFlightDiagnostic()> emitError,
                                    ArrayRef<int64_t> shape, Type elementType, int64_t swizzle) {
  if (shape.size() != 2)
    return emitError() << "tensor map must have a box of rank 2, but got " << shape.size();
  // PTX ISA, "Tensor-map": boxDim is at most 256 in every dimension.
  for (int64_t extent : shape)
    if (extent <= 0 || extent > 256)
      return emitError() << "tensor map box must have extents from 1 to 256, but got " << extent;
  if (failed(verifyElementType(emitError, elementType)))
    return failure();
  return verifySwizzle(emitError, shape.back(), elementType, swizzle);
}

//===----------------------------------------------------------------------===//
// Barriers and values in flight
//===----------------------------------------------------------------------===//

LogicalResult BarrierType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t count) {
  // One barrier has 8 bytes of shared memory.
  if (count <= 0 || count > 1024)
    return emitError() << "barrier count must be 1 to 1024, but got " << count;
  return success();
}

LogicalResult AsyncType::verify(function_ref<InFlightDiagnostic()> emitError, Type valueType) {
  if (!isa<FragmentType, VectorType>(valueType))
    return emitError() << "value in flight must be a fragment or lane vector, but got "
                       << valueType;
  return success();
}

//===----------------------------------------------------------------------===//
// Fragments: `<64x128xf32, #layout>`
//===----------------------------------------------------------------------===//

Type FragmentType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  LayoutAttr layout;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType) || parser.parseComma() || parser.parseAttribute(layout) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<FragmentType>(loc, parser.getContext(), shape, elementType, layout);
}

void FragmentType::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printDimensionList(getShape());
  printer << "x" << getElementType() << ", " << getLayout() << ">";
}

/// A layout fits a shape if its modes, replication aside, number every element exactly once.
static LogicalResult verifyCoverage(function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                    int64_t columns, LayoutAttr layout) {
  SmallVector<LayoutMode> modes;
  int64_t numElements = 1;
  for (ArrayRef<LayoutMode> list : {layout.getWarp(), layout.getLane(), layout.getReg()})
    for (LayoutMode mode : list)
      if (!mode.isReplicated()) {
        modes.push_back(mode);
        numElements *= mode.size;
      }
  if (numElements != rows * columns)
    return emitError() << "layout must hold the " << rows << "x" << columns
                       << " elements of the fragment, but holds " << numElements;
  llvm::BitVector seen(numElements);
  for (int64_t index = 0; index < numElements; ++index) {
    int64_t row = 0, column = 0, rest = index;
    for (LayoutMode mode : modes) {
      row += rest % mode.size * mode.row;
      column += rest % mode.size * mode.column;
      rest /= mode.size;
    }
    if (row >= rows || column >= columns)
      return emitError() << "layout must stay inside the fragment, but holds element (" << row
                         << ", " << column << ") of " << rows << "x" << columns;
    if (seen.test(row * columns + column))
      return emitError() << "layout must hold every element once, but element (" << row << ", "
                         << column << ") is in several places";
    seen.set(row * columns + column);
  }
  return success();
}

LogicalResult FragmentType::verify(function_ref<InFlightDiagnostic()> emitError,
                                   ArrayRef<int64_t> shape, Type elementType, LayoutAttr layout) {
  if (shape.size() != 2)
    return emitError() << "fragment must have rank 2, but got " << shape.size();
  if (shape[0] <= 0 || shape[1] <= 0)
    return emitError() << "fragment must have positive extents";
  if (shape[0] > maxFragmentElements / shape[1])
    return emitError() << "fragment must have at most " << maxFragmentElements
                       << " elements, but got " << shape[0] << "x" << shape[1];
  if (failed(verifyElementType(emitError, elementType)))
    return failure();
  return verifyCoverage(emitError, shape[0], shape[1], layout);
}

VectorType FragmentType::getLaneType() const {
  int64_t registers = getLayout().getNumRegisters();
  if (getElementType().getIntOrFloatBitWidth() == 8 && registers % 4 == 0)
    return VectorType::get({registers / 4}, IntegerType::get(getContext(), 32));
  return VectorType::get({registers}, getElementType());
}

} // namespace sage::tile
