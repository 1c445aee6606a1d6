// Loads, stores and copies.

#include "Block.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/BitVector.h"

using namespace mlir;

namespace sage::tile::interpreter {

//===----------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------===//

namespace {

/// Walks the elements of a fragment with the indices that they have in memory.
struct ElementWalk {
  const AccessData &data;
  SmallVector<int64_t, 4> base;
  std::optional<int64_t> limit, columnLimit;

  /// `getScalar`(i) is operand i of the instruction; the first index is operand `firstIndex`.
  template <typename GetScalar>
  ElementWalk(const InstructionData &instructionData, int firstIndex, GetScalar getScalar)
      : data(static_cast<const AccessData &>(instructionData)) {
    for (int i = 0; i < data.numIndices; ++i)
      base.push_back(getScalar(firstIndex + i));
    if (data.limitOperand >= 0)
      limit = getScalar(data.limitOperand);
    if (data.columnLimitOperand >= 0)
      columnLimit = getScalar(data.columnLimitOperand);
  }

  /// Calls `visit`(element, indices) for elements inside the limits; false as soon as one call is.
  template <typename Visit> bool forEach(Visit visit) const {
    SmallVector<int64_t, 4> indices = base;
    size_t first = base.size() - data.numResults;
    for (size_t element = 0; element < data.offsets.size(); ++element) {
      for (size_t i = 0; i < data.numResults; ++i)
        indices[first + i] = base[first + i] + data.offsets[element][i];
      bool isOutside = static_cast<int64_t>(element) % data.columns >= data.accessedColumns ||
                       (limit && indices[first] >= *limit) ||
                       (columnLimit && indices.back() >= *columnLimit);
      if (isOutside)
        continue;
      if (!visit(element, ArrayRef<int64_t>(indices)))
        return false;
    }
    return true;
  }
};

/// Elements of a view that an operation touches, so that whole rows are recorded at once.
class TouchedElements {
public:
  explicit TouchedElements(const SharedView &view)
      : columns(view.tile->columns), bits(view.rows * columns) {}
  void add(int64_t row, int64_t column) { bits.set(row * columns + column); }

