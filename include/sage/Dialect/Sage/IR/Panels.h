// Tiles in shared memory are split in panels of columns, as wide as a swizzle pattern.

#ifndef SAGE_DIALECT_SAGE_IR_PANELS_H
#define SAGE_DIALECT_SAGE_IR_PANELS_H

#include "llvm/ADT/SmallVector.h"

#include <algorithm>
#include <cstdint>

namespace sage {

/// Widths in bytes of the panels of rows of `rowBytes` bytes (a multiple of 32): 128, 64 or 32
/// each, as wide as possible. With `interval`, no panel spans a multiple of that many bytes.
inline llvm::SmallVector<int64_t> splitInPanels(int64_t rowBytes, int64_t interval = 0) {
  llvm::SmallVector<int64_t> widths;
  for (int64_t first = 0; first < rowBytes; first += widths.back()) {
    int64_t left = rowBytes - first;
    if (interval != 0)
      left = std::min(left, interval - first % interval);
    widths.push_back(left >= 128 ? 128 : left >= 64 ? 64 : 32);
  }
  return widths;
}

} // namespace sage

#endif // SAGE_DIALECT_SAGE_IR_PANELS_H
