//===- ReferenceMask.cpp - which keys a query sees, and biases ------------===//
#include "ReferenceMask.h"

#include "FloatFormats.h"

#include <algorithm>

namespace sage::runtime {

VisibleKeys visibleKeys(const sage_problem &problem, const Extents &extents, int64_t query) {
  bool bottomRight = problem.mask == SAGE_MASK_CAUSAL_BOTTOM_RIGHT ||
                     problem.mask == SAGE_MASK_WINDOW_BOTTOM_RIGHT;
  bool causal =
      problem.mask == SAGE_MASK_CAUSAL_TOP_LEFT || problem.mask == SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  int64_t keys = extents.keys, diagonal = query + (bottomRight ? keys - extents.queries : 0);
  VisibleKeys visible{0, 0, keys};
  if (causal || problem.has_window_right) {
    int64_t right = causal ? 0 : problem.window_right;
    visible.end = std::clamp<int64_t>(diagonal + right + 1, 0, keys);
  }
  if (problem.has_window_left) {
    visible.begin = std::clamp<int64_t>(diagonal - problem.window_left, 0, keys);
    visible.sinkEnd = std::min(problem.sink_tokens, visible.end);
  }
  return visible;
}

TileKeys keysOfTile(const VisibleKeys &visible, int64_t tileFirst, int64_t tileEnd) {
  constexpr int64_t stepKeys = 32;
  TileKeys keys{tileFirst, std::min(tileEnd, visible.end), tileFirst, tileFirst};
  if (visible.sinkEnd > tileFirst) {
    keys.gapFirst = std::min(visible.sinkEnd, keys.end);
    keys.gapEnd = std::clamp(visible.begin, keys.gapFirst, keys.end);
    if (keys.gapEnd == keys.end)
      keys.end = keys.gapEnd = keys.gapFirst;
    return keys;
  }
  int64_t skipped = std::max<int64_t>(visible.begin - tileFirst, 0);
  keys.first = keys.gapFirst = tileFirst + skipped / stepKeys * stepKeys;
  keys.gapEnd = tileFirst + skipped;
  if (keys.gapEnd >= keys.end)
    keys.end = keys.first;
  return keys;
}

float BiasView::at(int64_t batch, int64_t head, int64_t query, int64_t key) const {
  int64_t offset = 0;
  const int64_t indices[] = {batch, head, query, key};
  for (size_t axis = 0; axis < 4; ++axis)
    if (tensor.extents[axis] != 1)
      offset += indices[axis] * tensor.strides[axis];
  switch (tensor.element_type) {
  case SAGE_F16:
    return f16ToFloat(static_cast<const uint16_t *>(tensor.data)[offset]);
  case SAGE_BF16:
    return bf16ToFloat(static_cast<const uint16_t *>(tensor.data)[offset]);
  case SAGE_F32:
    return static_cast<const float *>(tensor.data)[offset];
  case SAGE_BOOL:
    break;
  }
  return static_cast<const uint8_t *>(tensor.data)[offset] != 0 ? 1.0f : 0.0f;
}

} // namespace sage::runtime