  /// Calls `visit`(row, begin, end) for runs of elements in a row; false as soon as one call is.
  template <typename Visit> bool forEachRun(Visit visit) const {
    for (int begin = bits.find_first(); begin >= 0;) {
      int64_t row = begin / columns;
      int last = static_cast<int>((row + 1) * columns);
      int end = bits.find_first_unset_in(begin, std::min<int>(last, bits.size()));
      if (end < 0)
        end = last;
      if (!visit(row, begin - row * columns, end - row * columns))
        return false;
      begin = end < static_cast<int>(bits.size()) ? bits.find_next(end - 1) : -1;
    }
    return true;
  }

private:
  int64_t columns;
  llvm::BitVector bits;
};

} // namespace

static std::string describeOutside(int64_t row, int64_t column, const SharedView &view) {
  return "element must be inside the tile's " + std::to_string(view.rows) + "x" +
         std::to_string(view.tile->columns) + ", but got (" + std::to_string(row) + ", " +
         std::to_string(column) + ")";
}

/// Row and column in a view of an element of rank 1 or 2.
static std::pair<int64_t, int64_t> getPosition(ArrayRef<int64_t> indices) {
  return {indices.size() == 2 ? indices[0] : 0, indices.back()};
}

static bool isInside(std::pair<int64_t, int64_t> position, const SharedView &view) {
  return position.first >= 0 && position.first < view.rows && position.second >= 0 &&
         position.second < view.tile->columns;
}

static void readElement(const uint8_t *bytes, Fragment &fragment, size_t element) {
  if (isFloat(fragment.kind))
    fragment.numbers[element] = decodeFloat(fragment.kind, bytes);
  else
    fragment.integers[element] = static_cast<int32_t>(decodeInteger(fragment.kind, bytes));
}

static void writeElement(const Fragment &fragment, size_t element, uint8_t *bytes) {
  if (isFloat(fragment.kind))
    encodeFloat(fragment.kind, fragment.numbers[element], bytes);
  else
    encodeInteger(fragment.kind, fragment.integers[element], bytes);
}

bool Block::runLoad(Unit &unit, const Instruction &instruction) {
  auto op = cast<LoadOp>(instruction.op);
  ElementWalk walk(*instruction.data, 1, [&](int i) { return getIndex(unit, instruction, i); });

  auto fragment = std::make_shared<Fragment>(op.getResult().getType());
  const Value &source = getOperand(unit, instruction, 0);
  bool succeeded;
  if (const GlobalView *memref = source.memref) {
    succeeded = walk.forEach([&](size_t element, ArrayRef<int64_t> indices) {
      std::string message;
      const uint8_t *bytes = memref->find(indices, message);
      if (!bytes)
        return fail(op, std::move(message));
      readElement(bytes, *fragment, element);
      return true;
    });
  } else {
    SharedView view = source.shared;
    TouchedElements touched(view);
    succeeded = walk.forEach([&](size_t element, ArrayRef<int64_t> indices) {
      auto [row, column] = getPosition(indices);
      if (!isInside({row, column}, view))
        return fail(op, describeOutside(row, column, view));
      touched.add(row, column);
      readElement(view.tile->getData(view.firstRow + row, column), *fragment, element);
      return true;
    }) && touched.forEachRun([&](int64_t row, int64_t begin, int64_t end) {
      return recordRead(unit, op, *view.tile, view.firstRow + row, begin, end);
    });
  }
  getResult(unit, instruction).fragment = std::move(fragment);
  return succeeded;
}

bool Block::runStore(Unit &unit, const Instruction &instruction) {
  auto op = cast<StoreOp>(instruction.op);
  ElementWalk walk(*instruction.data, 2, [&](int i) { return getIndex(unit, instruction, i); });

  const Fragment &fragment = *getOperand(unit, instruction, 0).fragment;
  const Value &target = getOperand(unit, instruction, 1);
  if (const GlobalView *memref = target.memref)
    return walk.forEach([&](size_t element, ArrayRef<int64_t> indices) {
      std::string message;
      uint8_t *bytes = memref->find(indices, message);
      if (!bytes)
        return fail(op, std::move(message));
      writeElement(fragment, element, bytes);
      return true;
    });
  SharedView view = target.shared;
  TouchedElements touched(view);
  return walk.forEach([&](size_t element, ArrayRef<int64_t> indices) {
    auto [row, column] = getPosition(indices);
    if (!isInside({row, column}, view))
      return fail(op, describeOutside(row, column, view));
    touched.add(row, column);
    writeElement(fragment, element, view.tile->getData(view.firstRow + row, column));
    return true;
  }) && touched.forEachRun([&](int64_t row, int64_t begin, int64_t end) {
    return recordWrite(unit, op, *view.tile, view.firstRow + row, begin, end);
  });
}

bool Block::runRead(Unit &unit, const Instruction &instruction) {
  auto op = cast<ReadOp>(instruction.op);
  SmallVector<int64_t, 4> indices;
  for (size_t i = 0; i < op.getIndices().size(); ++i)
    indices.push_back(getIndex(unit, instruction, 1 + i));
  const GlobalView *memref = getOperand(unit, instruction, 0).memref;
  std::string message;
  const uint8_t *bytes = memref->find(indices, message);
  if (!bytes)
    return fail(op, std::move(message));
  Scalar &result = getResult(unit, instruction).scalar;
  if (isFloat(memref->kind))
    result.number = decodeFloat(memref->kind, bytes);
  else
    result.integer = decodeInteger(memref->kind, bytes);
  return true;
}

/// Put: number, tile, index. Get: tile, index.
bool Block::runNumber(Unit &unit, const Instruction &instruction) {
  bool puts = isa<PutOp>(instruction.op);
  SharedView view = getOperand(unit, instruction, puts ? 1 : 0).shared;
  int64_t column = getIndex(unit, instruction, puts ? 2 : 1);
  if (!isInside({0, column}, view))
    return fail(instruction.op, describeOutside(0, column, view));
  uint8_t *bytes = view.tile->getData(view.firstRow, column);
  if (puts) {
    encodeInteger(view.tile->kind, getIndex(unit, instruction, 0), bytes);
    return recordWrite(unit, instruction.op, *view.tile, view.firstRow, column, column + 1);
  }
  getResult(unit, instruction).scalar.integer = decodeInteger(view.tile->kind, bytes);
  return recordRead(unit, instruction.op, *view.tile, view.firstRow, column, column + 1);
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

bool Block::runStage(Unit &unit, const Instruction &instruction) {
  auto op = cast<StageOp>(instruction.op);
  SharedType type = op.getSource().getType();
  int64_t stage = getIndex(unit, instruction, 1), stages = type.getShape()[0];
  if (stage < 0 || stage >= stages)
    return fail(op, "stage must be less than " + std::to_string(stages) + ", but got " +
                        std::to_string(stage));
  SharedView source = getOperand(unit, instruction, 0).shared;
  int64_t rows = source.rows / stages;
  getResult(unit, instruction).shared = {source.tile, source.firstRow + stage * rows, rows};
  return true;
}

bool Block::runSubtile(Unit &unit, const Instruction &instruction) {
  auto op = cast<SubtileOp>(instruction.op);
  SharedView source = getOperand(unit, instruction, 0).shared;
  int64_t row = getIndex(unit, instruction, 1), rows = op.getResult().getType().getShape()[0];
  if (row < 0 || row % 8 != 0 || row + rows > source.rows)
    return fail(op, "row must be a multiple of 8 inside the source's " +
                        std::to_string(source.rows) + " rows, but got " + std::to_string(row));
  getResult(unit, instruction).shared = {source.tile, source.firstRow + row, rows};
  return true;
}

bool Block::runFill(Unit &unit, const Instruction &instruction) {
  auto op = cast<FillOp>(instruction.op);
  SharedView view = getOperand(unit, instruction, 0).shared;
  if (!recordWrite(unit, op, view))
    return false;
  uint8_t bytes[8];
  if (auto number = dyn_cast<FloatAttr>(op.getValue()))
    encodeFloat(view.tile->kind, static_cast<float>(number.getValueAsDouble()), bytes);
  else
    encodeInteger(view.tile->kind, cast<IntegerAttr>(op.getValue()).getValue().getSExtValue(),
                  bytes);
  for (int64_t row = 0; row < view.rows; ++row)
    for (int64_t column = 0; column < view.tile->columns; ++column)
      std::copy(bytes, bytes + view.tile->elementBytes,
                view.tile->getData(view.firstRow + row, column));
  return true;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// A box of a tensor map; what lies outside the tensor stays zero.
static void readBox(const TensorMapDescription &map, ArrayRef<int64_t> indices,
                    const SharedView &target, std::vector<uint8_t> &bytes) {
  int64_t elementBytes = target.tile->elementBytes, columns = target.tile->columns;
  size_t rank = map.extents.size();
  int64_t offset = 0;
  // Indices are outermost first, extents innermost first.
  for (size_t dim = 2; dim < rank; ++dim) {
    int64_t index = indices[rank - 1 - dim];
    if (index < 0 || index >= map.extents[dim])
      return;
    offset += index * map.strides[dim - 1];
  }
  int64_t firstRow = indices[rank - 2], firstColumn = indices[rank - 1];
  int64_t begin = std::max<int64_t>(0, -firstColumn);
  int64_t end = std::min(columns, map.extents[0] - firstColumn);
  for (int64_t row = 0; row < target.rows && begin < end; ++row) {
    int64_t index = firstRow + row;
    if (index < 0 || index >= map.extents[1])
      continue;
    const char *source =
        map.buffer.data + offset + index * map.strides[0] + (firstColumn + begin) * elementBytes;
    std::copy(source, source + (end - begin) * elementBytes,
              bytes.data() + (row * columns + begin) * elementBytes);
  }
}

bool Block::gatherCopy(Operation *op, const Value &source, ArrayRef<int64_t> indices,
                       const SharedView &target, std::vector<uint8_t> &bytes) {
  int64_t columns = target.tile->columns, elementBytes = target.tile->elementBytes;
  bytes.assign(target.rows * columns * elementBytes, 0);
  if (source.tensorMap) {
    if (indices.size() != source.tensorMap->extents.size())
      return fail(op, "copy must have an index for each of the tensor map's " +
                          std::to_string(source.tensorMap->extents.size()) +
                          " dimensions, but got " + std::to_string(indices.size()));
    readBox(*source.tensorMap, indices, target, bytes);
    return true;
  }
  SmallVector<int64_t, 4> position(indices);
  for (int64_t row = 0; row < target.rows; ++row) {
    std::string message;
    position.assign(indices.begin(), indices.end());
    if (row > 0)
      position[position.size() - 2] += row;
    const uint8_t *first = source.memref->find(position, message);
    position.back() += columns - 1;
    if (!first || !source.memref->find(position, message))
      return fail(op, std::move(message));
    std::copy(first, first + columns * elementBytes, bytes.data() + row * columns * elementBytes);
  }
  return true;
}

static void writeTile(const SharedView &target, const std::vector<uint8_t> &bytes) {
  std::copy(bytes.begin(), bytes.end(), target.tile->getData(target.firstRow, 0));
}

bool Block::runCopy(Unit &unit, const Instruction &instruction) {
  auto op = cast<CopyOp>(instruction.op);
  SmallVector<int64_t, 4> indices;
  for (size_t i = 0; i < op.getIndices().size(); ++i)
    indices.push_back(getIndex(unit, instruction, 1 + i));
  SharedView target = getOperand(unit, instruction, 1 + indices.size()).shared;
  std::vector<uint8_t> bytes;
  if (!gatherCopy(op, getOperand(unit, instruction, 0), indices, target, bytes) ||
      !recordWrite(unit, op, target))
    return false;
  writeTile(target, bytes);
  return true;
}

bool Block::runCopyAsync(Unit &unit, const Instruction &instruction) {
  auto op = cast<CopyAsyncOp>(instruction.op);
  SmallVector<int64_t, 4> indices;
  for (size_t i = 0; i < op.getIndices().size(); ++i)
    indices.push_back(getIndex(unit, instruction, 1 + i));
  int next = static_cast<int>(1 + indices.size());
  SharedView target = getOperand(unit, instruction, next).shared;
  std::vector<uint8_t> bytes;
  if (!gatherCopy(op, getOperand(unit, instruction, 0), indices, target, bytes))
    return false;
  if (!op.getBarrier()) {
    if (!beginGroupCopy(unit, op, target))
      return false;
    ++unit.numGroupCopies;
    // Who reads before waiting is reported, so that nobody sees when the bytes arrive.
    writeTile(target, bytes);
    return true;
  }
  Barrier *barrier = getBarrier(unit, instruction, next + 1);
  if (!barrier || !beginBulkCopy(unit, op, target, *barrier))
    return false;
  writeTile(target, std::vector<uint8_t>(bytes.size(), 0xFF));
  copies.push_back({op, target, std::move(bytes), barrier, unit.clock});
  return true;
}

} // namespace sage::tile::interpreter
