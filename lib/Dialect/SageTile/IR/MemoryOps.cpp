// Shared memory, copies, barriers, and the fragments' way from and to memory.

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace sage::tile {

//===----------------------------------------------------------------------===//
// Shared tiles
//===----------------------------------------------------------------------===//

LogicalResult StageOp::verify() {
  SharedType source = getSource().getType();
  if (source.getRank() < 2)
    return emitOpError("source must have stages, but got ") << source;
  // The stages of a vector are the rows of a tile.
  auto stageType =
      SharedType::get(getContext(), source.getShape().drop_front(), source.getElementType(),
                      source.getRank() == 3 ? source.getSwizzle() : 0);
  if (getResult().getType() != stageType)
    return emitOpError("result must be ") << stageType << ", but got " << getResult().getType();
  IntegerAttr index;
  if (matchPattern(getIndex(), m_Constant(&index)) &&
      (index.getInt() < 0 || index.getInt() >= source.getShape()[0]))
    return emitOpError("stage must be less than ")
           << source.getShape()[0] << ", but got " << index.getInt();
  return success();
}

LogicalResult SubtileOp::verify() {
  SharedType source = getSource().getType(), result = getResult().getType();
  if (source.getRank() != 2 || result.getRank() != 2)
    return emitOpError("source and result must have rank 2, but got ")
           << source << " and " << result;
  if (source.getShape()[1] != result.getShape()[1] || source.getSwizzle() != result.getSwizzle() ||
      source.getElementType() != result.getElementType())
    return emitOpError("result must have the source's columns, elements and swizzle, but got ")
           << source << " and " << result;
  IntegerAttr row;
  bool constant = matchPattern(getRow(), m_Constant(&row));
  if (constant && row.getInt() % 8 != 0)
    return emitOpError("row must be a multiple of 8, but got ") << row.getInt();
  int64_t first = constant ? row.getInt() : 0;
  if (first < 0 || first + result.getShape()[0] > source.getShape()[0])
    return emitOpError("rows must be inside the source's ")
           << source.getShape()[0] << ", but got [" << first << ", " << first + result.getShape()[0]
           << ")";
  return success();
}

LogicalResult FillOp::verify() {
  Type type = cast<TypedAttr>(getValue()).getType();
  if (type != getTarget().getType().getElementType())
    return emitOpError("value must have the element type of the tile, ")
           << getTarget().getType().getElementType() << ", but got " << type;
  return success();
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

template <typename Op> static LogicalResult verifyCopy(Op op) {
  SharedType target = op.getTarget().getType();
  if (target.isStaged())
    return op.emitOpError("target must be one stage, but got ") << target;
  int64_t indices = op.getIndices().size();
  Type elementType;
  if (auto map = dyn_cast<TensorMapType>(op.getSource().getType())) {
    elementType = map.getElementType();
    if (indices < 2)
      return op.emitOpError("tensor map must have an index for row and column, but got ")
             << indices;
    if (map.getShape() != target.getShape() || map.getSwizzle() != target.getSwizzle())
      return op.emitOpError("target must have the tensor map's box and swizzle, but got ")
             << map << " and " << target;
  } else {
    auto memref = cast<MemRefType>(op.getSource().getType());
    elementType = memref.getElementType();
    if (indices != memref.getRank())
      return op.emitOpError("source must have an index for each of its ")
             << memref.getRank() << " dimensions, but got " << indices;
    if (memref.getRank() < target.getRank())
      return op.emitOpError("source must have at least the target's rank, but got ")
             << memref << " and " << target;
    if (!memref.isLastDimUnitStride())
      return op.emitOpError("source must be contiguous in its last dimension, but got ") << memref;
  }
  if (elementType != target.getElementType())
    return op.emitOpError("source and target must have equal element types, but got ")
           << elementType << " and " << target.getElementType();
  // PTX ISA, "cp.async": 16 bytes are what one thread moves past L1; tensor copies have the same
  // unit.
  int64_t rowBytes = target.getShape().back() * target.getElementType().getIntOrFloatBitWidth() / 8;
  if (target.getRank() == 2 && rowBytes % 16 != 0)
    return op.emitOpError("row of the tile must be a multiple of 16 bytes, but got ") << rowBytes;
  return success();
}

LogicalResult CopyOp::verify() { return verifyCopy(*this); }

LogicalResult CopyAsyncOp::verify() {
  if (failed(verifyCopy(*this)))
    return failure();
  if (bool(getBarrier()) != bool(getSlot()))
    return emitOpError("barrier and slot must come together");
  if (!getBarrier() && isa<TensorMapType>(getSource().getType())) {
    InFlightDiagnostic diagnostic = emitOpError("copy from a tensor map must arrive on a barrier");
    diagnostic.attachNote() << "copy groups hold copies from memrefs only";
    return diagnostic;
  }
  // PTX ISA, "cp.async.bulk": the size is a multiple of 16; "cp.async": of 4, 8 or 16 a thread.
  int64_t unit = getBarrier() ? 16 : 4;
  if (getTarget().getType().getSizeInBytes() % unit != 0)
    return emitOpError("copy must move a multiple of ")
           << unit << " bytes, but got " << getTarget().getType().getSizeInBytes();
  return success();
}

LogicalResult WaitGroupOp::verify() {
  if (static_cast<int32_t>(getPending()) < 0)
    return emitOpError("pending groups must not be negative, but got ")
           << static_cast<int32_t>(getPending());
  return success();
}

LogicalResult BarrierExpectOp::verify() {
  // PTX ISA, "mbarrier": the transaction count is at most 2^20 - 1.
  int32_t bytes = getBytes();
  if (bytes <= 0 || bytes >= (1 << 20))
    return emitOpError("announced bytes must be positive and less than 2^20, but got ") << bytes;
  return success();
}

//===----------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------===//

static int64_t getRank(Type memory) {
  if (auto shared = dyn_cast<SharedType>(memory))
    return shared.getRank();
  return cast<MemRefType>(memory).getRank();
}

static Type getElementType(Type memory) {
  if (auto shared = dyn_cast<SharedType>(memory))
    return shared.getElementType();
  return cast<MemRefType>(memory).getElementType();
}

static AffineMap getDefaultAccessMap(Type memory) {
  MLIRContext *context = memory.getContext();
  AffineExpr row = getAffineDimExpr(0, context), column = getAffineDimExpr(1, context);
  if (getRank(memory) >= 2)
    return AffineMap::get(2, 0, {row, column}, context);
  return AffineMap::get(2, 0, row + column);
}

AffineMap LoadOp::getAccessMap() {
  return getMap().value_or(getDefaultAccessMap(getSource().getType()));
}
AffineMap StoreOp::getAccessMap() {
  return getMap().value_or(getDefaultAccessMap(getTarget().getType()));
}

static LogicalResult verifyAccess(Operation *op, Type memory, int64_t indices, AffineMap map,
                                  bool isDefault, FragmentType fragment) {
  if (auto shared = dyn_cast<SharedType>(memory); shared && shared.isStaged())
    return op->emitOpError("shared tile must be one stage, but got ") << memory;
  if (!isa<SharedType, MemRefType>(memory) || getRank(memory) == 0)
    return op->emitOpError("memory must have a rank of at least 1, but got ") << memory;
  int64_t rank = getRank(memory);
  if (indices != rank)
    return op->emitOpError("memory must have an index for each of its ")
           << rank << " dimensions, but got " << indices;
  if (getElementType(memory) != fragment.getElementType())
    return op->emitOpError("memory and fragment must have equal element types, but got ")
           << getElementType(memory) << " and " << fragment.getElementType();
  if (map.getNumDims() != 2 || map.getNumSymbols() != 0)
    return op->emitOpError("map must have 2 dimensions and no symbols, but got ")
           << AffineMapAttr::get(map);
  if (map.getNumResults() < 1 || map.getNumResults() > 2 || map.getNumResults() > rank)
    return op->emitOpError("map must have 1 or 2 results, at most the memory's rank, but got ")
           << map.getNumResults();
  if (isDefault && rank == 1 && fragment.getRows() != 1 && fragment.getColumns() != 1) {
    InFlightDiagnostic diagnostic =
        op->emitOpError("fragment must have one row or one column to access a vector, but got ")
        << fragment.getRows() << "x" << fragment.getColumns();
    diagnostic.attachNote() << "give a map to name the elements";
    return diagnostic;
  }
  return success();
}

template <typename Op>
static LogicalResult verifyOptions(Op op, Type memory, FragmentType fragment) {
  if (op.getAligned() && isa<SharedType>(memory)) {
    InFlightDiagnostic diagnostic =
        op.emitOpError("alignment must be asked of a memref only, but got ") << memory;
    diagnostic.attachNote() << "rows of shared tiles are always aligned";
    return diagnostic;
  }
  std::optional<uint64_t> columns = op.getColumns();
  if (columns && (int64_t(*columns) < 1 || int64_t(*columns) > fragment.getColumns()))
    return op.emitOpError("columns must be from 1 to the fragment's ")
           << fragment.getColumns() << ", but got " << int64_t(*columns);
  return success();
}

LogicalResult LoadOp::verify() {
  Type memory = getSource().getType();
  FragmentType fragment = getResult().getType();
  if (failed(verifyAccess(*this, memory, getIndices().size(), getAccessMap(), !getMap(), fragment)))
    return failure();
  return verifyOptions(*this, memory, fragment);
}

LogicalResult StoreOp::verify() {
  Type memory = getTarget().getType();
  FragmentType fragment = getValue().getType();
  if (failed(verifyAccess(*this, memory, getIndices().size(), getAccessMap(), !getMap(), fragment)))
    return failure();
  return verifyOptions(*this, memory, fragment);
}

LogicalResult PrefetchOp::verify() {
  auto memref = cast<MemRefType>(getSource().getType());
  int64_t rank = memref.getRank(), indices = getIndices().size();
  if (rank < 2 || indices != rank)
    return emitOpError("source must have at least 2 dimensions and an index for each of its ")
           << rank << ", but got " << indices;
  int64_t bits = getColumns() * memref.getElementTypeBitWidth();
  if (!memref.isLastDimUnitStride() || bits % 128 != 0)
    return emitOpError("rows must be contiguous and a multiple of 16 bytes, but got ")
           << getColumns() << " columns of " << memref;
  return success();
}

LogicalResult ReadOp::verify() {
  int64_t rank = cast<MemRefType>(getSource().getType()).getRank(), indices = getIndices().size();
  if (rank == 0 || indices != rank)
    return emitOpError("source must have at least 1 dimension and an index for each of its ")
           << rank << ", but got " << indices;
  for (Operation *user : getSource().getUsers())
    if (auto store = dyn_cast<StoreOp>(user); store && store.getTarget() == getSource()) {
      InFlightDiagnostic diagnostic =
          emitOpError("source must not be written by the kernel that reads it");
      diagnostic.attachNote(store.getLoc()) << "written here";
      return diagnostic;
    }
  return success();
}

} // namespace sage::tile
