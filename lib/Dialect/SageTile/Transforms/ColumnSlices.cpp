// Column chunks of fragments, without movement between lanes.

#include "ColumnSlices.h"

using namespace mlir;

namespace sage::tile {

FragmentType getColumnSliceType(FragmentType type, int64_t width) {
  LayoutAttr layout = type.getLayout();
  SmallVector<LayoutMode> reg(layout.getReg());
  int64_t extent = type.getColumns();
  // The slowest register digits number the largest column blocks: cut them down to the width.
  while (extent > width) {
    if (reg.empty())
      return {};
    LayoutMode &slowest = reg.back();
    if (slowest.row != 0 || slowest.column * slowest.size != extent)
      return {};
    if (width <= slowest.column) {
      extent = slowest.column;
      reg.pop_back();
      continue;
    }
    if (width % slowest.column != 0)
      return {};
    slowest.size = width / slowest.column;
    extent = width;
  }
  if (extent != width)
    return {};
  MLIRContext *context = type.getContext();
  return FragmentType::get(context, {type.getRows(), width}, type.getElementType(),
                           LayoutAttr::get(context, layout.getWarp(), layout.getLane(), reg));
}

Value createColumnSlice(OpBuilder &builder, Location loc, Value fragment, int64_t column,
                        int64_t width) {
  auto type = cast<FragmentType>(fragment.getType());
  if (type.getColumns() == width)
    return fragment;
  return SliceOp::create(builder, loc, getColumnSliceType(type, width), fragment, column);
}

Value createColumnConcat(OpBuilder &builder, Location loc, FragmentType type, ValueRange parts) {
  if (parts.size() == 1)
    return parts.front();
  return ConcatOp::create(builder, loc, type, parts);
}

} // namespace sage::tile
