#include "Memory.h"

namespace sage::tile::interpreter {

SharedTile::SharedTile(SharedType type, mlir::Operation *alloc) : alloc(alloc) {
  columns = type.getShape().back();
  rows = type.getNumElements() / columns;
  kind = *getElementKind(type.getElementType());
  elementBytes = getElementBytes(kind);
  data.assign(rows * columns * elementBytes, 0xFF);
  histories.assign(rows, std::vector<History>(1));
}

uint8_t *GlobalView::find(llvm::ArrayRef<int64_t> indices, std::string &message) const {
  int64_t offset = 0;
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || (sizes[i] >= 0 && indices[i] >= sizes[i])) {
      message = "index " + std::to_string(i) + " must be inside the memref" +
                (sizes[i] >= 0 ? "'s " + std::to_string(sizes[i]) : std::string()) + ", but got " +
                std::to_string(indices[i]);
      return nullptr;
    }
    offset += indices[i] * strides[i];
  }
  int64_t bytes = getElementBytes(kind);
  if (offset < 0 || (offset + 1) * bytes > buffer.bytes) {
    message = "element must be inside the buffer's " + std::to_string(buffer.bytes) +
              " bytes, but got byte " + std::to_string(offset * bytes);
    return nullptr;
  }
  return reinterpret_cast<uint8_t *>(buffer.data) + offset * bytes;
}

} // namespace sage::tile::interpreter
